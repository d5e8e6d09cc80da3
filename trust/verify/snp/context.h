// What the checks of one SNP report share. Included by trust/verify's own sources only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "trust/verify/gpu/context.h"

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

inline constexpr char kSnpReport[] = "snp/report", kNoSnpReport[] = "there is no report that could be parsed",
                      kNoSnpChain[] = "there is no chain that ends in a pinned root";
inline constexpr uint32_t kSnpSignedByVcek = 0, kSnpSignedByVlek = 1;

// The lists, in the order in which they run: form and freshness, who signed, whose sandbox, what platform.
std::span<const NamedCheck<SnpContext>> SnpReportChecks();
std::span<const NamedCheck<SnpContext>> SnpChainChecks();
std::span<const NamedCheck<SnpContext>> SnpGuestChecks();
std::span<const NamedCheck<SnpContext>> SnpPlatformChecks();

bool RunSnpChecks(SnpContext& context, std::vector<Check>& checks);
// CoCo's SNP claims and what we add to them.
nlohmann::ordered_json SnpClaims(const SnpContext& context);

// "0x0000000000030000": a bit field, as people read it.
std::string SnpHex64(uint64_t value);

}  // namespace ccgpu::verify
