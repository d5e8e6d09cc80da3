// Where one deployment's parts meet: ports of loopback, and the pods' network, a bridge of its own on the machine.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "cli/deployment/layout.h"

namespace ccgpu::deployment {

// The pods' network is 10.246.N.0/24: the first N, from one that the state folder's path tells, which no interface of
// the machine has an address in. N and ports are kept once chosen, because policies name them.
struct Addresses {
  std::string bridge;   // network interface, <= 15 characters
  std::string subnet;   // 10.246.N.0/24
  std::string gateway;  // 10.246.N.1, the bridge's: where pods reach the broker
  uint16_t broker_port = 0;
  uint16_t emulator_port = 0;  // RIM and OCSP services, loopback
  uint16_t plugin_port = 0;    // device plugin's metrics, loopback
};

// Those of an earlier call for this state folder, or new ones. The bridge stands when it returns, so that deployments
// that start at the same time see each other. Errors: "deployment.subnet-taken" when somebody else took the network
// while this deployment was down; "deployment.lock", "deployment.busy", "deployment.network", "deployment.no-port",
// "deployment.command".
Result<Addresses> ReserveAddresses(const Layout& layout);

// Takes the bridge away, if it stands.
void RemoveBridge(const Layout& layout);

}  // namespace ccgpu::deployment
