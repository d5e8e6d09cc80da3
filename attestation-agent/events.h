// What the agent tells about itself: one JSON object a line into a pipe that guestd reads and hands to the pod's
// events.
#pragma once

#include <mutex>
#include <string_view>

#include "base/fd.h"

namespace ccgpu::agent {

// Any thread. A pipe that nobody reads any more is ignored: the agent works without listeners.
class Events {
 public:
  explicit Events(Fd pipe) : pipe_(std::move(pipe)) {}
  void Tell(std::string_view code, std::string_view message, std::string_view subject = "");

 private:
  std::mutex mutex_;
  Fd pipe_;
};

}  // namespace ccgpu::agent
