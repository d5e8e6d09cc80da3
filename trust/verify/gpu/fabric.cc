#include "trust/verify/gpu/fabric.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "base/encoding.h"
#include "trust/evidence/gpu_certs.h"
#include "trust/verify/gpu/context.h"
#include "trust/verify/parallel.h"

namespace ccgpu::verify {
namespace {

constexpr size_t kMostDevices = 64;

// A device with a context of its own: nothing but the cache is shared between threads.
struct Device {
  Device(const evidence::GpuEvidence& evidence, DeviceKind kind, const std::string& name, const Collateral& collateral,
         const Anchors& anchors, const GpuOptions& options, TimePoint now, Cache& cache)
      : shared(collateral, anchors, now, &cache), context{evidence, options, shared, name, {}, {}, {}, {}, {}, {}} {
    context.kind = kind;
  }
  SharedContext shared;
  GpuContext context;
  std::vector<Check> checks;
};

struct FabricContext {
  const FabricEvidence& evidence;
  const FabricOptions& options;
  std::deque<Device>& devices;  // GPUs, then switches
  std::string environment;
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

Finding SameEnvironment(FabricContext& c) {
  for (const Device& device : c.devices) {
    const std::string& found = device.shared.environment;
    if (found == c.environment && !found.empty()) continue;
    return Finding::Fail(Err("environment.mixed", "",
                             device.context.name + " is " + (found.empty() ? "of no known root" : found) +
                                 ", the set is " + (c.environment.empty() ? "of no known root" : c.environment)))
        .Claim("environment", c.environment, found);
  }
  return Finding::Pass();
}

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

Finding Distinct(FabricContext& c) {
  std::map<std::string, std::string> seen;  // what it is -> whose
  for (const Device& device : c.devices) {
    const GpuFacts facts = FactsOf(device.context);
    std::vector<std::pair<std::string, std::string>> names = {
        {"ueid", facts.ueid}, {"pdi", facts.pdi}, {"uuid", facts.uuid}};
    if (!device.context.chain.empty())
      names.push_back({"attestation key", HexEncode(crypto::Sha256(device.context.chain[0].key().Der()))});
    if (device.context.report) names.push_back({"responder nonce", HexEncode(device.context.report->responder_nonce)});
    for (const auto& [what, value] : names) {
      if (value.empty()) continue;
      const auto [other, is_new] = seen.try_emplace(what + " " + value, device.context.name);
      if (is_new) continue;
      return Finding::Fail(Err("fabric.duplicate-device", "",
                               device.context.name + " and " + other->second + " have the same " + what + " " + value +
                                   ": one device was counted twice"))
          .Claim(what, "distinct", value);
    }
  }
  return Finding::Pass();
}

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
  const auto& known = c.options.allowed_ueids;
  if (known.empty()) return Finding::Skip("no inventory was given");
  for (const Device& device : c.devices) {
    const std::string ueid = FactsOf(device.context).ueid;
    if (std::find(known.begin(), known.end(), ueid) != known.end()) continue;
    return Finding::Fail(
               Err("fabric.unknown-device", "", device.context.name + " (ueid " + ueid + ") is not in the inventory"))
        .Claim("ueid", "one of the inventory", ueid);
  }
  return Finding::Pass();
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

// More devices than any machine has are not looked at one by one: the counts refuse them.
std::deque<Device> Judge(const FabricEvidence& evidence, const Collateral& collateral, const Anchors& anchors,
                         const FabricOptions& options, TimePoint now, Cache& cache) {
  std::deque<Device> devices;
  if (evidence.gpus.size() + evidence.switches.size() > kMostDevices) return devices;
  for (const auto& [list, kind, word] : {std::tuple(&evidence.gpus, DeviceKind::kGpu, "gpu"),
                                         std::tuple(&evidence.switches, DeviceKind::kSwitch, "switch")}) {
    for (size_t i = 0; i < list->size(); ++i)
      devices.emplace_back((*list)[i], kind, word + std::to_string(i), collateral, anchors, options.device, now, cache);
  }
  ForEachPiece(devices.size(), options.threads, [&](size_t i) { RunGpuChecks(devices[i].context, devices[i].checks); });
  return devices;
}

}  // namespace

FabricEvidence FabricOf(std::vector<evidence::GpuEvidence> devices) {
  FabricEvidence out;
  for (evidence::GpuEvidence& device : devices)
    (device.arch == "LS10" ? out.switches : out.gpus).push_back(std::move(device));
  return out;
}

Verdict VerifyFabric(const evidence::Unverified<FabricEvidence>& fabric, const Collateral& collateral,
                     const Anchors& anchors, const FabricOptions& options, TimePoint now, Cache* cache) {
  const FabricEvidence& evidence = fabric.unverified();
  Cache own;
  std::deque<Device> devices = Judge(evidence, collateral, anchors, options, now, cache ? *cache : own);
  Verdict verdict;
  FabricContext context{evidence, options, devices, devices.empty() ? "" : devices[0].shared.environment};
  bool good = !devices.empty();
  nlohmann::ordered_json gpus = nlohmann::ordered_json::array(), switches = gpus;
  bool overall = good;
  Claims claims;
  for (Device& device : devices) {
    nlohmann::ordered_json said = GpuClaims(device.context, device.checks, device.context.name + ".");
    good = good && device.context.good;
    overall = overall && said["x-nvidia-overall-att-result"] == true;
    const bool is_gpu = device.context.kind == DeviceKind::kGpu;
    if (is_gpu) claims.gpus.push_back(FactsOf(device.context));
    (is_gpu ? gpus : switches).push_back(std::move(said));
    std::move(device.checks.begin(), device.checks.end(), std::back_inserter(verdict.checks));
  }
  good = RunChecks(std::span<const NamedCheck<FabricContext>>(kChecks), context, "fabric.", verdict.checks) && good;
  nlohmann::ordered_json said;
  said["environment"] = context.environment;
  said["x-nvidia-overall-att-result"] = overall && good;
  said["gpus"] = std::move(gpus);
  said["switches"] = std::move(switches);
  verdict.environment = context.environment;
  verdict.claims_json = said.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  verdict.accepted = good;
  if (good) {
    claims.json = verdict.claims_json;
    claims.environment = verdict.environment;
    verdict.verified = Seal(std::move(claims));
  }
  return verdict;
}

}  // namespace ccgpu::verify
