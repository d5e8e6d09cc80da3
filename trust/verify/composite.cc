// One pod's evidence: the CPU's, each GPU, and what only the set can say.
#include <algorithm>
#include <deque>
#include <set>

#include "base/encoding.h"
#include "trust/verify/cpu_case.h"

namespace ccgpu::verify {
namespace {

struct CompositeContext {
  const evidence::CompositeEvidence& evidence;
  const CompositeOptions& options;
  SharedContext& shared;
  const CpuCase& cpu;
  bool cpu_good;
  std::deque<GpuContext>& gpus;
};

Finding GpuCount(CompositeContext& c) {
  if (!c.options.gpu_count) return Finding::Skip("no number of GPUs was asked for");
  if (*c.options.gpu_count == c.gpus.size()) return Finding::Pass();
  return Finding::Fail(Err("composite.gpu-count", "",
                           "the pod brings evidence of " + std::to_string(c.gpus.size()) + " GPUs, expected " +
                               std::to_string(*c.options.gpu_count)))
      .Claim("gpus", std::to_string(*c.options.gpu_count), std::to_string(c.gpus.size()));
}

// What REPORT_DATA commits to is the text; what is judged must be what that text says.
Finding SameGpus(CompositeContext& c) {
  const auto said = evidence::GpusOfAdditionalEvidence(c.evidence.additional_evidence);
  const auto same = [](const evidence::GpuEvidence& a, const evidence::GpuEvidence& b) {
    return a.arch == b.arch && a.uuid == b.uuid && a.report == b.report && a.certificate_chain == b.certificate_chain;
  };
  if (said.ok() && std::equal(said->begin(), said->end(), c.evidence.gpus.begin(), c.evidence.gpus.end(), same))
    return Finding::Pass();
  return Finding::Fail(
      Err("composite.additional-evidence", "", "the GPU evidence is not what the additional evidence text says"));
}

Finding Distinct(CompositeContext& c) {
  std::set<std::string> ueids, pdis, uuids;
  std::set<std::string> responder_nonces, keys;
  for (const GpuContext& gpu : c.gpus) {
    const GpuFacts facts = FactsOf(gpu);
    const auto twice = [&](const char* what, const std::string& value) {
      return Finding::Fail(
                 Err("composite.duplicate-gpu", "",
                     std::string("two GPUs have the same ") + what + " " + value + ": one device was counted twice"))
          .Claim(what, "distinct", value);
    };
    if (!facts.ueid.empty() && !ueids.insert(facts.ueid).second) return twice("ueid", facts.ueid);
    if (!gpu.chain.empty() && !keys.insert(ToText(gpu.chain[0].key().Der())).second)
      return twice("attestation key, ueid", facts.ueid);
    if (!facts.pdi.empty() && !pdis.insert(facts.pdi).second) return twice("pdi", facts.pdi);
    if (!facts.uuid.empty() && !uuids.insert(facts.uuid).second) return twice("uuid", facts.uuid);
    if (gpu.report && !responder_nonces.insert(ToText(gpu.report->responder_nonce)).second)
      return twice("responder nonce", HexEncode(gpu.report->responder_nonce));
  }
  return Finding::Pass();
}

// All GPUs of one set run in one protection mode; with a feature flag the report says which (0 single, 1 multi, 2
// PPCIE).
Finding SameMode(CompositeContext& c) {
  std::set<std::string> modes;
  for (const GpuContext& gpu : c.gpus) {
    if (!gpu.report) continue;
    const Bytes* flag = gpu.report->opaque.Find(evidence::opaque_type::kFeatureFlag);
    const Bytes* ppcie = gpu.report->opaque.Find(evidence::opaque_type::kProtectedPcieStatus);
    const auto mode = gpu.report->measurements.find(evidence::kIndexCcMode);
    Bytes all = flag ? *flag : Bytes();
    all.push_back(0xff);
    if (ppcie) Append(all, *ppcie);
    if (c.shared.environment == "emulated" && mode != gpu.report->measurements.end()) Append(all, mode->second);
    modes.insert(ToText(all));
  }
  if (modes.size() <= 1) return Finding::Pass();
  return Finding::Fail(Err("composite.mixed-modes", "", "the GPUs of one pod are in different modes"));
}

// In protected PCIe, NVLink is plain text and the switches on it must prove themselves, which VerifyFabric judges; a
// pod's evidence has no place for switches. A report that contradicts itself about its mode says nothing.
Finding Links(CompositeContext& c) {
  for (const GpuContext& gpu : c.gpus) {
    if (!gpu.report) continue;
    const std::string mode = gpu.report->opaque.ProtectionMode();
    if (mode != "ppcie" && mode != "mixed") continue;
    return Finding::Fail(Err("composite.links-unproven", "",
                             mode == "ppcie" ? gpu.name + " is in protected PCIe mode: what its NVLinks lead to sees "
                                                          "plain text, and nothing here proves what that is"
                                             : gpu.name + " contradicts itself about how its links are protected"))
        .Claim("x-nvidia-gpu-mode", "spt or mpt", mode)
        .At(gpu.ReportDocument(), gpu.report->OpaqueOffset(), evidence::EncodeOpaque(gpu.report->opaque).size());
  }
  return Finding::Pass();
}

Finding Inventory(CompositeContext& c) {
  if (c.options.allowed_ueids.empty()) return Finding::Skip("no inventory was given");
  for (const GpuContext& gpu : c.gpus) {
    const std::string ueid = FactsOf(gpu).ueid;
    if (std::find(c.options.allowed_ueids.begin(), c.options.allowed_ueids.end(), ueid) ==
        c.options.allowed_ueids.end()) {
      return Finding::Fail(
                 Err("composite.unknown-gpu", "", "GPU " + gpu.name + " (ueid " + ueid + ") is not in the inventory"))
          .Claim("ueid", "one of the inventory", ueid);
    }
  }
  return Finding::Pass();
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

constexpr NamedCheck<CompositeContext> kChecks[] = {
    {"gpu-count", GpuCount, true}, {"same-gpus", SameGpus}, {"distinct-gpus", Distinct},
    {"same-mode", SameMode},       {"links", Links},        {"inventory", Inventory, true},
    {"init-data", InitData, true},
};

}  // namespace

Verdict VerifyComposite(const evidence::Unverified<evidence::CompositeEvidence>& composite,
                        const Collateral& collateral, const Anchors& anchors, const CompositeOptions& options,
                        TimePoint now, Cache* cache) {
  const evidence::CompositeEvidence& evidence = composite.unverified();
  Verdict verdict;
  SharedContext shared(collateral, anchors, now, cache);
  const auto cpu = std::visit([&](const auto& one) { return MakeCpuCase(one, options, shared); }, evidence.cpu);
  std::deque<GpuContext> gpus;
  const bool cpu_good = cpu->Run(verdict.checks);
  bool good = cpu_good;
  for (const evidence::GpuEvidence& gpu : evidence.gpus) {
    gpus.push_back(GpuContext{gpu, options.gpu, shared, "gpu" + std::to_string(gpus.size()), {}, {}, {}, {}, {}, {}});
    good = RunGpuChecks(gpus.back(), verdict.checks) && good;
  }
  CompositeContext context{evidence, options, shared, *cpu, cpu_good, gpus};
  good =
      RunChecks(std::span<const NamedCheck<CompositeContext>>(kChecks), context, "composite.", verdict.checks) && good;

  nlohmann::ordered_json claims;
  claims["environment"] = shared.environment;
  claims[std::string(evidence::TeeOf(evidence.cpu))] = cpu->Claims();
  claims["gpus"] = nlohmann::ordered_json::array();
  Claims facts;
  for (const GpuContext& gpu : gpus) {
    claims["gpus"].push_back(GpuClaims(gpu, verdict.checks, gpu.name + "."));
    facts.gpus.push_back(FactsOf(gpu));
  }
  verdict.accepted = good;
  verdict.environment = shared.environment;
  verdict.claims_json = claims.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (good) {
    facts.json = verdict.claims_json;
    facts.environment = verdict.environment;
    facts.cpu = cpu->Facts();
    verdict.verified = Seal(std::move(facts));
  }
  return verdict;
}

}  // namespace ccgpu::verify
