// Eight emulated GPUs and four NVSwitches in protected-PCIe mode, fully connected, all healthy until a test changes
// something.
#pragma once

#include <string>
#include <vector>

#include "trust/verify/gpu/fabric.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::verify {

// An NVSwitch in the frame of GpuWorld: `device` is its chain, `vbios_spec` its BIOS RIM.
GpuWorld SwitchWorld(uint8_t number);

struct FabricWorld {
  FabricWorld();  // copies one that is made once: making it takes a while

  std::vector<GpuWorld> gpus, switches;
  Collateral collateral;
  Anchors anchors;
  FabricOptions options;
  TimePoint now = kTestNow;

  // Writes into every report whom it is connected to, and signs.
  void Connect();
  // Signs a changed report; every device has its own name and nonce of its own.
  void Sign(GpuWorld& device);
  FabricEvidence Evidence() const;
  Verdict Run(Cache* cache = nullptr) const;

 private:
  struct Make {};
  explicit FabricWorld(Make);
};

// The GPU's or switch's PDI, of its certificate.
Bytes PdiOf(const GpuWorld& device);
// What a GPU's and a switch's opaque data say for these peers.
Bytes SwitchPdiField(const std::vector<Bytes>& switches);
Bytes GpuPdiField(const std::vector<Bytes>& gpus);

}  // namespace ccgpu::verify
