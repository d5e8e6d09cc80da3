// The container images that `ccgpu up` makes itself, from files of this machine: nothing is fetched.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/deployment/layout.h"

namespace ccgpu::deployment {

// Paths of OCI archives under state/images, made or made anew when their sources changed:
//   localhost/ccgpu/pause:latest    the sandbox image that CRI insists on (run only by the runc handler)
//   localhost/ccgpu/busybox:latest  Debian's busybox-static
//   localhost/ccgpu/digits:latest   the demo's program, if it was built; model.enc in it needs the key of
//   default/digits/model-key
Result<std::vector<std::string>> MakeOwnImages(const Layout& layout,
                                               const std::function<void(const std::string&)>& progress);

}  // namespace ccgpu::deployment
