// CBOR: what is accepted is written back as the same bytes.
#include <cstdlib>

#include "trust/evidence/cbor.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  const ByteView document(data, size);
  const auto value = evidence::cbor::Decode(document);
  if (value.ok() && !Equal(evidence::cbor::Encode(*value), document)) std::abort();
  if (evidence::cbor::Decode(document, true).ok() && !value.ok()) std::abort();
  return 0;
}
