// Judging TPM 2.0 quotes: that a TPM with a known attestation key made it now, over these registers, and that event log
// and expectations agree with what the registers hold (docs/formats/tpm.md).
//
// Two things a TPM cannot say itself are the caller's: which attestation keys are a TPM's (roots or pins), and which
// register values are good.
#pragma once

#include "trust/evidence/tpm_evidence.h"
#include "trust/evidence/tpm_quote.h"
#include "trust/verify/tpm/options.h"
#include "trust/verify/verify.h"

namespace ccgpu::verify {

Verdict VerifyTpm(const evidence::Unverified<evidence::TpmEvidence>& tpm, const Collateral& collateral,
                  const Anchors& anchors, const TpmOptions& options, TimePoint now);

}  // namespace ccgpu::verify
