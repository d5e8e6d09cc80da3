#include <cstdlib>

#include "trust/evidence/opaque.h"
#include "trust/evidence/rim.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  const auto opaque = evidence::ParseOpaque({data, size});
  if (!opaque.ok()) return 0;
  if (!Equal(evidence::EncodeOpaque(*opaque), {data, size})) std::abort();
  (void)evidence::DriverRimId(*opaque);
  (void)evidence::VbiosRimId(*opaque);
  return 0;
}
