// GPUs for tests of mode switches.
#pragma once

#include <string>

#include "node-manager/cluster/emulator.h"

namespace ccgpu::nodemanager {

inline Gpu MakeGpu(uint32_t index, const std::string& mode = "hopper-cc") {
  Gpu gpu;
  gpu.index = index;
  gpu.uuid = "GPU-" + std::to_string(index);
  gpu.model = "NVIDIA H100 80GB HBM3 (EMULATED)";
  gpu.mode = mode;
  gpu.state = "UNLOCKED";
  gpu.modes = {"off", "devtools", "hopper-cc"};
  return gpu;
}

}  // namespace ccgpu::nodemanager
