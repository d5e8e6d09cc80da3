// The checks of a GPU's measurements against its two reference integrity manifests.
#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "trust/verify/anchors.h"
#include "trust/verify/gpu_context.h"

namespace ccgpu::verify {
namespace {

using evidence::RimKind;
using evidence::RimMeasurement;

template <RimKind kKind>
RimState& StateOf(GpuContext& c) {
  return kKind == RimKind::kDriver ? c.driver : c.vbios;
}
template <RimKind kKind>
constexpr const char* Word() {
  return kKind == RimKind::kDriver ? "driver" : "vbios";
}

std::string Listed(const std::map<std::string, std::string>& rims) {
  std::string out;
  for (const auto& [id, xml] : rims) out += (out.empty() ? "" : ", ") + id;
  return out.empty() ? "no RIMs at all" : out;
}

template <RimKind kKind>
Finding RimFound(GpuContext& c) {
  RimState& state = StateOf<kKind>(c);
  if (!c.report) return Finding::Skip("there is no report that names a firmware version");
  state.id =
      kKind == RimKind::kDriver ? evidence::DriverRimId(c.report->opaque) : evidence::VbiosRimId(c.report->opaque);
  const auto it = c.shared.collateral.rims.find(state.id);
  if (it == c.shared.collateral.rims.end()) {
    return Finding::Fail(Err("rim.not-found", "",
                             "there is no RIM \"" + state.id + "\" for the running " + Word<kKind>() +
                                 "; the collateral holds " + Listed(c.shared.collateral.rims)))
        .Claim(std::string("x-nvidia-gpu-") + Word<kKind>() + "-rim-fetched", state.id, "");
  }
  auto rim = evidence::ParseRim(it->second);
  if (!rim.ok()) return Finding::Fail(rim.error()).At("rim/" + state.id, 0, 0);
  state.rim = std::move(*rim);
  return Finding::Pass();
}

template <RimKind kKind>
Finding RimRoot(GpuContext& c) {
  RimState& state = StateOf<kKind>(c);
  if (!state.rim) return Finding::Skip("there is no RIM that could be parsed");
  std::vector<crypto::Certificate> chain = state.rim->chain;
  const crypto::Certificate* anchor = FindAnchor(c.shared.anchors.rim_roots, chain.back());
  if (!anchor || chain.size() < 2) {
    return Finding::Fail(Err("rim.untrusted-root", "",
                             "its chain ends in \"" + chain.back().SubjectName() + "\", which is none of the " +
                                 std::to_string(c.shared.anchors.rim_roots.size()) + " pinned RIM roots"))
        .At("rim/" + state.id, 0, 0);
  }
  chain.back() = *anchor;
  state.chain = std::move(chain);
  return CheckEnvironment(*anchor, RootKind::kRim, c.shared.anchors.insecure_accept_emulated, c.shared.environment)
      .At("rim/" + state.id, 0, 0);
}

template <RimKind kKind>
Finding RimChain(GpuContext& c) {
  RimState& state = StateOf<kKind>(c);
  if (state.chain.empty()) return Finding::Skip("there is no RIM whose chain ends in a pinned root");
  Status status = CheckLinks(state.chain, {}, kRimCodes, c.shared.links);
  if (status.ok()) status = CheckValidity(state.chain, c.shared.now, kRimCodes);
  for (size_t i = 0; status.ok() && i + 1 < state.chain.size(); ++i)
    status = c.shared.revocation.Check(state.chain, i, c.Rules(), kRimCodes);
  return status.ok() ? Finding::Pass() : Finding::Fail(std::move(status).error()).At("rim/" + state.id, 0, 0);
}

template <RimKind kKind>
Finding RimSignature(GpuContext& c) {
  RimState& state = StateOf<kKind>(c);
  if (state.chain.empty()) return Finding::Skip("there is no RIM whose chain ends in a pinned root");
  if (evidence::VerifyRimSignature(*state.rim)) return Finding::Pass();
  return Finding::Fail(
             Err("rim.signature-invalid", "",
                 Equal(state.rim->document_digest, state.rim->claimed_digest)
                     ? "its signature does not fit the key of \"" + state.rim->chain[0].SubjectCommonName() + "\""
                     : "its content is not what was signed"))
      .Claim("digest", HexEncode(state.rim->claimed_digest), HexEncode(state.rim->document_digest))
      .At("rim/" + state.id, 0, 0);
}

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char ch) { return static_cast<char>(std::toupper(ch)); });
  return text;
}

