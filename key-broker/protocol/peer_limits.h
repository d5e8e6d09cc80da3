// What one peer may ask of the broker, so that none starves the others: a bucket for each kind of costly request,
// filled at the start and refilled steadily.
//
// A peer is who cannot easily be somebody else: an IPv4 address, or the /64 of an IPv6 one. Pods behind one NAT are one
// peer, and so is everybody behind one proxy. Limits are about availability only: nothing that a peer may learn or get
// depends on them.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"

namespace ccgpu::broker {

// 0 switches a limit off. The defaults let 200 pods behind one address start at once, fail, and start again.
struct PeerLimitOptions {
  uint32_t connections = 48;              // at once (kept by HttpsServer)
  uint32_t sessions = 5000;               // alive at once (kept by Sessions)
  uint32_t burst = 1000;                  // challenges at once, attestations at once; ten times as many resources
  uint32_t per_second = 20;               // how fast these come back; with a burst, at least 1
  uint32_t admin_failures_a_minute = 60;  // calls of admin routes without the right
};

enum class Cost { kNone, kChallenge, kEvidence, kResource, kAdminFailure };

// "10.1.2.3" for itself and ::ffff:10.1.2.3, "2001:db8:0:1::/64"; what is no address stands for itself.
std::string PeerOf(const std::string& address);

// Any thread. Peers are forgotten when their buckets are full again, and the longest silent one for a new one when
// there are kMaxPeers.
class PeerLimits {
 public:
  static constexpr size_t kMaxPeers = 16384;
  explicit PeerLimits(const PeerLimitOptions& options);

  // Takes one from the peer's bucket. Zero, or how long to wait when it is empty.
  std::chrono::seconds Take(const std::string& peer, Cost cost, TimePoint now);
  // What Take would answer.
  std::chrono::seconds Wait(const std::string& peer, Cost cost, TimePoint now);
  // True once a minute for each peer: the time to write a line about it.
  bool MayLog(const std::string& peer, TimePoint now);
  size_t size();

 private:
  struct Limit {
    double burst = 0, per_second = 0;  // no burst: no limit
  };
  struct Bucket {
    double spent = 0;
    TimePoint at{};  // when `spent` was true
  };
  struct Peer {
    std::string name;
    TimePoint seen{}, logged{};
    std::array<Bucket, 5> buckets{};  // by Cost
  };

  const Limit& Of(Cost cost) const { return limits_[static_cast<size_t>(cost)]; }
  // How long to wait for one more.
  static std::chrono::seconds Refill(Bucket& bucket, const Limit& limit, TimePoint now);
  // The peer's entry, made when it has none; it becomes the last to be forgotten.
  Peer& Enter(const std::string& name, TimePoint now);
  void Forget(TimePoint now);

  std::array<Limit, 5> limits_{};  // by Cost
  std::chrono::seconds full_after_;
  std::mutex mutex_;
  std::list<Peer> by_use_;  // longest silent first
  std::unordered_map<std::string_view, std::list<Peer>::iterator> peers_;
};

}  // namespace ccgpu::broker
