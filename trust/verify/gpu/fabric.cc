#include "trust/verify/gpu/fabric.h"

#include <map>
#include <set>

#include "base/encoding.h"
#include "trust/evidence/gpu_certs.h"
#include "trust/verify/gpu/devices.h"

namespace ccgpu::verify {
namespace {

struct FabricContext {
  const FabricEvidence& evidence;
  const FabricOptions& options;
  const Devices& devices;  // GPUs, then switches
  const std::string& environment;
};

std::string Pdi(const Device& device) {
  if (device.context.chain.empty()) return "";
  const auto pdi = evidence::DevicePdi(device.context.chain[1]);
  return pdi.ok() ? HexEncode(*pdi) : "";
}

Finding CountIs(Reason code, const char* what, size_t expected, size_t found) {
  if (expected == found) return Finding::Pass();
  return Finding::Fail(Err(code, "",
                           "the set brings evidence of " + std::to_string(found) + " " + what + ", expected " +
                               std::to_string(expected)))
      .Claim(what, std::to_string(expected), std::to_string(found));
}

Finding GpuCount(FabricContext& c) {
  return CountIs("fabric.gpu-count", "gpus", c.options.gpu_count, c.evidence.gpus.size());
}
Finding SwitchCount(FabricContext& c) {
  return CountIs("fabric.switch-count", "switches", c.options.switch_count, c.evidence.switches.size());
}

Finding SameEnvironment(FabricContext& c) { return AreOfEnvironment(c.devices, c.environment); }

Finding SameNonce(FabricContext& c) {
  const Device* first = nullptr;
  for (const Device& device : c.devices) {
    if (!device.context.report) continue;
    if (!first) first = &device;
    const Bytes &expected = first->context.report->nonce, &found = device.context.report->nonce;
    if (EqualConstantTime(expected, found)) continue;
    return Finding::Fail(Err("fabric.mixed-nonces", "",
                             device.context.name + " answers another nonce than " + first->context.name +
                                 ": the reports were not made for one request"))
        .Claim("eat_nonce", HexEncode(expected), HexEncode(found))
        .At(device.context.ReportDocument(), evidence::kGpuReportNonceOffset, evidence::kGpuNonceSize);
  }
  return Finding::Pass();
}

Finding Distinct(FabricContext& c) { return AreDistinct("fabric.duplicate-device", c.devices); }

// A switch reports no mode; that it is locked to its tenant shows in the GPUs' modes.
Finding Mode(FabricContext& c) {
  std::map<std::string, std::string> modes;  // mode -> first GPU in it
  for (const Device& device : c.devices) {
    if (device.context.kind != DeviceKind::kGpu || !device.context.report) continue;
    const std::string mode = device.context.report->opaque.ProtectionMode();
    modes.try_emplace(mode.empty() ? "unknown" : mode, device.context.name);
  }
  const auto found = [&] {
    std::string out;
    for (const auto& [mode, gpu] : modes) out += (out.empty() ? "" : ", ") + mode + " (" + gpu + ")";
    return out;
  };
  if (modes.size() > 1)
    return Finding::Fail(Err("fabric.mixed-modes", "", "the GPUs of the set are in different modes: " + found()))
        .Claim("mode", "ppcie", found());
  if (modes.empty()) return Finding::Skip("there is no GPU report that could be parsed");
  if (modes.begin()->first == "ppcie") return Finding::Pass();
  return Finding::Fail(Err("fabric.mode", "", "the GPUs of the set are in mode " + found() + ", not in protected PCIe"))
      .Claim("mode", "ppcie", found());
}

std::string Joined(const std::set<std::string>& list) {
  std::string out;
  for (const std::string& one : list) out += (out.empty() ? "" : " ") + one;
  return out;
}

// What `device` says it is connected to must be exactly the set's devices of the other kind.
Finding LinksAre(const Device& device, const std::optional<std::vector<Bytes>>& said,
                 const std::set<std::string>& expected, const char* claim) {
  const size_t size = evidence::EncodeOpaque(device.context.report->opaque).size();
  const auto fail = [&](Reason code, std::string text, std::string found) {
    return Finding::Fail(Err(code, "", std::move(text)))
        .Claim(claim, Joined(expected), std::move(found))
        .At(device.context.ReportDocument(), device.context.report->OpaqueOffset(), size);
  };
  if (!said) return fail("fabric.topology-missing", device.context.name + " does not say what its links lead to", "");
  std::set<std::string> found;
  for (const Bytes& pdi : *said) found.insert(HexEncode(pdi));
  for (const std::string& pdi : found) {
    if (!expected.contains(pdi)) {
      return fail("fabric.foreign-device",
                  device.context.name + " is connected to " + pdi + ", of which the set has no evidence",
                  Joined(found));
    }
  }
  for (const std::string& pdi : expected) {
    if (!found.contains(pdi))
      return fail("fabric.missing-link", device.context.name + " is not connected to " + pdi, Joined(found));
  }
  return Finding::Pass();
}

template <DeviceKind kFrom>
Finding Links(FabricContext& c) {
  std::set<std::string> others;
  for (const Device& device : c.devices) {
    const std::string pdi = Pdi(device);
    if (device.context.kind == kFrom) continue;
    if (pdi.empty()) {
      return Finding::Fail(Err("fabric.topology-missing", "",
                               device.context.name + " has no certified PDI by which others could name it"));
    }
    others.insert(pdi);
  }
  bool any = false;
  for (const Device& device : c.devices) {
    if (device.context.kind != kFrom) continue;
    if (!device.context.report) return Finding::Skip(device.context.name + " has no report that could be parsed");
    const evidence::OpaqueData& opaque = device.context.report->opaque;
    Finding finding = kFrom == DeviceKind::kGpu
                          ? LinksAre(device, opaque.PeerSwitchPdis(), others, "x-nvidia-gpu-switch-pdis")
                          : LinksAre(device, opaque.PeerGpuPdis(), others, "x-nvidia-switch-gpu-pdis");
    if (finding.outcome != Check::Outcome::kPassed) return finding;
    any = true;
  }
  return any ? Finding::Pass() : Finding::Skip("there is no such device");
}

Finding Inventory(FabricContext& c) {
  return AreInInventory("fabric.unknown-device", c.devices, c.options.allowed_ueids);
}

constexpr NamedCheck<FabricContext> kChecks[] = {
    {"gpu-count", GpuCount},
    {"switch-count", SwitchCount},
    {"same-environment", SameEnvironment},
    {"same-nonce", SameNonce},
    {"distinct-devices", Distinct},
    {"mode", Mode},
    {"gpu-links", Links<DeviceKind::kGpu>},
    {"switch-links", Links<DeviceKind::kSwitch>},
    {"inventory", Inventory, true},
};

}  // namespace

FabricEvidence FabricOf(std::vector<evidence::GpuEvidence> devices) {
  FabricEvidence out;
  for (evidence::GpuEvidence& device : devices)
    (device.arch == "LS10" ? out.switches : out.gpus).push_back(std::move(device));
  return out;
}

bool RunFabricChecks(const FabricEvidence& evidence, const FabricOptions& options, const Devices& devices,
                     const std::string& environment, std::vector<Check>& checks) {
  FabricContext context{evidence, options, devices, environment};
  return RunChecks(std::span<const NamedCheck<FabricContext>>(kChecks), context, "fabric.", checks) && !devices.empty();
}

Verdict VerifyFabric(const evidence::Unverified<FabricEvidence>& fabric, const Collateral& collateral,
                     const Anchors& anchors, const FabricOptions& options, TimePoint now, Cache* cache) {
  const FabricEvidence& evidence = fabric.unverified();
  Cache own;
  Devices devices =
      JudgeDevices(evidence, collateral, anchors, options.device, options.threads, now, cache ? *cache : own);
  Verdict verdict;
  verdict.environment = devices.empty() ? "" : devices[0].shared.environment;
  DeviceClaims said = Collect(devices, verdict.checks);
  const bool set_good = RunFabricChecks(evidence, options, devices, verdict.environment, verdict.checks);
  verdict.accepted = set_good && said.good;
  nlohmann::ordered_json claims;
  claims["environment"] = verdict.environment;
  claims["x-nvidia-overall-att-result"] = verdict.accepted && said.overall;
  claims["gpus"] = std::move(said.gpus);
  claims["switches"] = std::move(said.switches);
  verdict.claims_json = claims.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (verdict.accepted) {
    Claims facts;
    facts.json = verdict.claims_json;
    facts.environment = verdict.environment;
    facts.gpus = std::move(said.gpu_facts);
    facts.switches = std::move(said.switch_facts);
    verdict.verified = Seal(std::move(facts));
  }
  return verdict;
}

}  // namespace ccgpu::verify
