#include "trust/verify/gpu/devices.h"

#include <algorithm>
#include <map>

#include "base/encoding.h"
#include "trust/verify/parallel.h"

namespace ccgpu::verify {

Devices JudgeDevices(const FabricEvidence& evidence, const Collateral& collateral, const Anchors& anchors,
                     const GpuOptions& options, unsigned threads, TimePoint now, Cache& cache) {
  Devices devices;
  if (evidence.gpus.size() + evidence.switches.size() > kMostDevices) return devices;
  for (const auto& [list, kind, word] : {std::tuple(&evidence.gpus, DeviceKind::kGpu, "gpu"),
                                         std::tuple(&evidence.switches, DeviceKind::kSwitch, "switch")}) {
    for (size_t i = 0; i < list->size(); ++i)
      devices.emplace_back((*list)[i], kind, word + std::to_string(i), collateral, anchors, options, now, cache);
  }
  ForEachPiece(devices.size(), threads, [&](size_t i) { RunGpuChecks(devices[i].context, devices[i].checks); });
  return devices;
}

Finding AreOfEnvironment(const Devices& devices, const std::string& environment) {
  for (const Device& device : devices) {
    const std::string& found = device.shared.environment;
    if (found == environment && !found.empty()) continue;
    return Finding::Fail(Err("environment.mixed", "",
                             device.context.name + " is " + (found.empty() ? "of no known root" : found) +
                                 ", the set is " + (environment.empty() ? "of no known root" : environment)))
        .Claim("environment", environment, found);
  }
  return Finding::Pass();
}

Finding AreDistinct(Reason code, const Devices& devices) {
  std::map<std::string, std::string> seen;  // what it is -> whose
  for (const Device& device : devices) {
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
      return Finding::Fail(Err(code, "",
                               device.context.name + " and " + other->second + " have the same " + what + " " + value +
                                   ": one device was counted twice"))
          .Claim(what, "distinct", value);
    }
  }
  return Finding::Pass();
}

Finding AreInInventory(Reason code, const Devices& devices, const std::vector<std::string>& ueids) {
  if (ueids.empty()) return Finding::Skip("no inventory was given");
  for (const Device& device : devices) {
    const std::string ueid = FactsOf(device.context).ueid;
    if (std::find(ueids.begin(), ueids.end(), ueid) != ueids.end()) continue;
    return Finding::Fail(Err(code, "", device.context.name + " (ueid " + ueid + ") is not in the inventory"))
        .Claim("ueid", "one of the inventory", ueid);
  }
  return Finding::Pass();
}

DeviceClaims Collect(Devices& devices, std::vector<Check>& checks) {
  DeviceClaims out;
  for (Device& device : devices) {
    nlohmann::ordered_json said = GpuClaims(device.context, device.checks, device.context.name + ".");
    out.good = out.good && device.context.good;
    out.overall = out.overall && said["x-nvidia-overall-att-result"] == true;
    const bool is_gpu = device.context.kind == DeviceKind::kGpu;
    (is_gpu ? out.gpu_facts : out.switch_facts).push_back(FactsOf(device.context));
    (is_gpu ? out.gpus : out.switches).push_back(std::move(said));
    std::move(device.checks.begin(), device.checks.end(), std::back_inserter(checks));
    device.checks.clear();
  }
  return out;
}

}  // namespace ccgpu::verify
