// What the checks of one SNP report share. Included by trust/verify's own sources only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "trust/verify/gpu_context.h"

namespace ccgpu::verify {

struct SnpContext {
  const evidence::SnpEvidence& evidence;
  const SnpOptions& options;
  SharedContext& shared;

  std::optional<evidence::SnpReport> report;
  std::optional<crypto::Certificate> signer;  // VCEK or VLEK, as claimed
  std::vector<crypto::Certificate> chain;     // signer, ASK, pinned ARK; empty until the root was found
  std::optional<evidence::VcekExtensions> extensions;
};

bool RunSnpChecks(SnpContext& context, std::vector<Check>& checks);
// CoCo's SNP claims and what we add to them.
nlohmann::ordered_json SnpClaims(const SnpContext& context);

}  // namespace ccgpu::verify
