#include "trust/verify/gpu/rims.h"

#include <algorithm>

#include "base/encoding.h"
#include "trust/verify/anchors.h"

namespace ccgpu::verify {
namespace {

using evidence::RimMeasurement;

constexpr size_t kMostCompared = 64;
constexpr size_t kMostListed = 20;

std::string Listed(const std::map<std::string, std::string>& rims) {
  if (rims.empty()) return "no RIMs at all";
  std::string out;
  size_t count = 0;
  for (const auto& [id, xml] : rims) {
    if (count == kMostListed) return out + " and " + std::to_string(rims.size() - count) + " more";
    out += (count++ ? ", " : "") + id;
  }
  return out;
}

std::string Claim(RimRole role, const char* what) {
  return std::string(role == RimRole::kSwitchBios ? "x-nvidia-switch-" : "x-nvidia-gpu-") + RimWord(role) + "-rim-" +
         what;
}

std::string IdFor(const evidence::OpaqueData& opaque, RimRole role) {
  switch (role) {
    case RimRole::kDriver: return evidence::DriverRimId(opaque);
    case RimRole::kVbios: return evidence::VbiosRimId(opaque);
    case RimRole::kSwitchBios: return evidence::SwitchBiosRimId(opaque);
  }
  return "";
}

std::string Running(const evidence::OpaqueData& opaque, RimRole role) {
  return role == RimRole::kDriver ? opaque.DriverVersion() : opaque.VbiosVersion();
}

bool HasRole(std::string_view id, RimRole role) {
  switch (role) {
    case RimRole::kDriver: return id.starts_with("NV_GPU_DRIVER_") || id.starts_with("NV_GPU_CC_DRIVER_");
    case RimRole::kVbios: return id.starts_with("NV_GPU_VBIOS_");
    case RimRole::kSwitchBios: return id.starts_with("NV_SWITCH_BIOS_");
  }
  return false;
}

std::string Upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char ch) { return static_cast<char>(std::toupper(ch)); });
  return text;
}

}  // namespace

const char* RimWord(RimRole role) {
  switch (role) {
    case RimRole::kDriver: return "driver";
    case RimRole::kVbios: return "vbios";
    case RimRole::kSwitchBios: return "bios";
  }
  return "";
}

template <RimRole kRole>
Finding RimFound(GpuContext& c) {
  RimState& state = StateOf(c, kRole);
  if (!c.report) return Finding::Skip("there is no report that names a firmware version");
  state.id = IdFor(c.report->opaque, kRole);
  const auto& rims = c.shared.collateral.rims;
  const auto it = rims.find(state.id);
  if (it == rims.end()) {
    state.nearest = FindNearestRim(c, kRole);
    return Finding::Fail(Err("rim.not-found", "",
                             "there is no RIM \"" + state.id + "\" for the running " + RimWord(kRole) +
                                 "; the collateral holds " + Listed(rims) + NearestText(state)))
        .Claim(Claim(kRole, "fetched"), state.id, "");
  }
  state.content = IdOf(AsBytes(it->second));
  state.parsed = c.shared.links.tables().rims.Get(state.content, [&] { return evidence::ParseRim(it->second); });
  if (!state.parsed->ok()) return Finding::Fail(state.parsed->error()).At("rim/" + state.id, 0, 0);
  state.rim = &**state.parsed;
  return Finding::Pass();
}

template <RimRole kRole>
Finding RimRoot(GpuContext& c) {
  RimState& state = StateOf(c, kRole);
  if (!state.rim) return Finding::Skip("there is no RIM that could be parsed");
  const crypto::Certificate& claimed = state.rim->chain.back();
  const crypto::Certificate* anchor = FindAnchor(c.shared.anchors.rim_roots, claimed);
  if (!anchor || state.rim->chain.size() < 2) {
    return Finding::Fail(Err("rim.untrusted-root", "",
                             "its chain ends in \"" + claimed.SubjectName() + "\", which is none of the " +
                                 std::to_string(c.shared.anchors.rim_roots.size()) + " pinned RIM roots"))
        .At("rim/" + state.id, 0, 0);
  }
  state.chain = state.rim->chain;
  state.chain.back() = *anchor;
  return CheckEnvironment(*anchor, RootKind::kRim, c.shared.anchors.insecure_accept_emulated, c.shared.environment)
      .At("rim/" + state.id, 0, 0);
}

template <RimRole kRole>
Finding RimChain(GpuContext& c) {
  RimState& state = StateOf(c, kRole);
  if (state.chain.empty()) return Finding::Skip("there is no RIM whose chain ends in a pinned root");
  Status status = CheckLinks(state.chain, {}, kRimCodes, c.shared.links);
  if (status.ok()) status = CheckValidity(state.chain, c.shared.now, kRimCodes);
  if (status.ok()) status = CheckRevocation(c, state.chain, 0, true, state.standing);
  return status.ok() ? Finding::Pass() : Finding::Fail(std::move(status).error()).At("rim/" + state.id, 0, 0);
}

