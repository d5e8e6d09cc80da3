// Tells when the kernel has ended something in a control group for want of memory.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "shim/oci/cgroup.h"

namespace ccgpu::shim {

class OomWatch {
 public:
  explicit OomWatch(const Cgroup& cgroup);
  int fd() const { return fd_.get(); }  // readable when Fired() may be true; -1: nothing to watch
  bool Fired();                         // since the last call

 private:
  bool unified_;
  std::string file_;
  uint64_t kills_ = 0;
  Fd fd_;
};

}  // namespace ccgpu::shim