// The id only finds a file; what the signed content says it is for counts.
template <RimKind kKind>
Finding RimVersion(GpuContext& c) {
  RimState& state = StateOf<kKind>(c);
  if (!state.rim || !c.report) return Finding::Skip("there is no RIM that could be parsed");
  const std::string running =
      kKind == RimKind::kDriver ? c.report->opaque.DriverVersion() : c.report->opaque.VbiosVersion();
  if (!running.empty() && Upper(state.rim->colloquial_version) == Upper(running)) return Finding::Pass();
  return Finding::Fail(
             Err("rim.version-mismatch", "",
                 "it is for version \"" + state.rim->colloquial_version + "\", the device runs \"" + running + "\""))
      .Claim(std::string("x-nvidia-gpu-") + Word<kKind>() + "-rim-version-match", running,
             state.rim->colloquial_version)
      .At("rim/" + state.id, 0, 0);
}

// Part by part; parts are numbers in the given base. A part that is no number is below everything.
bool AtLeast(std::string_view version, std::string_view floor, int base) {
  const auto next = [base](std::string_view& text) {
    const size_t dot = text.find('.');
    const std::string_view part = text.substr(0, dot);
    text = dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1);
    long value = -1;
    std::from_chars(part.data(), part.data() + part.size(), value, base);
    return value;
  };
  while (!floor.empty()) {
    const long mine = next(version), least = next(floor);
    if (mine != least) return mine > least;
  }
  return true;
}

Finding VersionFloor(GpuContext& c) {
  if (!c.report) return Finding::Skip("there is no report that names a firmware version");
  if (c.options.driver_floor.empty() && c.options.vbios_floor.empty())
    return Finding::Skip("no lowest version was given");
  for (const auto& [what, running, floor, base] :
       {std::tuple("driver", c.report->opaque.DriverVersion(), c.options.driver_floor, 10),
        std::tuple("VBIOS", c.report->opaque.VbiosVersion(), c.options.vbios_floor, 16)}) {
    if (AtLeast(running, floor, base)) continue;
    return Finding::Fail(
               Err("gpu.version-floor", "",
                   std::string("the ") + what + " " + running + " is older than the oldest accepted one, " + floor))
        .Claim("version", floor, running);
  }
  return Finding::Pass();
}

Finding Disjoint(GpuContext& c) {
  if (!c.driver.rim || !c.vbios.rim) return Finding::Skip("there are not two RIMs");
  for (const RimMeasurement& m : c.driver.rim->measurements) {
    const RimMeasurement* other = c.vbios.rim->Find(m.index);
    if (m.active && other && other->active) {
      return Finding::Fail(
                 Err("rim.index-conflict", "",
                     "both RIMs claim to say what measurement " + evidence::H100ComponentName(m.index) + " must be"))
          .Claim("x-nvidia-gpu-vbios-index-no-conflict", "true", "false");
    }
  }
  return Finding::Pass();
}

bool IsEmulated(const GpuContext& c) { return c.shared.environment == "emulated"; }
const std::string kHardwareSilent = "a hardware report does not say it; the measurements and NVML do";

// The emulator measures mode and fuse as published constants: a wrong one is named instead of being one more mismatch.
Finding Mode(GpuContext& c) {
  if (!c.report) return Finding::Skip("there is no report that could be parsed");
  if (!IsEmulated(c)) return Finding::Skip(kHardwareSilent);
  const auto measured = c.report->measurements.find(evidence::kIndexCcMode);
  // A device whose RIMs do not speak of this index (someone else's emulation) does not measure its mode there.
  const RimMeasurement* golden = c.vbios.rim ? c.vbios.rim->Find(evidence::kIndexCcMode) : nullptr;
  if (measured == c.report->measurements.end() || !golden || !golden->active)
    return Finding::Skip("no RIM says what the mode measurement must be");
  const auto fail = [&](Reason code, const std::string& mode) {
    return Finding::Fail(Err(code, "", "the GPU is in mode " + mode + ", not in hopper-cc"))
        .Claim("mode", "hopper-cc", mode)
        .At(c.ReportDocument(), c.report->MeasurementOffset(evidence::kIndexCcMode), 48);
  };
  if (measured->second == evidence::CcModeMeasurement("off")) return fail("gpu.mode-off", "off");
  if (measured->second == evidence::CcModeMeasurement("apm")) return fail("gpu.mode-apm", "apm");
  if (measured->second == evidence::CcModeMeasurement("devtools") && !c.options.allow_devtools)
    return fail("gpu.mode-devtools", "devtools");
  return Finding::Pass();
}

Finding DebugFuse(GpuContext& c) {
  if (!c.report) return Finding::Skip("there is no report that could be parsed");
  if (!IsEmulated(c)) return Finding::Skip(kHardwareSilent);
  const auto measured = c.report->measurements.find(evidence::kIndexDebugFuse);
  if (measured == c.report->measurements.end() || measured->second != evidence::DebugFuseMeasurement(true))
    return Finding::Pass();
  return Finding::Fail(Err("gpu.debug-enabled", "",
                           "the GPU's debug fuse is set: whoever holds a debugger sees everything in it"))
      .Claim("dbgstat", "disabled", "enabled")
      .At(c.ReportDocument(), c.report->MeasurementOffset(evidence::kIndexDebugFuse), 48);
}

