// Judging evidence of Azure's confidential VMs (tees az-snp-vtpm and az-tdx-vtpm; docs/formats/tpm.md).
//
// The hardware's report was made when the machine booted, for the paravisor: it vouches for the runtime data, these for
// the vTPM's attestation key, and that key's quote answers the challenge. A fault anywhere in that chain refuses all.
#pragma once

#include "trust/evidence/azure_evidence.h"
#include "trust/verify/tpm/tpm.h"
#include "trust/verify/verify.h"

namespace ccgpu::verify {

// snp.report_data and tdx.report_data are replaced by what the runtime data ask for; tpm.roots and tpm.pinned_keys do
// not matter. The paravisor runs at VMPL 0, which is the default.
struct AzureOptions {
  TpmOptions tpm;
  SnpOptions snp;
  TdxOptions tdx;
  // ASKs beside the built-in ones: the evidence brings a VCEK only. They must be issued by a pinned root all the same.
  std::vector<crypto::Certificate> amd_intermediates = {};
};

Verdict VerifyAzure(const evidence::Unverified<evidence::AzureEvidence>& azure, const Collateral& collateral,
                    const Anchors& anchors, const AzureOptions& options, TimePoint now);

}  // namespace ccgpu::verify