template <RimRole kRole>
Finding RimSignature(GpuContext& c) {
  RimState& state = StateOf(c, kRole);
  if (state.chain.empty()) return Finding::Skip("there is no RIM whose chain ends in a pinned root");
  // The key is the embedded leaf's, which is part of the content that names the entry.
  const bool fits = *c.shared.links.tables().signatures.Get(IdOf("rim", state.content, state.content),
                                                            [&] { return evidence::VerifyRimSignature(*state.rim); });
  if (fits) return Finding::Pass();
  return Finding::Fail(
             Err("rim.signature-invalid", "",
                 Equal(state.rim->document_digest, state.rim->claimed_digest)
                     ? "its signature does not fit the key of \"" + state.rim->chain[0].SubjectCommonName() + "\""
                     : "its content is not what was signed"))
      .Claim("digest", HexEncode(state.rim->claimed_digest), HexEncode(state.rim->document_digest))
      .At("rim/" + state.id, 0, 0);
}

// The id only finds a file; what the signed content says it is for counts.
template <RimRole kRole>
Finding RimVersion(GpuContext& c) {
  RimState& state = StateOf(c, kRole);
  if (!state.rim || !c.report) return Finding::Skip("there is no RIM that could be parsed");
  const std::string running = Running(c.report->opaque, kRole);
  if (!running.empty() && Upper(state.rim->colloquial_version) == Upper(running)) return Finding::Pass();
  return Finding::Fail(
             Err("rim.version-mismatch", "",
                 "it is for version \"" + state.rim->colloquial_version + "\", the device runs \"" + running + "\""))
      .Claim(Claim(kRole, "version-match"), running, state.rim->colloquial_version)
      .At("rim/" + state.id, 0, 0);
}

bool Fits(const GpuContext& c, const RimMeasurement& golden) {
  const bool gpu = c.kind == DeviceKind::kGpu;
  if (gpu && golden.index == evidence::kIndexNvdec && c.report->opaque.Nvdec0() == evidence::kNvdecDisabled)
    return true;
  const auto found = c.report->measurements.find(golden.index);
  if (found == c.report->measurements.end()) return false;
  const Bytes& runtime = found->second;
  if (std::any_of(golden.alternatives.begin(), golden.alternatives.end(),
                  [&](const Bytes& value) { return EqualConstantTime(value, runtime); }))
    return true;
  return gpu && golden.index == evidence::kIndexCcMode && c.options.allow_devtools &&
         c.shared.environment == "emulated" && runtime == evidence::CcModeMeasurement("devtools");
}

std::optional<NearestRim> FindNearestRim(GpuContext& c, RimRole role) {
  if (!c.report) return std::nullopt;
  const RimState& state = StateOf(c, role);
  std::optional<NearestRim> best;
  size_t compared = 0;
  for (const auto& [id, xml] : c.shared.collateral.rims) {
    if (id == state.id || !HasRole(id, role)) continue;
    if (++compared > kMostCompared) break;
    const auto parsed =
        c.shared.links.tables().rims.Get(IdOf(AsBytes(xml)), [&text = xml] { return evidence::ParseRim(text); });
    if (!parsed->ok()) continue;
    NearestRim one{id};
    for (const RimMeasurement& golden : (**parsed).measurements) {
      if (!golden.active) continue;
      ++one.active;
      one.matching += Fits(c, golden);
    }
    if (one.matching > 0 && (!best || one.matching * best->active > best->matching * one.active)) best = one;
  }
  return best;
}

std::string NearestText(const RimState& state) {
  if (!state.nearest) return "; no other RIM there fits any of what runs";
  return "; the nearest RIM there is \"" + state.nearest->id + "\", which fits " +
         std::to_string(state.nearest->matching) + " of its " + std::to_string(state.nearest->active) +
         " indexes (its signature was not checked)";
}

#define CCGPU_RIM_CHECKS(role)                      \
  template Finding RimFound<role>(GpuContext&);     \
  template Finding RimRoot<role>(GpuContext&);      \
  template Finding RimChain<role>(GpuContext&);     \
  template Finding RimSignature<role>(GpuContext&); \
  template Finding RimVersion<role>(GpuContext&)
CCGPU_RIM_CHECKS(RimRole::kDriver);
CCGPU_RIM_CHECKS(RimRole::kVbios);
CCGPU_RIM_CHECKS(RimRole::kSwitchBios);
#undef CCGPU_RIM_CHECKS

}  // namespace ccgpu::verify
