// The CDI spec file of the node's GPUs (Container Device Interface, version 0.5.0).
//
// The edits carry only a marker: what a container needs of a confidential GPU (driver socket, libraries) comes from
// inside the sandbox, out of the measured image, and never from the host. The names are what counts: the shim resolves
// them to GPUs.
#pragma once

#include <string>

#include "base/result.h"
#include "device-plugin/plugin/device_table.h"

namespace ccgpu::deviceplugin {

inline constexpr char kResourceName[] = "ccgpu.dev/cc-gpu";  // the CDI kind as well

// "ccgpu.dev/cc-gpu=GPU-..."
std::string CdiName(const std::string& device_id);
// The annotation of one device: key "cdi.k8s.io/ccgpu_<id>", whose value is its CDI name.
std::string CdiAnnotationKey(const std::string& device_id);
// The JSON text; every device is listed, healthy or not, so that a pod that holds one stays resolvable.
std::string CdiSpec(const Snapshot& devices);
// Writes <dir>/ccgpu.dev-cc-gpu.json at once or not at all; removes the file when there is no device (CDI wants at
// least one).
Status WriteCdiSpec(const std::string& dir, const Snapshot& devices);

}  // namespace ccgpu::deviceplugin
