// Runtime options as containerd hands them over: on stdin of `start`, and in Create.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "shim/api/containerd.pb.h"

namespace ccgpu::shim {

struct TaskOptions {
  containerd::RuncOptions runc;
  std::string config_path;  // of runtimeoptions.v1.Options
};

// An empty Any gives empty options. "shim.bad-options" for a type that is neither.
Result<TaskOptions> ReadOptions(const containerd::Any& any);
// containerd up to 2.2 writes an Any, 2.3 and later BootstrapParams, whose instance_id is then `id`. Empty is fine.
Result<TaskOptions> ReadStartInput(std::string_view input, const std::string& id);

}  // namespace ccgpu::shim
