// The configuration files that `ccgpu up` writes for the programs it starts.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "cli/deployment/layout.h"

namespace ccgpu::deployment {

// Addresses of one deployment. The pod network is 10.246.N.0/24 with N from the state directory's path, so that two
// deployments on one machine do not meet; ports are free ones, kept once chosen because policies name them.
struct Addresses {
  std::string bridge;   // network interface, <= 15 characters
  std::string subnet;   // 10.246.N.0/24
  std::string gateway;  // 10.246.N.1: where pods reach the broker
  uint16_t broker_port = 0;
  uint16_t emulator_port = 0;  // RIM and OCSP services, loopback
  uint16_t plugin_port = 0;    // device plugin's metrics, loopback
};

// Those of an earlier `up` of this state directory, or new ones.
Result<Addresses> ChooseAddresses(const Layout& layout);

// containerd's config.toml, the CNI network, the shim's config, the broker's master key (made once).
Status WriteNodeFiles(const Layout& layout, const Addresses& addresses);

}  // namespace ccgpu::deployment
