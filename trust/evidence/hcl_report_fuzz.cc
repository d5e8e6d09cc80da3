#include <cstdlib>

#include "trust/evidence/azure_evidence.h"
#include "trust/evidence/hcl_report.h"

// The paravisor's report, its runtime data, and the JSON forms of Azure's evidence.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  const ByteView bytes(data, size);
  if (const auto report = evidence::ParseHclReport(bytes); report.ok()) {
    const auto again = evidence::ParseHclReport(evidence::EncodeHclReport(*report));
    if (!again.ok() || again->runtime_json != report->runtime_json || again->hardware != report->hardware) std::abort();
    (void)evidence::ParseHclRuntime(report->runtime_json);
  }
  (void)evidence::ParseHclRuntime(AsText(bytes));
  for (const char* tee : {"az-snp-vtpm", "az-tdx-vtpm"}) {
    const auto parsed = evidence::AzureEvidenceFromJson(tee, AsText(bytes));
    if (!parsed.ok()) continue;
    const auto again = evidence::AzureEvidenceFromJson(tee, evidence::AzureEvidenceToJson(*parsed));
    if (!again.ok() || again->hcl_report != parsed->hcl_report) std::abort();
  }
  return 0;
}
