#include <cstdlib>

#include "trust/evidence/tcg_log_efi.h"

// Event logs: what is parsed is encoded as the same bytes; replaying and reading its events never goes wrong.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  (void)evidence::ParseEfiSignatureLists({data, size});
  const auto log = evidence::ParseTcgLog({data, size});
  if (!log.ok()) return 0;
  if (!Equal(evidence::EncodeTcgLog(*log), ByteView(data, size).first(log->size))) std::abort();
  for (const auto& [algorithm, unused] : log->algorithms) {
    (void)evidence::ReplayTcgLog(*log, algorithm);
    if (!evidence::TpmHashSize(algorithm)) continue;
    (void)evidence::ReadSecureBoot(*log, algorithm);
    for (const auto& event : log->events) {
      (void)evidence::MeasuredText(event, algorithm);
      const auto variable = evidence::ParseEfiVariable(event.data);
      if (variable.ok() && !Equal(evidence::EncodeEfiVariable(*variable), event.data)) std::abort();
    }
  }
  return 0;
}
