// DOE objects from a hostile host: what decodes must encode to the same object again.
#include <cstdlib>

#include "trust/spdm/doe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu::spdm;
  const ccgpu::ByteView object(data, size);
  if (auto packet = DecodeDoe(object); packet.ok()) {
    const ccgpu::Bytes again = EncodeDoe(*packet);
    if (again.size() != size) std::abort();
    if (!DecodeDoe(again).ok()) std::abort();
  }
  (void)DecodeDiscoveryResponse(object);
  if (auto answer = AnswerDiscovery(object); answer.ok() && answer->size() != 12) std::abort();
  return 0;
}
