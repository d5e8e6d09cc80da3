// The in-pod attestation agent: reads what it may trust, judges its GPUs, then serves the pod's containers.
#pragma once

#include <string>

#include "base/result.h"

namespace ccgpu::agent {

struct AgentOptions {
  std::string init_data = "/run/ccgpu/initdata.toml";
  std::string collateral = "/run/ccgpu/collateral";
  std::string tsm = "/sys/kernel/config/tsm/report";
  std::string nvml = "/run/ccgpu/lib/libnvidia-ml.so.1";  // "" or a file that is not there: no GPUs in this sandbox
  int port = 8006;
  int events_fd = -1;
  std::string sandbox_id;  // for logs, ours and the broker's; nobody trusts it
};

// Runs until SIGTERM or SIGINT. Errors are those of starting.
Status RunAgent(const AgentOptions& options);

}  // namespace ccgpu::agent
