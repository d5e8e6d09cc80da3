// Reports from outside: no crash, and what is accepted is written back as it came.
#include <cstdlib>

#include "trust/evidence/gpu_report.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  const auto report = evidence::ParseGpuReport({data, size});
  if (!report.ok()) return 0;
  Bytes again = evidence::EncodeGpuReportBody(*report);
  Append(again, report->signature);
  if (!Equal(again, {data, size})) std::abort();
  return 0;
}
