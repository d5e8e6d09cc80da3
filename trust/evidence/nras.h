// NVIDIA's detached EAT bundle, as its attestation service (NRAS) and its SDK answer:
//   [["JWT", overall token], {"GPU-0": token, "SWITCH-0": token, ..}]
// The overall token holds the SHA-256 of each device's token (docs/formats/tokens.md).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace ccgpu::evidence {

struct DetachedEat {
  std::string overall;
  std::vector<std::pair<std::string, std::string>> devices;  // name -> token, ascending by name
};

// Reads the envelope only: names must be "GPU-<n>" or "SWITCH-<n>", at least one and at most 64. Error:
// token.malformed.
Result<DetachedEat> ParseDetachedEat(std::string_view json);
std::string EncodeDetachedEat(const DetachedEat& bundle);

}  // namespace ccgpu::evidence
