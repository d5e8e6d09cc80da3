// One healthy GPU with its RIMs and OCSP answers, a few bytes of one of the documents changed, judged as a whole: no
// crash, no acceptance of a changed report, and a refusal that names its reason.
#include <cstdlib>

#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

// The documents by number: report, chain, RIMs, OCSP answers.
Bytes DocumentOf(const GpuWorld& w, size_t which) {
  if (which == 0) return w.evidence.report;
  if (which == 1) return ToBytes(AsBytes(w.evidence.certificate_chain));
  size_t at = 2;
  for (const auto& [id, xml] : w.collateral.rims) {
    if (which == at++) return ToBytes(AsBytes(xml));
  }
  return w.collateral.ocsp_responses[(which - at) % w.collateral.ocsp_responses.size()];
}

void Put(GpuWorld& w, size_t which, const Bytes& bytes) {
  size_t at = 2;
  if (which == 0) w.evidence.report = bytes;
  if (which == 1) w.evidence.certificate_chain = ToText(bytes);
  for (auto& [id, xml] : w.collateral.rims) {
    if (which == at++) xml = ToText(bytes);
  }
  if (which >= at) w.collateral.ocsp_responses[(which - at) % w.collateral.ocsp_responses.size()] = bytes;
}

}  // namespace
}  // namespace ccgpu::verify

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  static const verify::GpuWorld healthy;
  static verify::Cache cache;
  Reader in(ByteView(data, size));
  const size_t which = in.U8() % 10;
  const Bytes before = verify::DocumentOf(healthy, which);
  Bytes changed = before;
  // Each edit: kind, where, what.
  for (int edits = 0; edits < 32 && in.remaining() >= 4 && !changed.empty(); ++edits) {
    const uint8_t kind = in.U8() % 4, value = in.U8();
    const auto at = static_cast<ptrdiff_t>(in.U16() % changed.size());
    if (kind == 0) changed[static_cast<size_t>(at)] ^= value;
    if (kind == 1) changed.insert(changed.begin() + at, value);
    if (kind == 2) changed.erase(changed.begin() + at);
    if (kind == 3) changed.resize(static_cast<size_t>(at));
  }
  verify::GpuWorld world = healthy;
  verify::Put(world, which, changed);
  const verify::Verdict verdict = VerifyGpu(evidence::Unverified(world.evidence), world.collateral, world.anchors,
                                            world.options, world.now, &cache);
  if (verdict.accepted != verdict.verified.has_value()) std::abort();
  if (verdict.accepted && which == 0 && changed != before) std::abort();
  if (!verdict.accepted && (!verdict.FirstFailure() || verdict.FirstFailure()->reason.code.empty())) std::abort();
  (void)verdict.ToJson();
  return 0;
}
