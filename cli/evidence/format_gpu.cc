// NVIDIA's device evidence: the JSON list of nvattest and CoCo, and raw reports (bytes or hexadecimal text) with their
// PEM chains.
#include <set>

#include "base/encoding.h"
#include "cli/evidence/formats.h"
#include "cli/evidence/gpu_parts.h"
#include "cli/evidence/needs.h"
#include "trust/evidence/gpu_report.h"
#include "trust/verify/gpu/fabric.h"

namespace ccgpu::cli {
namespace {

using evidence::GpuEvidence;
using Gpus = std::vector<GpuEvidence>;

Result<Gpus> FromList(const EvidenceCase& files) {
  Gpus out;
  for (const InputFile& file : files.evidence) {
    // nvattest's and NRAS's requests wrap the same list.
    std::string text = file.bytes;
    if (file.json.is_object() && file.json.contains("evidence_list"))
      text = Json{{"device_evidence_list", file.json["evidence_list"]}}.dump();
    auto gpus = evidence::DeviceEvidenceFromJson(text);
    if (!gpus.ok()) return gpus.error().In(file.path);
    out.insert(out.end(), gpus->begin(), gpus->end());
  }
  return out;
}

// The certified model says what the device is; a raw report does not.
std::string ArchOf(const std::string& chain) {
  auto list = crypto::Certificate::ListFromPem(chain);
  const std::string name = list.ok() && list->size() > 1 ? (*list)[1].SubjectCommonName() : "";
  if (name.starts_with("LS")) return "LS10";
  if (name.starts_with("GB")) return "BLACKWELL";
  if (name.starts_with("GA")) return "AMPERE";
  return "HOPPER";
}

Result<Gpus> FromReports(const EvidenceCase& files) {
  if (files.chains.size() != files.evidence.size()) {
    return Err("input.no-chain", files.evidence[0].path,
               "needs its certificate chain (PEM, leaf first) beside it: " + std::to_string(files.evidence.size()) +
                   " report(s) and " + std::to_string(files.chains.size()) + " chain(s) were named");
  }
  Gpus out;
  for (size_t i = 0; i < files.evidence.size(); ++i) {
    GpuEvidence gpu;
    gpu.report = BinaryOf(files.evidence[i].bytes);
    gpu.certificate_chain = files.chains[i].bytes;
    gpu.arch = ArchOf(gpu.certificate_chain);
    out.push_back(std::move(gpu));
  }
  return out;
}

Result<OrderedJson> Show(const EvidenceCase& files, const Gpus& gpus) {
  OrderedJson out = {{"format", files.format->name}, {"gpus", OrderedJson::array()}};
  for (const GpuEvidence& gpu : gpus) out["gpus"].push_back(GpuJson(gpu));
  return out;
}

void Fail(Judgement& out, std::string name, Error reason, std::string expected = "", std::string found = "") {
  verify::Check check;
  check.name = std::move(name);
  check.reason = std::move(reason);
  check.expected = std::move(expected);
  check.found = std::move(found);
  AddCheck(out, std::move(check));
}

// One device after the other. The verifier calls each "gpu0" or "switch0"; in a list the i-th is "gpu<i>".
verify::Verdict JudgeEach(const Gpus& gpus, const evidence::Collateral& collateral, const Expectations& expect,
                          const verify::GpuOptions& options) {
  Judgement out;
  out.verdict.accepted = true;
  OrderedJson claims = OrderedJson::array();
  std::set<std::string> ueids;
  verify::Cache cache;
  for (size_t i = 0; i < gpus.size(); ++i) {
    const evidence::Unverified<GpuEvidence> device(gpus[i]);
    verify::Verdict verdict = gpus[i].arch == "LS10"
                                  ? verify::VerifySwitch(device, collateral, expect.anchors, options, expect.at, &cache)
                                  : verify::VerifyGpu(device, collateral, expect.anchors, options, expect.at, &cache);
    if (gpus.size() == 1) return verdict;
    const std::string name = "gpu" + std::to_string(i);
    for (verify::Check& check : verdict.checks) {
      for (std::string* text : {&check.name, &check.document}) {
        if (text->starts_with("gpu0")) text->replace(0, 4, name);
      }
      out.verdict.checks.push_back(std::move(check));
    }
    out.verdict.accepted = out.verdict.accepted && verdict.accepted;
    if (i > 0 && verdict.environment != out.verdict.environment)
      Fail(out, name + ".environment",
           Err("environment.mixed", name, "is of another environment than the devices before it"));
    out.verdict.environment = verdict.environment;
    claims.push_back(OrderedJson::parse(verdict.claims_json));
    if (claims.back().contains("ueid") && claims.back()["ueid"].is_string() &&
        !ueids.insert(claims.back()["ueid"].get<std::string>()).second) {
      Fail(out, name + ".distinct", Err("composite.duplicate-gpu", name, "is a device that was in the list before"));
    }
  }
  out.verdict.claims_json = OrderedJson{{"environment", out.verdict.environment}, {"gpus", claims}}.dump();
  return out.verdict;
}

Result<Judgement> Judge(const EvidenceCase& files, const Expectations& expect, const Gpus& gpus) {
  const evidence::Collateral collateral = CollateralOf(files, {}, gpus);
  const verify::FabricEvidence fabric = verify::FabricOf(gpus);
  verify::GpuOptions options = expect.policy.gpu;
  Bytes nonce;
  // Without --nonce the first report's own is taken, and all others must answer the same one.
  for (const GpuEvidence& gpu : gpus) {
    auto report = evidence::ParseGpuReport(gpu.report, options.max_report_padding);
    if (nonce.empty() && report.ok()) nonce = report->nonce;
  }
  options.nonce = expect.nonce.value_or(nonce);
  Judgement out;
  if (gpus.empty()) {
    Fail(out, "gpus.count", Err("composite.gpu-count", "", "the list holds no device"));
  } else if (gpus.size() > 1 && !fabric.switches.empty()) {
    verify::FabricOptions set;
    set.device = options;
    set.gpu_count = expect.gpus.value_or(set.gpu_count);
    set.allowed_ueids = expect.policy.gpus.ueids;
    out.verdict = verify::VerifyFabric(evidence::Unverified<verify::FabricEvidence>(fabric), collateral, expect.anchors,
                                       set, expect.at);
  } else {
    out.verdict = JudgeEach(gpus, collateral, expect, options);
    if (expect.gpus && *expect.gpus != fabric.gpus.size()) {
      const std::string wanted = std::to_string(*expect.gpus), found = std::to_string(fabric.gpus.size());
      Fail(out, "gpus.count",
           Err("composite.gpu-count", "", "there is evidence of " + found + " GPUs, expected " + wanted), wanted,
           found);
    }
  }
  AskNonce(expect, nonce, "gpu0/report", out);
  AddGpuDocuments(fabric.gpus, "gpu", out);
  AddGpuDocuments(fabric.switches, "switch", out);
  AddRims(collateral, out);
  return out;
}

}  // namespace

bool DetectNvidiaList(const InputFile& file) {
  const Json* list = &file.json;
  if (file.json.is_object()) {
    if (file.json.contains("device_evidence_list")) return true;
    if (!file.json.contains("evidence_list")) return false;
    list = &file.json["evidence_list"];
  }
  return list->is_array() && !list->empty() && (*list)[0].is_object() && (*list)[0].contains("evidence") &&
         (*list)[0].contains("certificate");
}

bool DetectGpuReport(const InputFile& file) {
  if (!file.json.is_null()) return false;
  const Bytes bytes = BinaryOf(file.bytes);
  // SPDM 1.1 or 1.2 GET_MEASUREMENTS, then MEASUREMENTS.
  return bytes.size() > evidence::kGpuReportRecordOffset && (bytes[0] == 0x11 || bytes[0] == 0x12) &&
         bytes[1] == 0xe0 && bytes[evidence::kGpuRequestSize + 1] == 0x60;
}

Result<OrderedJson> ShowNvidiaList(const EvidenceCase& files) {
  ASSIGN_OR_RETURN(const Gpus gpus, FromList(files));
  return Show(files, gpus);
}
Result<OrderedJson> ShowGpuReport(const EvidenceCase& files) {
  // Showing needs no chain.
  Gpus gpus;
  for (size_t i = 0; i < files.evidence.size(); ++i) {
    GpuEvidence gpu;
    gpu.report = BinaryOf(files.evidence[i].bytes);
    if (i < files.chains.size()) gpu.certificate_chain = files.chains[i].bytes;
    gpu.arch = ArchOf(gpu.certificate_chain);
    gpus.push_back(std::move(gpu));
  }
  return Show(files, gpus);
}
Status PartsOfNvidiaList(const EvidenceCase& files, Needs& needs) {
  ASSIGN_OR_RETURN(needs.gpus, FromList(files));
  return Ok();
}
Status PartsOfGpuReport(const EvidenceCase& files, Needs& needs) {
  ASSIGN_OR_RETURN(needs.gpus, FromReports(files));
  return Ok();
}
Result<Judgement> VerifyNvidiaList(const EvidenceCase& files, const Expectations& expect) {
  ASSIGN_OR_RETURN(const Gpus gpus, FromList(files));
  return Judge(files, expect, gpus);
}
Result<Judgement> VerifyGpuReport(const EvidenceCase& files, const Expectations& expect) {
  ASSIGN_OR_RETURN(const Gpus gpus, FromReports(files));
  return Judge(files, expect, gpus);
}

}  // namespace ccgpu::cli
