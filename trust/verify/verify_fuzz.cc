// The whole verifier: whatever comes, nothing is accepted under roots that nobody has the keys of.
#include <cstdlib>

#include "trust/verify/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  static const verify::Anchors anchors = [] {
    verify::Anchors out = verify::BuiltinAnchors();
    out.insecure_accept_emulated = true;
    return out;
  }();
  const TimePoint now(std::chrono::seconds(1717200000));
  const ByteView all(data, size);
  const ByteView half = all.first(size / 2);
  evidence::CompositeEvidence pod;
  if (auto parsed = evidence::ParseComposite(AsText(all)); parsed.ok()) {
    pod = std::move(*parsed);
  } else {
    pod.cpu = evidence::SnpEvidence{ToBytes(all), {}};
    pod.gpus = {{"HOPPER", "", ToBytes(half), ToText(all.subspan(half.size()))}};
  }
  verify::CompositeOptions options;
  options.gpu.nonce = Bytes(32);
  options.gpu.require_revocation = false;
  options.report_data = Bytes(64);
  options.threads = 1;
  const auto verdict = verify::VerifyComposite(evidence::Unverified(pod), pod.collateral, anchors, options, now);
  if (verdict.accepted || verdict.verified) std::abort();
  (void)verdict.ToJson();
  return 0;
}
