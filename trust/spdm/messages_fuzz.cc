// Every decoder of the message codec on any bytes: no crash, views only ever cut, and what was decoded encodes to a
// message that decodes again to the same.
#include <cstdlib>

#include "trust/spdm/certificate_chain.h"
#include "trust/spdm/measurements.h"
#include "trust/spdm/messages.h"
#include "trust/spdm/opaque.h"

namespace {

using namespace ccgpu::spdm;
using ccgpu::Bytes;
using ccgpu::ByteView;

template <typename Decode>
void Check(ByteView input, Decode decode) {
  ByteView view = input;
  auto first = decode(&view);
  if (!first.ok()) {
    if (view.size() != input.size()) std::abort();
    return;
  }
  if (view.data() != input.data() || view.size() > input.size() || input.size() - view.size() > 3) std::abort();
  const Bytes again = Encode(*first);
  ByteView second = again;
  auto twice = decode(&second);
  if (!twice.ok() || second.size() != again.size() || Encode(*twice) != again) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView in(data, size);
  Check(in, [](ByteView* v) { return DecodeVersion(v); });
  Check(in, [](ByteView* v) { return DecodeCapabilities(v, kGetCapabilities); });
  Check(in, [](ByteView* v) { return DecodeCapabilities(v, kCapabilities); });
  Check(in, [](ByteView* v) { return DecodeAlgorithms(v, false); });
  Check(in, [](ByteView* v) { return DecodeAlgorithms(v, true); });
  Check(in, [](ByteView* v) { return DecodeDigests(v); });
  Check(in, [](ByteView* v) { return DecodeGetCertificate(v); });
  Check(in, [](ByteView* v) { return DecodeCertificate(v); });
  Check(in, [](ByteView* v) { return DecodeGetMeasurements(v); });
  Check(in, [](ByteView* v) { return DecodeMeasurements(v, false); });
  Check(in, [](ByteView* v) { return DecodeMeasurements(v, true); });
  Check(in, [](ByteView* v) { return DecodeKeyExchange(v); });
  Check(in, [](ByteView* v) { return DecodeKeyExchangeRsp(v, false); });
  Check(in, [](ByteView* v) { return DecodeKeyExchangeRsp(v, true); });
  Check(in, [](ByteView* v) { return DecodeFinish(v, false); });
  Check(in, [](ByteView* v) { return DecodeFinish(v, true); });
  Check(in, [](ByteView* v) { return DecodeEncapsulatedRequest(v); });
  Check(in, [](ByteView* v) { return DecodeDeliverEncapsulatedResponse(v); });
  Check(in, [](ByteView* v) { return DecodeEncapsulatedResponseAck(v); });
  Check(in, [](ByteView* v) { return DecodeChallenge(v); });
  Check(in, [](ByteView* v) { return DecodeChallengeAuth(v, false); });
  Check(in, [](ByteView* v) { return DecodeChallengeAuth(v, true); });
  if (auto chain = DecodeChain(in); chain.ok() && chain->empty()) std::abort();
  Check(in, [](ByteView* v) { return DecodeVendorDefined(v, false); });
  Check(in, [](ByteView* v) { return DecodeVendorDefined(v, true); });
  Check(in, [](ByteView* v) { return DecodeError(v); });
  for (uint8_t version : {kVersion11, kVersion12}) {
    (void)DecodeSupportedVersions(version, in);
    (void)DecodeSelectedVersion(version, in);
  }
  if (size > 0) {
    if (auto blocks = DecodeRecord(in.subspan(1), data[0]);
        blocks.ok() && !ccgpu::Equal(EncodeRecord(*blocks), in.subspan(1)))
      std::abort();
  }
  return 0;
}
