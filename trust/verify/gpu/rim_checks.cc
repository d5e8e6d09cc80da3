// The checks of a device's measurements against its reference integrity manifests: a GPU's two, a switch's one.
#include <algorithm>
#include <charconv>

#include "base/encoding.h"
#include "trust/verify/gpu/rims.h"
#include "trust/verify/references/checks.h"

namespace ccgpu::verify {
namespace {

using evidence::RimMeasurement;

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
  const bool gpu = c.kind == DeviceKind::kGpu;
  const std::string driver = gpu ? c.options.driver_floor : "";
  const std::string bios = gpu ? c.options.vbios_floor : c.options.switch_bios_floor;
  if (driver.empty() && bios.empty()) return Finding::Skip("no lowest version was given");
  for (const auto& [what, running, floor, base] :
       {std::tuple("driver", c.report->opaque.DriverVersion(), driver, 10),
        std::tuple(gpu ? "VBIOS" : "BIOS", c.report->opaque.VbiosVersion(), bios, 16)}) {
    if (AtLeast(running, floor, base)) continue;
    return Finding::Fail(
               Err("gpu.version-floor", "",
                   std::string("the ") + what + " " + running + " is older than the oldest accepted one, " + floor))
        .Claim("version", floor, running);
  }
  return Finding::Pass();
}

// Security version numbers of the new opaque form; the numbers are the device's signed statement about itself.
Finding SvnFloor(GpuContext& c) {
  if (!c.report) return Finding::Skip("there is no report that names a firmware version");
  if (c.options.minimum_svn.empty()) return Finding::Skip("no lowest security version was given");
  for (const auto& [type, least] : c.options.minimum_svn) {
    const auto running = c.report->opaque.Svn(type);
    if (running && *running >= least) continue;
    return Finding::Fail(
               Err("gpu.svn-floor", "",
                   "the security version of opaque field " + std::to_string(type) +
                       (running ? " is " + std::to_string(*running) + ", below " + std::to_string(least)
                                : " is not in the report, at least " + std::to_string(least) + " is asked for")))
        .Claim("svn " + std::to_string(type), std::to_string(least), running ? std::to_string(*running) : "absent")
        .At(c.ReportDocument(), c.report->OpaqueOffset(), evidence::EncodeOpaque(c.report->opaque).size());
  }
  return Finding::Pass();
}

Finding Disjoint(GpuContext& c) {
  if (!c.driver.rim || !c.vbios.rim) return Finding::Skip("there are not two RIMs");
  for (const RimMeasurement& m : c.driver.rim->measurements) {
    const RimMeasurement* other = c.vbios.rim->Find(m.index);
    if (m.active && other && other->active) {
      return Finding::Fail(Err("rim.index-conflict", "",
                               "both RIMs claim to say what measurement " + ComponentName(c, m) + " must be"))
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
  const bool spoken_of = (golden && golden->active) || c.options.references_replace_rims;
  if (measured == c.report->measurements.end() || !spoken_of)
    return Finding::Skip("no RIM says what the mode measurement must be");
  // The best that the architecture has. What an A100's mode is worth, the policy decides (claim "mode").
  const std::string wanted = c.evidence.arch == "AMPERE" ? "apm" : "hopper-cc";
  const auto fail = [&](Reason code, const std::string& mode) {
    return Finding::Fail(Err(code, "", "the GPU is in mode " + mode + ", not in " + wanted))
        .Claim("mode", wanted, mode)
        .At(c.ReportDocument(), c.report->MeasurementOffset(evidence::kIndexCcMode), 48);
  };
  if (measured->second == evidence::CcModeMeasurement("off")) return fail("gpu.mode-off", "off");
  if (wanted != "apm" && measured->second == evidence::CcModeMeasurement("apm")) return fail("gpu.mode-apm", "apm");
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

bool HasActive(const evidence::Rim& rim) {
  return std::any_of(rim.measurements.begin(), rim.measurements.end(), [](const auto& m) { return m.active; });
}

// Whether all of it fits; what does not is added to the mismatches, and the nearest RIM looked for.
bool Compare(GpuContext& c, RimRole role) {
  RimState& state = StateOf(c, role);
  const size_t before = c.mismatches.size();
  for (const RimMeasurement& golden : state.rim->measurements) {
    if (!golden.active || Fits(c, golden)) continue;
    const auto found = c.report->measurements.find(golden.index);
    c.mismatches.push_back({golden.index, RimWord(role), ComponentName(c, golden), state.id, golden.alternatives[0],
                            found == c.report->measurements.end() ? Bytes() : found->second});
  }
  if (c.mismatches.size() == before) return true;
  state.nearest = FindNearestRim(c, role);
  return false;
}

Finding CompareAll(GpuContext& c, std::initializer_list<RimRole> roles) {
  for (const RimRole role : roles) {
    if (!HasActive(*StateOf(c, role).rim))
      return Finding::Fail(Err("rim.empty", "", "a RIM without active measurements accepts any firmware"))
          .At("rim/" + StateOf(c, role).id, 0, 0);
  }
  std::string hints;
  for (const RimRole role : roles) {
    if (!Compare(c, role)) hints += NearestText(StateOf(c, role));
  }
  c.measurements_match = c.mismatches.empty();
  if (c.measurements_match) return Finding::Pass();
  std::string names, rim;
  for (const Mismatch& m : c.mismatches) {
    names += m.rim_id == rim ? ", " : (rim.empty() ? "" : "; ") + ("from RIM \"" + m.rim_id + "\": ");
    names += m.component;
    rim = m.rim_id;
  }
  const Mismatch& first = c.mismatches[0];
  return Finding::Fail(Err("gpu.measurement-mismatch", "",
                           std::to_string(c.mismatches.size()) + " measurements differ " + names + hints))
      .Claim("measres", HexEncode(first.golden), HexEncode(first.runtime))
      .At(c.ReportDocument(), c.report->MeasurementOffset(first.index), evidence::kGpuMeasurementSize);
}

Finding Measurements(GpuContext& c) {
  if (!c.report || !c.driver.rim || !c.vbios.rim) return Finding::Skip("there is no report or there are not two RIMs");
  return CompareAll(c, {RimRole::kVbios, RimRole::kDriver});
}

Finding SwitchMeasurements(GpuContext& c) {
  if (!c.report || !c.vbios.rim) return Finding::Skip("there is no report or no RIM");
  return CompareAll(c, {RimRole::kSwitchBios});
}

constexpr RimRole kD = RimRole::kDriver, kV = RimRole::kVbios, kS = RimRole::kSwitchBios;
// Measurements under the certified chip's name, compared with signed CoRIMs.
Finding FitsReferences(GpuContext& c) {
  if (!c.report || c.chain.size() < 2) return Finding::Skip("there is no report of a device whose root is pinned");
  const std::string chip = c.chain[1].SubjectCommonName();
  Measured measured{"NVIDIA", chip.substr(0, chip.find(' ')), crypto::Hash::kSha384, {}};
  std::erase(measured.model, '_');  // "LS_10" is sold as LS10
  for (const auto& [index, value] : c.report->measurements) measured.values[std::to_string(index)] = value;
  if (c.report->opaque.Nvdec0() == evidence::kNvdecDisabled)
    measured.exempt.insert(std::to_string(evidence::kIndexNvdec));
  Finding finding = CheckReferences(c.options.references.get(), measured, c.shared.environment, c.ReportDocument());
  if (c.options.references_replace_rims) c.measurements_match = finding.outcome == Check::Outcome::kPassed;
  return finding;
}

constexpr NamedCheck<GpuContext> kGpuChecks[] = {
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
    {"svn.floor", SvnFloor, true},
    {"mode", Mode, true},
    {"debug-fuse", DebugFuse, true},
    {"nvdec", NvdecStatus, true},
    {"measurements", Measurements},
    {"references", FitsReferences, true},
};

constexpr NamedCheck<GpuContext> kSwitchChecks[] = {
    {"bios-rim.found", RimFound<kS>},     {"bios-rim.root", RimRoot<kS>},
    {"bios-rim.chain", RimChain<kS>},     {"bios-rim.signature", RimSignature<kS>},
    {"bios-rim.version", RimVersion<kS>}, {"version.floor", VersionFloor, true},
    {"measurements", SwitchMeasurements}, {"references", FitsReferences, true},
};

constexpr NamedCheck<GpuContext> kReferenceChecks[] = {
    {"version.floor", VersionFloor, true}, {"svn.floor", SvnFloor, true},  {"mode", Mode, true},
    {"debug-fuse", DebugFuse, true},       {"references", FitsReferences},
};

}  // namespace

std::span<const NamedCheck<GpuContext>> GpuRimChecks() { return kGpuChecks; }
std::span<const NamedCheck<GpuContext>> SwitchRimChecks() { return kSwitchChecks; }
std::span<const NamedCheck<GpuContext>> ReferenceChecks() { return kReferenceChecks; }

}  // namespace ccgpu::verify
