// The configuration files that `ccgpu up` writes for the programs it starts.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/deployment/addresses.h"
#include "cli/deployment/layout.h"

namespace ccgpu::deployment {

// containerd's config.toml, the CNI network, the shim's config, the broker's master key (made once).
Status WriteNodeFiles(const Layout& layout, const Addresses& addresses);

}  // namespace ccgpu::deployment
