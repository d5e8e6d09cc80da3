// One pod's evidence: the CPU's, each GPU and NVSwitch, and what only the set can say.
#include <algorithm>
#include <set>

#include "base/encoding.h"
#include "trust/verify/cpu_case.h"
#include "trust/verify/gpu/devices.h"

namespace ccgpu::verify {
namespace {

struct CompositeContext {
  const evidence::CompositeEvidence& evidence;
  const CompositeOptions& options;
  const std::string& environment;
  const CpuCase& cpu;
  bool cpu_good;
  const FabricEvidence& sorted;  // the devices by kind
  const Devices& devices;        // GPUs, then switches
};

Finding GpuCount(CompositeContext& c) {
  const size_t found = c.sorted.gpus.size();
  if (!c.options.gpu_count) return Finding::Skip("no number of GPUs was asked for");
  if (*c.options.gpu_count == found) return Finding::Pass();
  return Finding::Fail(Err("composite.gpu-count", "",
                           "the pod brings evidence of " + std::to_string(found) + " GPUs, expected " +
                               std::to_string(*c.options.gpu_count)))
      .Claim("gpus", std::to_string(*c.options.gpu_count), std::to_string(found));
}

// A device that was not looked at says nothing.
Finding AllJudged(CompositeContext& c) {
  const std::string found = std::to_string(c.evidence.gpus.size()), most = std::to_string(kMostDevices);
  if (c.devices.size() == c.evidence.gpus.size()) return Finding::Pass();
  return Finding::Fail(Err("composite.too-many-devices", "",
                           "the pod brings evidence of " + found + " devices; at most " + most + " are judged"))
      .Claim("devices", "at most " + most, found);
}

// What REPORT_DATA commits to is the text; what is judged must be what that text says.
Finding SameDevices(CompositeContext& c) {
  const auto said = evidence::GpusOfAdditionalEvidence(c.evidence.additional_evidence);
  const auto same = [](const evidence::GpuEvidence& a, const evidence::GpuEvidence& b) {
    return a.arch == b.arch && a.uuid == b.uuid && a.report == b.report && a.certificate_chain == b.certificate_chain;
  };
  if (said.ok() && std::equal(said->begin(), said->end(), c.evidence.gpus.begin(), c.evidence.gpus.end(), same))
    return Finding::Pass();
  return Finding::Fail(
      Err("composite.additional-evidence", "", "the device evidence is not what the additional evidence text says"));
}

Finding SameEnvironment(CompositeContext& c) { return AreOfEnvironment(c.devices, c.environment); }

Finding Distinct(CompositeContext& c) { return AreDistinct("composite.duplicate-gpu", c.devices); }

// All GPUs of one set run in one protection mode; with a feature flag the report says which (0 single, 1 multi, 2
// PPCIE).
Finding SameMode(CompositeContext& c) {
  std::set<std::string> modes;
  for (const Device& device : c.devices) {
    const GpuContext& gpu = device.context;
    if (!gpu.report) continue;
    const Bytes* flag = gpu.report->opaque.Find(evidence::opaque_type::kFeatureFlag);
    const Bytes* ppcie = gpu.report->opaque.Find(evidence::opaque_type::kProtectedPcieStatus);
    const auto mode = gpu.report->measurements.find(evidence::kIndexCcMode);
    Bytes all = flag ? *flag : Bytes();
    all.push_back(0xff);
    if (ppcie) Append(all, *ppcie);
    if (c.environment == "emulated" && mode != gpu.report->measurements.end()) Append(all, mode->second);
    modes.insert(ToText(all));
  }
  if (modes.size() <= 1) return Finding::Pass();
  return Finding::Fail(Err("composite.mixed-modes", "", "the GPUs of one pod are in different modes"));
}

// In protected PCIe, NVLink is plain text and the switches on it must prove themselves; here are none. A report that
// contradicts itself about its mode says nothing.
Finding Links(CompositeContext& c) {
  for (const Device& device : c.devices) {
    const GpuContext& gpu = device.context;
    if (!gpu.report) continue;
    const std::string mode = gpu.report->opaque.ProtectionMode();
    if (mode != "ppcie" && mode != "mixed") continue;
    return Finding::Fail(Err("composite.links-unproven", "",
                             mode == "ppcie" ? gpu.name + " is in protected PCIe mode: what its NVLinks lead to sees "
                                                          "plain text, and no switch's evidence proves what that is"
                                             : gpu.name + " contradicts itself about how its links are protected"))
        .Claim("x-nvidia-gpu-mode", "spt or mpt", mode)
        .At(gpu.ReportDocument(), gpu.report->OpaqueOffset(), evidence::EncodeOpaque(gpu.report->opaque).size());
  }
  return Finding::Pass();
}

Finding Inventory(CompositeContext& c) {
  return AreInInventory("composite.unknown-gpu", c.devices, c.options.allowed_ueids);
}

// The initdata document travels beside the evidence; only what the hardware holds of it makes it believable. Any of the
// three digests that a document may ask for fits: each stands for these bytes only.
Finding InitData(CompositeContext& c) {
  if (c.evidence.init_data.empty()) return Finding::Skip("the evidence brings no initdata document");
  const auto held = c.cpu.InitData();
  if (!held && !c.cpu_good) return Finding::Skip("there is no CPU evidence that could be believed");
  if (!held) {
    return Finding::Fail(Err("composite.init-data-unheld", "",
                             "the evidence brings an initdata document, and the register that would hold it was not "
                             "quoted: nothing says that the sandbox was started with it"));
  }
  const ByteView document = AsBytes(c.evidence.init_data);
  for (const crypto::Hash hash : {crypto::Hash::kSha256, crypto::Hash::kSha384, crypto::Hash::kSha512}) {
    if (EqualConstantTime(c.cpu.InitDataForm(crypto::Digest(hash, document)), held->value)) return Finding::Pass();
  }
  return Finding::Fail(Err("composite.init-data-mismatch", "",
                           "the initdata document is not the one that the sandbox was started with"))
      .Claim("init_data", HexEncode(held->value), HexEncode(c.cpu.InitDataForm(crypto::Sha256(document))))
      .At(held->document, held->offset, held->value.size());
}

constexpr NamedCheck<CompositeContext> kPodChecks[] = {
    {"gpu-count", GpuCount, true},
    {"devices", AllJudged},
    {"same-gpus", SameDevices},
    {"init-data", InitData, true},
};

// Of GPUs without switches. With switches the set must be one that VerifyFabric accepts as well.
constexpr NamedCheck<CompositeContext> kGpuChecks[] = {
    {"same-environment", SameEnvironment}, {"distinct-gpus", Distinct}, {"same-mode", SameMode}, {"links", Links},
    {"inventory", Inventory, true},
};

bool RunSetChecks(CompositeContext& context, std::vector<Check>& checks) {
  if (context.sorted.switches.empty())
    return RunChecks(std::span<const NamedCheck<CompositeContext>>(kGpuChecks), context, "composite.", checks);
  FabricOptions fabric;
  fabric.allowed_ueids = context.options.allowed_ueids;
  return RunFabricChecks(context.sorted, fabric, context.devices, context.environment, checks);
}

}  // namespace

Verdict VerifyComposite(const evidence::Unverified<evidence::CompositeEvidence>& composite,
                        const Collateral& collateral, const Anchors& anchors, const CompositeOptions& options,
                        TimePoint now, Cache* cache) {
  const evidence::CompositeEvidence& evidence = composite.unverified();
  Cache own;
  Cache& used = cache ? *cache : own;
  Verdict verdict;
  SharedContext shared(collateral, anchors, now, &used);
  const auto cpu = std::visit([&](const auto& one) { return MakeCpuCase(one, options, shared); }, evidence.cpu);
  const bool cpu_good = cpu->Run(verdict.checks);
  const FabricEvidence sorted = FabricOf(evidence.gpus);
  Devices devices = JudgeDevices(sorted, collateral, anchors, options.gpu, options.threads, now, used);
  DeviceClaims said = Collect(devices, verdict.checks);
  verdict.environment = shared.environment;
  if (verdict.environment.empty() && !devices.empty()) verdict.environment = devices[0].shared.environment;
  CompositeContext context{evidence, options, verdict.environment, *cpu, cpu_good, sorted, devices};
  const bool pod_good =
      RunChecks(std::span<const NamedCheck<CompositeContext>>(kPodChecks), context, "composite.", verdict.checks);
  const bool set_good = RunSetChecks(context, verdict.checks);
  verdict.accepted = cpu_good && said.good && pod_good && set_good;

  nlohmann::ordered_json claims;
  claims["environment"] = verdict.environment;
  claims[std::string(evidence::TeeOf(evidence.cpu))] = cpu->Claims();
  claims["gpus"] = std::move(said.gpus);
  if (!sorted.switches.empty()) claims["switches"] = std::move(said.switches);
  verdict.claims_json = claims.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (verdict.accepted) {
    Claims facts;
    facts.json = verdict.claims_json;
    facts.environment = verdict.environment;
    facts.gpus = std::move(said.gpu_facts);
    facts.cpu = cpu->Facts();
    facts.switches = std::move(said.switch_facts);
    verdict.verified = Seal(std::move(facts));
  }
  return verdict;
}

}  // namespace ccgpu::verify
