#include "shim/host/task_options.h"

namespace ccgpu::shim {

Result<TaskOptions> ReadOptions(const containerd::Any& any) {
  TaskOptions options;
  std::string type = any.type_url().substr(any.type_url().rfind('/') + 1);  // npos + 1 == 0: the whole name
  if (type.empty()) return options;
  if (type == "containerd.runc.v1.Options") {
    if (!options.runc.ParseFromString(any.value())) return Err("shim.bad-options", type, "the options do not parse");
  } else if (type == "runtimeoptions.v1.Options") {
    containerd::RuntimeOptions generic;
    if (!generic.ParseFromString(any.value())) return Err("shim.bad-options", type, "the options do not parse");
    options.config_path = generic.config_path();
  } else {
    return Err("shim.bad-options", type, "expected containerd.runc.v1.Options or runtimeoptions.v1.Options");
  }
  return options;
}

Result<TaskOptions> ReadStartInput(std::string_view input, const std::string& id) {
  if (input.empty()) return TaskOptions{};
  // Both messages can look alike on the wire; only BootstrapParams can carry our id in field 1.
  containerd::BootstrapParams bootstrap;
  if (bootstrap.ParseFromArray(input.data(), static_cast<int>(input.size())) && bootstrap.instance_id() == id) {
    for (const auto& extension : bootstrap.extensions()) {
      auto options = ReadOptions(extension.value());
      if (options.ok()) return options;  // other extensions are none of our business
    }
    return TaskOptions{};
  }
  containerd::Any any;
  if (!any.ParseFromArray(input.data(), static_cast<int>(input.size())))
    return Err("shim.bad-options", "stdin", "neither google.protobuf.Any nor BootstrapParams");
  return ReadOptions(any);
}

}  // namespace ccgpu::shim
