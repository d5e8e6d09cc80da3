// One GPU or one NVSwitch.
#include "trust/verify/gpu/context.h"

namespace ccgpu::verify {
namespace {

Verdict VerifyDevice(const evidence::GpuEvidence& device, DeviceKind kind, const std::string& name,
                     const Collateral& collateral, const Anchors& anchors, const GpuOptions& options, TimePoint now,
                     Cache* cache) {
  Verdict verdict;
  SharedContext shared(collateral, anchors, now, cache);
  GpuContext context{device, options, shared, name, {}, {}, {}, {}, {}, {}};
  context.kind = kind;
  verdict.accepted = RunGpuChecks(context, verdict.checks);
  verdict.environment = shared.environment;
  verdict.claims_json =
      GpuClaims(context, verdict.checks, name + ".").dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (verdict.accepted) {
    Claims claims;
    claims.json = verdict.claims_json;
    claims.environment = verdict.environment;
    if (kind == DeviceKind::kGpu) claims.gpus = {FactsOf(context)};
    verdict.verified = Seal(std::move(claims));
  }
  return verdict;
}

}  // namespace

bool RunGpuChecks(GpuContext& context, std::vector<Check>& checks) {
  const std::string prefix = context.name + ".";
  const bool is_switch = context.kind == DeviceKind::kSwitch;
  const bool report = RunChecks(is_switch ? SwitchReportChecks() : GpuReportChecks(), context, prefix, checks);
  const auto rim_checks = context.options.references_replace_rims ? ReferenceChecks()
                          : is_switch                             ? SwitchRimChecks()
                                                                  : GpuRimChecks();
  const bool rims = RunChecks(rim_checks, context, prefix, checks);
  context.good = report && rims;
  return context.good;
}

Verdict VerifyGpu(const evidence::Unverified<evidence::GpuEvidence>& gpu, const Collateral& collateral,
                  const Anchors& anchors, const GpuOptions& options, TimePoint now, Cache* cache) {
  return VerifyDevice(gpu.unverified(), DeviceKind::kGpu, "gpu0", collateral, anchors, options, now, cache);
}

Verdict VerifySwitch(const evidence::Unverified<evidence::GpuEvidence>& nvswitch, const Collateral& collateral,
                     const Anchors& anchors, const GpuOptions& options, TimePoint now, Cache* cache) {
  return VerifyDevice(nvswitch.unverified(), DeviceKind::kSwitch, "switch0", collateral, anchors, options, now, cache);
}

}  // namespace ccgpu::verify
