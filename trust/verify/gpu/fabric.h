// GPUs and the NVSwitches between them, as one: in protected-PCIe mode NVLink is plain text, so that every device on it
// must be a proven one. Each device is judged by itself, then the set: whose links lead to whom is taken from the
// signed reports and compared with the identities in the certificates, in both directions.
#pragma once

#include <string>
#include <vector>

#include "trust/verify/verify.h"

namespace ccgpu::verify {

struct FabricEvidence {
  std::vector<evidence::GpuEvidence> gpus, switches;
};
// By architecture: what says LS10 is a switch.
FabricEvidence FabricOf(std::vector<evidence::GpuEvidence> devices);

struct FabricOptions {
  GpuOptions device;  // of each device; the nonce is the set's
  size_t gpu_count = 8, switch_count = 4;
  std::vector<std::string> allowed_ueids;  // device inventory, switches too; empty: any device
  unsigned threads = 0;                    // for judging devices; 0: one a core
};

// Checks "gpu<i>.*" and "switch<i>.*" of each device, then "fabric.*". The claims: {"environment",
// "x-nvidia-overall-att-result", "gpus": [..], "switches": [..]}. The same verdict with any number of threads and any
// cache.
Verdict VerifyFabric(const evidence::Unverified<FabricEvidence>& fabric, const Collateral& collateral,
                     const Anchors& anchors, const FabricOptions& options, TimePoint now, Cache* cache = nullptr);

}  // namespace ccgpu::verify
