// What the shim leaves in a bundle for its own `delete`, which runs when the shim is dead.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace ccgpu::shim {

struct BundleState {
  std::string sandbox_id;
  std::string cgroups_path;  // of this container; empty: none that we made
  pid_t guest_pid = 0;
  uint64_t guest_start = 0;  // field 22 of /proc/PID/stat: with the pid it names one process for good
  pid_t init_pid = 0;
};

Status WriteBundle(const std::string& bundle, const BundleState& state);
// An absent file gives an empty state.
Result<BundleState> ReadBundle(const std::string& bundle);
uint64_t ProcessStartTime(pid_t pid);  // 0: no such process

}  // namespace ccgpu::shim
