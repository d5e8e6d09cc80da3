// Several devices of one call: each judged by itself, on all cores, and what may be asked of any set of them. Included
// by trust/verify's own sources only.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "trust/verify/gpu/context.h"
#include "trust/verify/gpu/fabric.h"

namespace ccgpu::verify {

// A device with a context of its own: nothing but the cache is shared between threads.
struct Device {
  Device(const evidence::GpuEvidence& evidence, DeviceKind kind, const std::string& name, const Collateral& collateral,
         const Anchors& anchors, const GpuOptions& options, TimePoint now, Cache& cache)
      : shared(collateral, anchors, now, &cache), context{evidence, options, shared, name, {}, {}, {}, {}, {}, {}} {
    context.kind = kind;
  }
  SharedContext shared;
  GpuContext context;
  std::vector<Check> checks;
};
using Devices = std::deque<Device>;

// More than any machine has.
inline constexpr size_t kMostDevices = 64;

// GPUs "gpu0", .., then switches "switch0", ... Empty when there are more than kMostDevices: who calls refuses those.
// The arguments must outlive what is returned. `threads`: 0 is one a core.
Devices JudgeDevices(const FabricEvidence& evidence, const Collateral& collateral, const Anchors& anchors,
                     const GpuOptions& options, unsigned threads, TimePoint now, Cache& cache);

// Checks of any set; `code` is what a failure is called.
Finding AreOfEnvironment(const Devices& devices, const std::string& environment);
Finding AreDistinct(Reason code, const Devices& devices);
Finding AreInInventory(Reason code, const Devices& devices, const std::vector<std::string>& ueids);

// The checks "fabric.*" of GPUs and the switches between them (fabric.cc); true when nothing stands against acceptance.
// `environment` is the one that all devices must be of.
bool RunFabricChecks(const FabricEvidence& evidence, const FabricOptions& options, const Devices& devices,
                     const std::string& environment, std::vector<Check>& checks);

// What judged devices say of themselves.
struct DeviceClaims {
  nlohmann::ordered_json gpus = nlohmann::ordered_json::array(), switches = nlohmann::ordered_json::array();
  std::vector<GpuFacts> gpu_facts, switch_facts;
  bool good = true;     // nothing stands against any device
  bool overall = true;  // by NVIDIA's rule
};
// Moves the devices' own checks to the end of `checks`.
DeviceClaims Collect(Devices& devices, std::vector<Check>& checks);

}  // namespace ccgpu::verify
