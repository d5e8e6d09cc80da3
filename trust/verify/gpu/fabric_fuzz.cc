// A set of GPUs and switches: whatever comes, nothing is accepted under roots that nobody has the keys of, and a cache
// that saw other input does not change the verdict.
#include <cstdlib>

#include "trust/verify/gpu/fabric.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  static const verify::Anchors anchors = [] {
    verify::Anchors out = verify::BuiltinAnchors();
    out.insecure_accept_emulated = true;
    return out;
  }();
  static verify::Cache cache;
  const ByteView all(data, size);
  evidence::Collateral collateral;
  std::vector<evidence::GpuEvidence> devices;
  if (auto list = evidence::DeviceEvidenceFromJson(AsText(all)); list.ok()) {
    devices = std::move(*list);
  } else {
    const ByteView half = all.first(size / 2), rest = all.subspan(half.size());
    devices = {{"HOPPER", "", ToBytes(half), ToText(rest)}, {"LS10", "", ToBytes(half), ToText(rest)}};
    collateral.rims = {{"NV_GPU_DRIVER_GH100_", ToText(half)}, {"NV_SWITCH_BIOS_5612_0002_890_", ToText(rest)}};
    collateral.ocsp_responses = {ToBytes(rest)};
    collateral.crls = {ToBytes(rest)};
  }
  verify::FabricOptions options;
  options.device.nonce = Bytes(32);
  options.device.require_revocation = false;
  options.gpu_count = options.switch_count = 1;
  options.threads = 1;
  const evidence::Unverified fabric(verify::FabricOf(std::move(devices)));
  const TimePoint now(std::chrono::seconds(1717200000));
  const auto cold = verify::VerifyFabric(fabric, collateral, anchors, options, now);
  const auto warm = verify::VerifyFabric(fabric, collateral, anchors, options, now, &cache);
  if (cold.accepted || cold.verified || warm.ToJson() != cold.ToJson()) std::abort();
  return 0;
}
