// GPU profiles: what kind of board the emulator plays (the keys are explained in h100-ncc-v5.yaml).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace ccgpu::emulator {

struct Profile {
  std::string name, model, architecture, chip;
  int compute_major = 0, compute_minor = 0;
  int sm_count = 0;
  uint64_t memory_bytes = 0;
  std::vector<int> numa_nodes;
  std::vector<std::string> modes;  // as text: off, devtools, apm, hopper-cc
  std::string default_mode;
  std::string driver_version, vbios_version;
  uint32_t board_id = 0;
  uint64_t gpu_info = 0;
  std::string project, project_sku, chip_sku;
  bool attestation = false;
  std::map<uint8_t, std::string> firmware;  // version by component index, where it is not the driver's or the VBIOS's

  int NumaNode(uint32_t gpu) const { return numa_nodes[gpu % numa_nodes.size()]; }
  bool Supports(const std::string& mode) const;
  // The protecting mode that this kind of board is attested in: hopper-cc or, without it, apm; empty when it has
  // neither.
  std::string AttestedMode() const;
};

// Errors "profile.invalid" with file:line:column.
Result<Profile> ParseProfile(const std::string& yaml, const std::string& file);
// A built-in name ("h100-ncc-v5") or a file's path. "profile.unknown" lists the names there are.
Result<Profile> LoadProfile(const std::string& name_or_file);
std::vector<std::string> BuiltinProfileNames();

}  // namespace ccgpu::emulator
