// Serves libcuda and libnvidia-ml of one container (or of the agent) over a unix socket
// (docs/formats/driver-socket.md).
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "gpu-emulator/guest/driver/driver.h"

namespace ccgpu::driver {

struct ServerOptions {
  std::string path;                                     // socket; an old one is replaced
  mode_t mode = 0600;                                   // containers whose users are not root need 0666
  bool may_set_ready = false;                           // only the agent's own socket
  std::vector<std::shared_ptr<GuestDriver>> gpus = {};  // in the order in which the peer counts them; it sees no others
};

// One thread per server plus one per connection. A connection that ends closes the channels that it opened. The
// destructor ends all connections and removes the socket.
class DriverServer {
 public:
  static Result<std::unique_ptr<DriverServer>> Start(ServerOptions options);
  ~DriverServer();
  DriverServer(const DriverServer&) = delete;

 private:
  struct Impl;
  explicit DriverServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::driver
