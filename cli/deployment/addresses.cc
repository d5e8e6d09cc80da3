#include "cli/deployment/addresses.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <vector>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/lock_file.h"
#include "cli/deployment/daemon.h"

namespace ccgpu::deployment {
namespace {

constexpr char kLock[] = "/run/ccgpu-networks.lock";  // of the machine: one chooses a network at a time
constexpr std::chrono::milliseconds kLockWait{10000};
constexpr int kNetworks = 256;

// From the state folder's path, so that most deployments find their network free at the first look.
struct Names {
  std::string bridge;
  int network;
};

Names NamesOf(const Layout& layout) {
  const Bytes hash = crypto::Sha256(AsBytes(layout.state));
  return {"ccgpu" + HexEncode(ByteView(hash).first(4)), hash[4]};
}

std::string Prefix(int64_t network) { return "10.246." + std::to_string(network) + "."; }

Result<uint16_t> FreePort() {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (!fd.valid() || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return ErrnoError("deployment.no-port", "cannot get a free port on", "127.0.0.1");
  }
  return ntohs(address.sin_port);
}

// The interface that has an address in the /24 network that `address` lies in; "": none. Two bridges with one network
// would each get half of the answers that are the other's.
Result<std::string> UserOf(const std::string& address) {
  const std::string prefix = address.substr(0, address.rfind('.') + 1);
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return ErrnoError("deployment.network", "cannot list the addresses of", "this machine");
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, ::freeifaddrs);
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN];
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr, text, sizeof text);
    if (std::string(text).starts_with(prefix)) return std::string(one->ifa_name);
  }
  return std::string();
}

Result<int> FreeNetwork(int first) {
  for (int i = 0; i < kNetworks; i++) {
    const int network = (first + i) % kNetworks;
    ASSIGN_OR_RETURN(const std::string user, UserOf(Prefix(network)));
    if (user.empty()) return network;
  }
  return Err("deployment.subnet-taken", "10.246.0.0/16", "is used up: interfaces have addresses in all of it");
}

// What was chosen for this state folder, chosen now if it never was.
Result<Json> Chosen(const std::string& file, int first_network) {
  if (Exists(file)) {
    ASSIGN_OR_RETURN(std::string text, ReadFile(file));
    ASSIGN_OR_RETURN(Json chosen, ParseJson(text, file));
    if (!chosen.contains("network")) chosen["network"] = first_network;  // of an `up` that did not look
    return chosen;
  }
  ASSIGN_OR_RETURN(const int network, FreeNetwork(first_network));
  Json chosen = {{"network", network}};
  for (const char* port : {"broker_port", "emulator_port", "plugin_port"}) {
    ASSIGN_OR_RETURN(chosen[port], FreePort());
  }
  RETURN_IF_ERROR(WriteFileAtomic(file, chosen.dump(2) + "\n"));
  return chosen;
}

Result<Addresses> AddressesOf(const Json& chosen, const std::string& bridge, const std::string& file) {
  ASSIGN_OR_RETURN(const int64_t network, JsonInt(chosen, "network", file));
  ASSIGN_OR_RETURN(const int64_t broker, JsonInt(chosen, "broker_port", file));
  ASSIGN_OR_RETURN(const int64_t emulator, JsonInt(chosen, "emulator_port", file));
  ASSIGN_OR_RETURN(const int64_t plugin, JsonInt(chosen, "plugin_port", file));
  const std::string prefix = Prefix(network);
  return Addresses{bridge,
                   prefix + "0/24",
                   prefix + "1",
                   static_cast<uint16_t>(broker),
                   static_cast<uint16_t>(emulator),
                   static_cast<uint16_t>(plugin)};
}

// As the CNI bridge plugin would make it with the first pod, and finds it.
Status MakeBridge(const Layout& layout, const Addresses& addresses) {
  const std::vector<std::vector<std::string>> commands = {
      {"ip", "link", "add", addresses.bridge, "type", "bridge"},
      {"ip", "address", "add", addresses.gateway + "/24", "dev", addresses.bridge},
      {"ip", "link", "set", addresses.bridge, "up"}};
  for (const auto& command : commands) RETURN_IF_ERROR(RunToEnd({"ip", command, {}}, layout.Log("ip")));
  return Ok();
}

}  // namespace

Result<Addresses> ReserveAddresses(const Layout& layout) {
  ASSIGN_OR_RETURN(const Fd lock, TryLockFile(kLock, kLockWait, "deployment.lock"));
  if (!lock.valid()) return Err("deployment.busy", kLock, "is held by another `ccgpu up` for very long");
  RETURN_IF_ERROR(MakeDirs(layout.state + "/logs", 0711));
  const std::string file = layout.state + "/addresses.json";
  const auto [bridge, first_network] = NamesOf(layout);
  ASSIGN_OR_RETURN(const Json chosen, Chosen(file, first_network));
  ASSIGN_OR_RETURN(const Addresses out, AddressesOf(chosen, bridge, file));
  if (::if_nametoindex(bridge.c_str()) != 0) return out;  // a repair: its pods are on it
  ASSIGN_OR_RETURN(const std::string user, UserOf(out.gateway));
  if (!user.empty()) {
    return Err("deployment.subnet-taken", out.subnet,
               "is what this deployment's policies name, and " + user +
                   " has an address in it now: take that down (another deployment?), or use another --state");
  }
  if (Status made = MakeBridge(layout, out); !made.ok()) {
    RemoveBridge(layout);
    return made.error();
  }
  return out;
}

void RemoveBridge(const Layout& layout) {
  const std::string bridge = NamesOf(layout).bridge;
  if (::if_nametoindex(bridge.c_str()) != 0) {
    (void)RunToEnd({"ip", {"ip", "link", "delete", bridge}, {}}, layout.Log("ip"));
  }
}

}  // namespace ccgpu::deployment
