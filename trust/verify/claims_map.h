// A verdict's claims in other verifiers' words: Microsoft's attestation service (x-ms-*), Confidential Containers'
// verifier, and three answers of our own. docs/claims.md is this table for people; a test holds the two together.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trust/kbs/ear.h"
#include "trust/verify/verdict.h"

namespace ccgpu::verify {

// One claim about the CPU side. Dots lead into objects: "snp.measurement". Empty: that verifier has no such claim.
struct ClaimName {
  std::string_view ours, coco, maa;
};
std::span<const ClaimName> SnpClaimNames();
std::span<const ClaimName> TdxClaimNames();

// What the evidence shows about a workload's protection: "yes", "no" or "unproven". Of several parts the worst counts:
// "no" before "unproven" before "yes". With environment "emulated" this says what the emulated parts would protect.
struct Protection {
  std::string data_confidentiality = "unproven", data_integrity = "unproven", code_integrity = "unproven";
};
Protection ProtectionOf(const Verdict& verdict);

// The claims that Microsoft's service would give the same evidence, as far as our verifier knows them; JSON text, an
// object. Never x-ms-compliance-status or x-ms-policy-*: those are statements that only that service can make. Empty
// object for evidence without an SNP or TDX report.
std::string MaaClaims(const Verdict& verdict);

// As Confidential Containers' attestation service writes "ear.veraison.annotated-evidence": for each part ("cpu0",
// "gpu0", "gpu1", .., "switch0") its claims, JSON text, an object ({"snp":{..}}, {"tdx":{..}}, {"nvidia":{..}}).
std::vector<std::pair<std::string, std::string>> CocoClaims(const Verdict& verdict);

// AR4SI trustworthiness of one of those parts: what an accepted verdict establishes, or what the first failed check of
// this part says against it.
kbs::TrustVector TrustVectorOf(const Verdict& verdict, const std::string& part);

}  // namespace ccgpu::verify
