// Which GPUs a container should get when the kubelet may choose: those that must be in, then GPUs of one NUMA node,
// then the lowest indices. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "device-plugin/plugin/device_table.h"

namespace ccgpu::deviceplugin {

// Fails with "plugin.bad-request" when the request contradicts itself (too few devices, a must-include that is not
// available).
Result<std::vector<std::string>> PreferredDevices(const Snapshot& devices, const std::vector<std::string>& available,
                                                  const std::vector<std::string>& must_include, int size);

}  // namespace ccgpu::deviceplugin