// MSR 35 is only meaningful with the first video decoder enabled, and then the report says 0xAA.
Finding NvdecStatus(GpuContext& c) {
  if (!c.report || !c.driver.rim) return Finding::Skip("there is no report or no driver RIM");
  const RimMeasurement* golden = c.driver.rim->Find(evidence::kIndexNvdec);
  if (!golden || !golden->active) return Finding::Skip("the driver RIM does not use measurement 35");
  const auto status = c.report->opaque.Nvdec0();
  if (status == evidence::kNvdecEnabled || status == evidence::kNvdecDisabled) return Finding::Pass();
  return Finding::Fail(
             Err("gpu.nvdec-status", "",
                 "the NVDEC0 status is neither enabled (0xaa) nor disabled (0x55), so measurement 35 cannot be judged"))
      .Claim("NVDEC0_STATUS", "aa or 55", status ? HexEncode(Bytes{*status}) : "absent");
}

bool MayDiffer(const GpuContext& c, const RimMeasurement& golden, const Bytes& runtime) {
  if (golden.index == evidence::kIndexNvdec && c.report->opaque.Nvdec0() == evidence::kNvdecDisabled) return true;
  return golden.index == evidence::kIndexCcMode && c.options.allow_devtools && IsEmulated(c) &&
         runtime == evidence::CcModeMeasurement("devtools");
}

void Compare(GpuContext& c, const evidence::Rim& rim, const char* source) {
  for (const RimMeasurement& golden : rim.measurements) {
    if (!golden.active) continue;
    const auto found = c.report->measurements.find(golden.index);
    const Bytes runtime = found == c.report->measurements.end() ? Bytes() : found->second;
    const bool match = std::any_of(golden.alternatives.begin(), golden.alternatives.end(),
                                   [&](const Bytes& value) { return EqualConstantTime(value, runtime); });
    if (!match && !MayDiffer(c, golden, runtime))
      c.mismatches.push_back({golden.index, source, golden.alternatives[0], runtime});
  }
}

Finding Measurements(GpuContext& c) {
  if (!c.report || !c.driver.rim || !c.vbios.rim) return Finding::Skip("there is no report or there are not two RIMs");
  const auto active = [](const evidence::Rim& rim) {
    return std::any_of(rim.measurements.begin(), rim.measurements.end(), [](const auto& m) { return m.active; });
  };
  if (!active(*c.driver.rim) || !active(*c.vbios.rim)) {
    return Finding::Fail(Err("rim.empty", "", "a RIM without active measurements accepts any firmware"));
  }
  Compare(c, *c.vbios.rim, "vbios");
  Compare(c, *c.driver.rim, "driver");
  c.measurements_match = c.mismatches.empty();
  if (c.measurements_match) return Finding::Pass();
  std::string names;
  for (const Mismatch& m : c.mismatches) names += (names.empty() ? "" : ", ") + evidence::H100ComponentName(m.index);
  const Mismatch& first = c.mismatches[0];
  const std::string rim_id = first.source == std::string("driver") ? c.driver.id : c.vbios.id;
  return Finding::Fail(Err("gpu.measurement-mismatch", "",
                           std::to_string(c.mismatches.size()) + " measurements differ from the RIMs: " + names +
                               "; the first against RIM " + rim_id))
      .Claim("measres", HexEncode(first.golden), HexEncode(first.runtime))
      .At(c.ReportDocument(), c.report->MeasurementOffset(first.index), evidence::kGpuMeasurementSize);
}

constexpr RimKind kD = RimKind::kDriver, kV = RimKind::kVbios;
constexpr NamedCheck<GpuContext> kChecks[] = {
    {"driver-rim.found", RimFound<kD>},
    {"driver-rim.root", RimRoot<kD>},
    {"driver-rim.chain", RimChain<kD>},
    {"driver-rim.signature", RimSignature<kD>},
    {"driver-rim.version", RimVersion<kD>},
    {"vbios-rim.found", RimFound<kV>},
    {"vbios-rim.root", RimRoot<kV>},
    {"vbios-rim.chain", RimChain<kV>},
    {"vbios-rim.signature", RimSignature<kV>},
    {"vbios-rim.version", RimVersion<kV>},
    {"rims.disjoint", Disjoint},
    {"version.floor", VersionFloor, true},
    {"mode", Mode, true},
    {"debug-fuse", DebugFuse, true},
    {"nvdec", NvdecStatus, true},
    {"measurements", Measurements},
};

}  // namespace

std::span<const NamedCheck<GpuContext>> GpuRimChecks() { return kChecks; }

}  // namespace ccgpu::verify
