// Wakes somebody when files appear or grow in the sub-folders of a folder.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "base/fd.h"

namespace ccgpu::nodemanager {

// One thread, but for Wake(). Without inotify (out of watches) it only waits: whoever looks finds changes at latest
// after that time.
class FolderWatch {
 public:
  explicit FolderWatch(std::string folder);
  void Wait(std::chrono::milliseconds at_most);
  void Wake();  // any thread: ends the Wait() of now or the next one

 private:
  void AddAll();
  const std::string folder_;
  Fd notify_, wake_;
  int top_ = -1;
  std::map<std::string, int> watched_;
};

}  // namespace ccgpu::nodemanager
