// SNP reports as bytes: what is accepted survives both of its forms.
#include <cstdlib>

#include "trust/evidence/snp_report.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  const auto report = evidence::ParseSnpReport({data, size});
  if (!report.ok()) return 0;
  if (!Equal(evidence::EncodeSnpReport(*report), {data, size})) std::abort();
  const auto again = evidence::SnpReportFromJson(evidence::SnpReportToJson(*report));
  if (!again.ok() || !Equal(evidence::EncodeSnpReport(*again), {data, size})) std::abort();
  (void)report->RawSignature();
  return 0;
}
