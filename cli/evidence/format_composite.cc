// A pod's evidence: what binds its parts is computed as the broker does it.
#include "base/encoding.h"
#include "cli/evidence/cpu_parts.h"
#include "cli/evidence/formats.h"
#include "cli/evidence/gpu_parts.h"
#include "cli/evidence/needs.h"
#include "trust/kbs/binding.h"
#include "trust/kbs/initdata.h"
#include "trust/policy/pod_policy.h"
#include "trust/verify/gpu/fabric.h"

namespace ccgpu::cli {
namespace {

Result<evidence::CompositeEvidence> Parse(const EvidenceCase& evidence) {
  if (evidence.evidence.size() != 1)
    return Err("input.two-formats", evidence.evidence[1].path, "is a second pod's evidence: one at a time");
  auto parsed = evidence::ParseComposite(evidence.evidence[0].bytes);
  if (!parsed.ok()) return parsed.error().In(evidence.evidence[0].path);
  return parsed;
}

// The pod policy inside the measured document says how many GPUs there must be.
std::optional<size_t> GpusOfPolicy(const std::string& init_data) {
  auto init = kbs::ParseInitData(init_data);
  if (!init.ok() || !init->data.contains(std::string(policy::kPodPolicyEntry))) return std::nullopt;
  auto policy =
      policy::ParsePodPolicy(init->data[std::string(policy::kPodPolicyEntry)], std::string(policy::kPodPolicyEntry));
  if (!policy.ok()) return std::nullopt;
  return policy->gpus.count;
}

}  // namespace

bool DetectComposite(const InputFile& file) {
  return file.json.is_object() && file.json.value("format", Json()).is_string() &&
         file.json["format"].get<std::string>().starts_with("ccgpu.evidence/");
}

Result<OrderedJson> ShowComposite(const EvidenceCase& evidence) {
  ASSIGN_OR_RETURN(const evidence::CompositeEvidence parsed, Parse(evidence));
  OrderedJson out = {
      {"format", "ccgpu.evidence/v1"}, {"nonce", HexEncode(parsed.nonce)}, {"tee", evidence::TeeOf(parsed.cpu)}};
  if (auto key = kbs::ParseJwk(parsed.tee_pubkey); key.ok())
    out["agent_key_sha256"] = HexEncode(crypto::Sha256(AsBytes(key->ToJson())));
  if (const auto* snp = std::get_if<evidence::SnpEvidence>(&parsed.cpu)) out["snp"] = SnpJsonOf(*snp);
  if (const auto* tdx = std::get_if<evidence::TdxEvidence>(&parsed.cpu)) out["tdx"] = TdxJsonOf(*tdx);
  const verify::FabricEvidence devices = verify::FabricOf(parsed.gpus);
  out["gpus"] = OrderedJson::array();
  for (const evidence::GpuEvidence& gpu : devices.gpus) out["gpus"].push_back(GpuJson(gpu));
  for (const evidence::GpuEvidence& one : devices.switches) out["switches"].push_back(GpuJson(one));
  if (!parsed.init_data.empty()) {
    out["init_data"] = {{"digest", "sha256:" + HexEncode(crypto::Sha256(AsBytes(parsed.init_data)))}};
    if (auto init = kbs::ParseInitData(parsed.init_data); init.ok()) {
      OrderedJson entries = OrderedJson::object();
      for (const auto& [name, content] : init->data)
        entries[name] = "sha256:" + HexEncode(crypto::Sha256(AsBytes(content)));
      out["init_data"]["entries"] = entries;
    }
  }
  out["collateral"] = CollateralJson(parsed.collateral);
  return out;
}

Status PartsOfComposite(const EvidenceCase& evidence, Needs& needs) {
  ASSIGN_OR_RETURN(evidence::CompositeEvidence parsed, Parse(evidence));
  needs.gpus = std::move(parsed.gpus);
  needs.brought = std::move(parsed.collateral);
  if (const auto* snp = std::get_if<evidence::SnpEvidence>(&parsed.cpu)) needs.snps = {*snp};
  if (const auto* tdx = std::get_if<evidence::TdxEvidence>(&parsed.cpu)) needs.tdxs = {*tdx};
  return Ok();
}

Result<Judgement> VerifyComposite(const EvidenceCase& evidence, const Expectations& expect) {
  ASSIGN_OR_RETURN(const evidence::CompositeEvidence parsed, Parse(evidence));
  ASSIGN_OR_RETURN(const kbs::PublicJwk key, kbs::ParseJwk(parsed.tee_pubkey));
  const std::string nonce = Base64Encode(parsed.nonce);
  verify::CompositeOptions options;
  options.gpu = expect.policy.gpu;
  options.snp = expect.policy.snp;
  options.tdx = expect.policy.tdx;
  options.gpu.nonce = kbs::GpuNonce(kbs::DeviceReportData(nonce, key));
  options.report_data = kbs::SnpReportData(kbs::PrimaryReportData(nonce, key, parsed.additional_evidence));
  options.init_data_digest = expect.host_data;
  options.gpu_count = expect.gpus ? expect.gpus : GpusOfPolicy(parsed.init_data);
  options.allowed_ueids = expect.policy.gpus.ueids;
  const evidence::Collateral collateral = CollateralOf(evidence, parsed.collateral, parsed.gpus);

  Judgement out;
  out.verdict = verify::VerifyComposite(evidence::Unverified<evidence::CompositeEvidence>(parsed), collateral,
                                        expect.anchors, options, expect.at);
  AskNonce(expect, parsed.nonce, "evidence", out);
  const verify::FabricEvidence devices = verify::FabricOf(parsed.gpus);
  AddGpuDocuments(devices.gpus, "gpu", out);
  AddGpuDocuments(devices.switches, "switch", out);
  AddRims(collateral, out);
  if (const auto* snp = std::get_if<evidence::SnpEvidence>(&parsed.cpu)) out.documents["snp/report"] = snp->report;
  if (const auto* tdx = std::get_if<evidence::TdxEvidence>(&parsed.cpu)) out.documents["tdx/quote"] = tdx->quote;
  out.documents["evidence"] = ToBytes(AsBytes(evidence.evidence[0].bytes));
  return out;
}

}  // namespace ccgpu::cli
