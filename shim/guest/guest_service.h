// guestd's ttrpc service (shim/api/guest.proto), and the order in which guestd comes up.
#pragma once

#include <memory>

#include "base/ttrpc/server.h"
#include "shim/guest/container.h"
#include "shim/guest/host_link.h"
#include "shim/guest/platform_link.h"
#include "shim/guest/reaper.h"
#include "shim/guest/sandbox.h"

namespace ccgpu::shim {

class GuestService {
 public:
  GuestService(ttrpc::Server& server, Sandbox& sandbox, HostLink& host, Reaper& reaper);
  // Answers on the channel "task" until the host half closes it; then returns.
  Status Serve(Fd task_channel);

 private:
  template <class Request, class F>
  void On(const char* method, F handler);
  ttrpc::Server& server_;
  Sandbox& sandbox_;
  HostLink& host_;
  Containers containers_;
  enum class State { kNew, kReady, kRefused } state_ = State::kNew;
  std::mutex mutex_;
};

// All of guestd: mounts, parameters, service. Returns when the host half is gone, or with what went wrong.
Status RunGuest();

}  // namespace ccgpu::shim
