// Frames of NVIDIA's driver from a hostile host: what decodes must encode to the same frame again, and no DOE object
// that has an answer may be taken for one.
#include <cstdlib>

#include "trust/spdm/gsp_frame.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu::spdm;
  const ccgpu::ByteView frame(data, size);
  if (auto packet = DecodeGspFrame(frame); packet.ok()) {
    if (!IsGspFrame(frame)) std::abort();
    auto again = EncodeGspFrame(*packet);
    if (!again.ok() || !ccgpu::Equal(*again, frame)) std::abort();
  }
  if (IsGspFrame(frame) && (DecodeDoe(frame).ok() || AnswerDiscovery(frame).ok())) std::abort();
  return 0;
}
