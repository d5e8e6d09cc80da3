// What the broker does when a peer asks for more than one may.
#include "base/log.h"
#include "key-broker/protocol/broker.h"

namespace ccgpu::broker {

// Before anything is computed. Of an admin's routes, calls that fail are counted (Admit), and too many stop those that
// would not: whoever guesses learns nothing more.
std::optional<Refusal> Broker::Limit(const Route& route, const Call& call) {
  const bool failures = route.cost == Cost::kAdminFailure;
  const std::chrono::seconds wait =
      failures ? peers_.Wait(call.peer, route.cost, call.now) : peers_.Take(call.peer, route.cost, call.now);
  if (wait.count() == 0) return std::nullopt;
  return TooMany(failures ? Err("admin.too-many-failures", call.peer, "called admin routes without the right too often")
                          : Err("broker.too-many-requests", call.peer, "asks more often than one peer may"),
                 wait);
}

Refusal Broker::Later(const Call& call, Refusal refusal) {
  LogTooMuch(call.peer, refusal.why, call.request.remote, call.request.sandbox);
  return refusal;
}

void Broker::ConnectionRefused(const std::string& address) {
  ++metrics_.connections_refused;
  const std::string peer = PeerOf(address);
  LogTooMuch(peer, Err("broker.too-many-connections", peer, "holds as many connections as one peer may"), address, "");
}

void Broker::LogTooMuch(const std::string& peer, const Error& why, const std::string& remote,
                        const std::string& sandbox) {
  if (!peers_.MayLog(peer, parts_.clock.Now())) return;
  log::Warning("a peer asks too much (the next line about it comes in a minute at the earliest)",
               {{"peer", peer}, {"code", why.code}, {"remote", remote}, {"sandbox", sandbox}});
}

}  // namespace ccgpu::broker
