// What the checks of one COSE_Sign1 share. Included by trust/verify's own sources only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trust/verify/internal.h"
#include "trust/verify/references/cose.h"

namespace ccgpu::verify {

struct CoseContext {
  const Bytes& bytes;
  const CoseRules& rules;
  TimePoint now;
  std::string document;  // "cose", "corim"

  std::optional<evidence::CoseSign1> message;
  std::vector<CoseKey> keys;  // those that may have signed it
  std::optional<Bytes> payload;
  bool genuine = false;  // one of them did
};

// Parsed, tag, key, algorithm, content type, payload, signature.
std::span<const NamedCheck<CoseContext>> CoseChecks();

}  // namespace ccgpu::verify
