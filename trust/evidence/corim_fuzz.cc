// CoRIM: what is accepted is stable under writing and reading.
#include <cstdlib>

#include "trust/evidence/corim.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  const ByteView document(data, size);
  if (const auto meta = evidence::ParseCorimMeta(document); meta.ok()) {
    const Bytes once = evidence::EncodeCorimMeta(*meta);
    const auto again = evidence::ParseCorimMeta(once);
    if (!again.ok() || evidence::EncodeCorimMeta(*again) != once) std::abort();
  }
  const auto values = evidence::ParseCorim(document);
  if (!values.ok() || values->tags.empty()) return 0;
  for (const auto& tag : values->tags) {
    if (tag.triples.empty()) return 0;  // its triples were of other kinds, which are not written
  }
  const Bytes once = evidence::EncodeCorim(*values);
  const auto again = evidence::ParseCorim(once);
  if (!again.ok() || evidence::EncodeCorim(*again) != once) std::abort();
  return 0;
}
