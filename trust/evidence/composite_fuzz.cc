// The JSON envelopes: what is accepted is stable under writing and reading.
#include <cstdlib>

#include "trust/evidence/composite.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  const std::string_view text = AsText({data, size});
  (void)evidence::DeviceEvidenceFromJson(text);
  (void)evidence::SnpEvidenceFromJson(text);
  const auto composite = evidence::ParseComposite(text);
  if (!composite.ok()) return 0;
  const std::string once = evidence::EncodeComposite(*composite);
  const auto again = evidence::ParseComposite(once);
  if (!again.ok() || evidence::EncodeComposite(*again) != once) std::abort();
  return 0;
}
