#include "trust/evidence/rim.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  const auto rim = evidence::ParseRim(AsText({data, size}));
  if (rim.ok()) (void)evidence::VerifyRimSignature(*rim);
  return 0;
}
