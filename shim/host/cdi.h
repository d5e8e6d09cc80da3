// Which GPUs a container is to get: by CDI names in its annotations (cdi.k8s.io/*), resolved against the CDI
// specifications of the node (containerd 1.6 does not do it), or by the device plugin's variable.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "shim/oci/spec.h"

namespace ccgpu::shim {

inline constexpr char kCdiKind[] = "ccgpu.dev/cc-gpu";
inline constexpr char kVisibleDevices[] = "CCGPU_VISIBLE_DEVICES";

// GPU uuids, in order, without doubles. Names of other vendors are not ours and are left alone. "gpu.cdi-unresolvable"
// names the device and the files that were looked for.
Result<std::vector<std::string>> ContainerGpus(const SpecFacts& spec, const std::vector<std::string>& cdi_dirs);

}  // namespace ccgpu::shim
