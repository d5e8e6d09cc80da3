// The GPUs of a sandbox: one session each, lent to containers and to the agent through driver sockets.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gpu-emulator/guest/driver/driver.h"
#include "gpu-emulator/guest/driver/driver_server.h"
#include "shim/guest/host_link.h"
#include "shim/guest/platform_link.h"
#include "trust/policy/pod_policy.h"

namespace ccgpu::shim {

// Thread-safe after Open.
class Gpus {
 public:
  // Opens a session to each GPU and brings it to RUN, all at once. `mode`: the only one that the policy accepts.
  Status Open(std::vector<GuestGpu> gpus, const std::string& mode, HostLink& host);
  // As policy::CheckSandbox wants them.
  std::vector<policy::AttachedGpu> Attached() const;
  size_t count() const { return drivers_.size(); }

  // The agent's own socket: all GPUs, and the right to let them accept work.
  Status ServeAgent(const std::string& socket);
  // A container's socket. "gpu.not-locked" for a GPU this sandbox does not hold, "gpu.in-use" for one another container
  // has.
  Status Lend(const std::string& container, const std::vector<std::string>& uuids, const std::string& socket,
              bool may_set_ready);
  void TakeBack(const std::string& container);

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<driver::GuestDriver>> drivers_;   // by uuid
  std::vector<std::string> order_;                                        // uuids as the platform listed them
  std::map<std::string, std::string> lent_;                               // uuid -> container
  std::map<std::string, std::unique_ptr<driver::DriverServer>> servers_;  // by container
  std::unique_ptr<driver::DriverServer> agent_;
};

}  // namespace ccgpu::shim
