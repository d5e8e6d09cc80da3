// What the checks of one Azure machine share. Included by trust/verify's own sources only.
#pragma once

#include <optional>

#include "trust/evidence/hcl_report.h"
#include "trust/verify/azure/azure.h"
#include "trust/verify/snp/context.h"
#include "trust/verify/tdx/context.h"
#include "trust/verify/tpm/context.h"

namespace ccgpu::verify {

struct AzureContext {
  AzureContext(const evidence::AzureEvidence& given, const AzureOptions& asked, SharedContext& together);
  AzureContext(const AzureContext&) = delete;  // its parts refer to each other

  const evidence::AzureEvidence& evidence;
  AzureOptions options;
  SharedContext& shared;
  std::optional<evidence::HclReport> hcl;
  std::optional<evidence::HclRuntime> runtime;

  evidence::SnpEvidence snp_evidence;
  evidence::TdxEvidence tdx_evidence;
  evidence::TpmEvidence tpm_evidence;
  SnpContext snp;
  TdxContext tdx;
  TpmContext tpm;

  bool IsSnp() const { return evidence.tee == "az-snp-vtpm"; }
};

// The paravisor's report, then the hardware's, then the vTPM's; true when nothing stands against acceptance.
bool RunAzureChecks(AzureContext& context, std::vector<Check>& checks);
// CoCo's claims of the hardware, with those of the vTPM under "tpm"; Microsoft's x-ms-runtime.
nlohmann::ordered_json AzureClaims(const AzureContext& context);
CpuFacts AzureFacts(const AzureContext& context);

}  // namespace ccgpu::verify
