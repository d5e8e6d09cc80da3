// EvidencePolicy: what `ccgpu evidence verify --policy FILE` asks of evidence beyond its being genuine. YAML, with a
// JSON schema in manifests/schemas/evidencepolicy.json; errors carry file:line:column.
//
// What is not named keeps the verifier's default, which is the strict one. Nothing here can turn a check off that the
// verifier's own options do not let turn off.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trust/verify/tpm/tpm.h"
#include "trust/verify/verify.h"

namespace ccgpu::cli {

struct EvidencePolicy {
  std::string name;
  std::vector<std::string> formats;       // empty: any
  std::vector<std::string> environments;  // empty: hardware, or what --insecure-accept-emulated says
  verify::GpuOptions gpu;                 // nonce empty
  struct Gpus {
    std::optional<size_t> min, max;
    std::vector<std::string> modes, models, ueids, vbios_versions;  // empty: any
    bool protected_pcie = true;  // GPUs whose NVLinks are plain text; a policy file must say it
  } gpus;
  verify::SnpOptions snp;  // report_data empty; measurement and chip_id by the lists below
  struct Snp {
    std::vector<std::string> measurements, host_data, chip_ids;  // hex, lower case; empty: any
  } sandbox;
  verify::TdxOptions tdx;  // report_data empty
  verify::TpmOptions tpm;  // nonce, roots and pinned_keys empty
  struct Token {
    std::string issuer, audience, worst_status, environment_when_silent;  // empty: verify::TokenRules' defaults
    std::chrono::seconds max_age = std::chrono::hours(24);
  } token;
};

// Errors: input.*.
Result<EvidencePolicy> ParseEvidencePolicy(const std::string& yaml, const std::string& file);

// The policy's own checks, on what the verifier's claims say: "policy.format", "policy.environment", ... Appended to
// the verdict's; a verdict that was refused stays refused.
void ApplyPolicy(const EvidencePolicy& policy, const std::string& format, verify::Verdict& verdict);

}  // namespace ccgpu::cli
