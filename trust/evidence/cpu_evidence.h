// Evidence of a pod's CPU: one of several kinds of TEE, each with the word that the KBS protocol has for it and its
// JSON.
//
// To add a kind: an alternative of CpuEvidence, a TeeOf and a ToJson for it and a row of the table in cpu_evidence.cc,
// and a MakeCpuCase in trust/verify (cpu_case.h).
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "trust/evidence/azure_evidence.h"
#include "trust/evidence/snp_certs.h"
#include "trust/evidence/tdx_evidence.h"
#include "trust/evidence/tpm_evidence.h"

namespace ccgpu::evidence {

using CpuEvidence = std::variant<SnpEvidence, TdxEvidence, TpmEvidence, AzureEvidence>;

std::string_view TeeOf(const CpuEvidence& evidence);  // "snp"
bool IsKnownTee(std::string_view tee);
std::string KnownTees();  // "snp, tdx", for messages

// The primary evidence of a KBS attest message. Precondition: it parses.
std::string CpuEvidenceToJson(const CpuEvidence& evidence);
// Errors: evidence.unknown-tee; those of the kind's own parser.
Result<CpuEvidence> CpuEvidenceFromJson(std::string_view tee, std::string_view json);

}  // namespace ccgpu::evidence
