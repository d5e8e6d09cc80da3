// Sleeps until something happens to a pod: a Wake from another thread, or a change of a file below one of some folders.
#pragma once

#include <chrono>
#include <set>
#include <string>

#include "base/fd.h"

namespace ccgpu::node {

// Wake from any thread; the rest from one.
class ChangeWaiter {
 public:
  ChangeWaiter();
  void Wake();
  // Files in `dir` (not below it); a folder that is not there yet may be tried again later. Cheap when watched already.
  void Watch(const std::string& dir);
  // After a wake, a change or the timeout. Without inotify (limits) the timeout is what remains.
  void Wait(std::chrono::milliseconds timeout);

 private:
  Fd event_, inotify_;
  std::set<std::string> watched_;
};

}  // namespace ccgpu::node
