#include "cli/evidence_commands.h"

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/anchors.h"
#include "cli/node_commands.h"
#include "trust/evidence/composite.h"
#include "trust/evidence/gpu_report.h"
#include "trust/evidence/rim.h"
#include "trust/kbs/binding.h"
#include "trust/kbs/initdata.h"
#include "trust/policy/pod_policy.h"
#include "trust/verify/verify.h"

namespace ccgpu::cli {
namespace {

constexpr size_t kMaxEvidence = 32u << 20;

Result<evidence::CompositeEvidence> ReadEvidence(const std::string& file) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxEvidence));
  auto parsed = evidence::ParseComposite(text);
  if (!parsed.ok()) return parsed.error().In(file);
  return parsed;
}

Result<Bytes> ParseNonce(const std::string& hex) {
  auto bytes = HexDecode(hex);
  if (!bytes.ok() || bytes->size() < 16 || bytes->size() > 64)
    return Err("input.bad-value", "--nonce", "must be 32 to 128 hexadecimal digits (16 to 64 bytes)");
  return *bytes;
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

// What the evidence must be bound to, computed as the broker does it.
Result<verify::CompositeOptions> Expectations(const evidence::CompositeEvidence& evidence,
                                              const VerifyOptions& options) {
  ASSIGN_OR_RETURN(const kbs::PublicJwk key, kbs::ParseJwk(evidence.tee_pubkey));
  const std::string nonce = Base64Encode(evidence.nonce);
  verify::CompositeOptions out;
  out.gpu.nonce = kbs::GpuNonce(kbs::DeviceReportData(nonce, key));
  out.report_data = kbs::SnpReportData(kbs::PrimaryReportData(nonce, key, evidence.additional_evidence));
  if (!options.host_data.empty()) {
    const std::string hex = options.host_data.starts_with("sha256:") ? options.host_data.substr(7) : options.host_data;
    auto wanted = HexDecode(hex);
    if (!wanted.ok() || wanted->size() != 32)
      return Err("input.bad-value", "--host-data",
                 "must be sha256:<64 hex digits>, as `ccgpu policy digest` prints it");
    out.init_data_digest = *wanted;
  }
  out.gpu_count = options.gpus ? std::optional<size_t>(*options.gpus) : GpusOfPolicy(evidence.init_data);
  return out;
}

struct Judgement {
  verify::Verdict verdict;
  std::vector<std::string> warnings;
};

Result<Judgement> Judge(const Context& context, const VerifyOptions& options) {
  Judgement out;
  ASSIGN_OR_RETURN(const evidence::CompositeEvidence evidence, ReadEvidence(options.file));
  TimePoint at = context.clock.Now();
  if (!options.at.empty()) {
    ASSIGN_OR_RETURN(at, ParseTime(options.at));
  }
  ASSIGN_OR_RETURN(const verify::CompositeOptions expectations, Expectations(evidence, options));
  ASSIGN_OR_RETURN(const verify::Anchors anchors,
                   ChooseAnchors(context.layout, options.root_files, options.insecure_accept_emulated, &out.warnings));
  evidence::Collateral collateral = evidence.collateral;
  if (!options.collateral_dir.empty()) RETURN_IF_ERROR(AddCollateral(options.collateral_dir, collateral));
  verify::Check asked{.name = "nonce.asked",
                      .outcome = verify::Check::Outcome::kNotApplicable,
                      .reason = {},
                      .claim = "nonce",
                      .expected = {},
                      .found = HexEncode(evidence.nonce),
                      .document = "evidence"};
  bool fresh = true;
  if (options.nonce_hex.empty()) {
    asked.reason = Err("verify.no-nonce", "", "no --nonce was given: the evidence may be an old one");
    out.warnings.push_back("no --nonce: the evidence is judged, its freshness is not");
  } else {
    ASSIGN_OR_RETURN(const Bytes nonce, ParseNonce(options.nonce_hex));
    asked.expected = HexEncode(nonce);
    fresh = Equal(nonce, evidence.nonce);
    asked.outcome = fresh ? verify::Check::Outcome::kPassed : verify::Check::Outcome::kFailed;
    if (!fresh)
      asked.reason =
          Err("verify.nonce-mismatch", "", "the evidence answers another nonce: it is old, or somebody else's");
  }
  out.verdict = verify::VerifyComposite(evidence::Unverified<evidence::CompositeEvidence>(evidence), collateral,
                                        anchors, expectations, at);
  out.verdict.checks.insert(out.verdict.checks.begin(), asked);
  if (!fresh) {
    out.verdict.accepted = false;
    out.verdict.verified.reset();
  }
  return out;
}

void Print(std::ostream& out, const verify::Verdict& verdict) {
  for (const verify::Check& check : verdict.checks) {
    switch (check.outcome) {
      case verify::Check::Outcome::kPassed: out << "  ok    " << check.name << "\n"; break;
      case verify::Check::Outcome::kNotApplicable:
        out << "  -     " << check.name << "  (" << check.reason.text << ")\n";
        break;
      case verify::Check::Outcome::kFailed:
        out << "  FAIL  " << check.name << "  " << check.reason.text << " [" << check.reason.code << "]\n";
        if (!check.expected.empty())
          out << "          expected " << check.expected << "\n          found    " << check.found << "\n";
        if (!check.document.empty())
          out << "          in       " << check.document
              << (check.length ? " at byte " + std::to_string(check.offset) : "") << "\n";
        break;
    }
  }
  out << (verdict.accepted ? "accepted" : "refused")
      << (verdict.environment.empty() ? "" : " (" + verdict.environment + ")") << "\n";
}

Result<evidence::SnpReport> SnpReportOf(const evidence::CompositeEvidence& evidence) {
  const auto* snp = std::get_if<evidence::SnpEvidence>(&evidence.cpu);
  if (!snp) return Err("evidence.unknown-tee", "", "is no SNP evidence");
  return evidence::ParseSnpReport(snp->report);
}

Json Summary(const evidence::CompositeEvidence& evidence) {
  Json out = {{"format", "ccgpu.evidence/v1"},
              {"nonce", HexEncode(evidence.nonce)},
              {"tee", evidence::TeeOf(evidence.cpu)},
              {"gpus", Json::array()},
              {"collateral",
               {{"rims", Json::array()},
                {"ocsp_responses", evidence.collateral.ocsp_responses.size()},
                {"crls", evidence.collateral.crls.size()}}}};
  for (const auto& [id, xml] : evidence.collateral.rims) out["collateral"]["rims"].push_back(id);
  for (const evidence::GpuEvidence& gpu : evidence.gpus) {
    Json one = {{"arch", gpu.arch}, {"uuid", gpu.uuid}, {"report_bytes", gpu.report.size()}};
    if (auto report = evidence::ParseGpuReport(gpu.report); report.ok()) {
      one["nonce"] = HexEncode(report->nonce);
      one["driver_version"] = report->opaque.DriverVersion();
      one["vbios_version"] = report->opaque.VbiosVersion();
      one["measurements"] = report->measurements.size();
      one["rims"] = {evidence::DriverRimId(report->opaque), evidence::VbiosRimId(report->opaque)};
    } else {
      one["unreadable"] = report.error().ToString();
    }
    Json chain = Json::array();
    if (auto certificates = crypto::Certificate::ListFromPem(gpu.certificate_chain); certificates.ok()) {
      for (const auto& certificate : *certificates) chain.push_back(certificate.SubjectName());
    }
    one["certificate_chain"] = chain;
    out["gpus"].push_back(one);
  }
  if (auto snp = SnpReportOf(evidence); snp.ok()) {
    const evidence::TcbParts tcb = evidence::SplitTcb(snp->reported_tcb, snp->IsTurin());
    out["snp"] = {{"version", snp->version},
                  {"measurement", HexEncode(snp->measurement)},
                  {"host_data", HexEncode(snp->host_data)},
                  {"report_data", HexEncode(snp->report_data)},
                  {"vmpl", snp->vmpl},
                  {"debug", (snp->policy & evidence::snp_policy::kDebug) != 0},
                  {"reported_tcb", tcb.ToString()},
                  {"chip_id", HexEncode(snp->chip_id)}};
  }
  if (!evidence.init_data.empty()) {
    if (auto init = kbs::ParseInitData(evidence.init_data); init.ok()) {
      Json names = Json::array();
      for (const auto& [name, content] : init->data) names.push_back(name);
      out["init_data"] = {{"digest", "sha256:" + HexEncode(crypto::Sha256(AsBytes(evidence.init_data)))},
                          {"entries", names}};
    }
  }
  return out;
}

// An indented outline of the JSON.
void Outline(std::ostream& out, const Json& value, const std::string& indent) {
  for (const auto& [key, item] : value.items()) {
    if (item.is_structured() && !item.empty()) {
      out << indent << key << ":\n";
      Outline(out, item, indent + "  ");
    } else {
      out << indent << key << ": " << (item.is_string() ? item.get<std::string>() : item.dump()) << "\n";
    }
  }
}

}  // namespace

int CollectEvidence(Context& context, const CollectOptions& options, crypto::Random& random) {
  Bytes nonce = random.Take(32);
  if (!options.nonce_hex.empty()) {
    auto given = ParseNonce(options.nonce_hex);
    if (!given.ok()) return Report(context, given.error(), kUsage);
    nonce = *given;
  }
  auto text = EvidenceOfPod(context, ParsePodName(options.pod), ToText(nonce));
  if (!text.ok()) return Report(context, text.error());
  auto parsed = evidence::ParseComposite(*text);
  if (!parsed.ok()) return Report(context, parsed.error().In("evidence from the pod's agent"), kFailed);
  if (!Equal(parsed->nonce, nonce)) {
    return Report(context,
                  Err("verify.nonce-mismatch", options.pod, "the agent answered with evidence for another nonce"),
                  kFailed);
  }
  if (options.output.empty()) {
    context.out << *text << "\n";
    return kOk;
  }
  if (Status written = WriteFileAtomic(options.output, *text + "\n"); !written.ok())
    return Report(context, written.error(), kFailed);
  if (context.json) context.out << Json{{"output", options.output}, {"nonce", HexEncode(nonce)}}.dump() << "\n";
  else context.err << "wrote " << options.output << ", nonce " << HexEncode(nonce) << "\n";
  return kOk;
}

int ShowEvidence(Context& context, const std::string& file) {
  auto evidence = ReadEvidence(file);
  if (!evidence.ok()) return Report(context, evidence.error(), kUsage);
  const Json summary = Summary(*evidence);
  if (context.json) context.out << summary.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
  else Outline(context.out, summary, "");
  return kOk;
}

int VerifyEvidence(Context& context, const VerifyOptions& options) {
  auto judged = Judge(context, options);
  if (!judged.ok()) return Report(context, judged.error(), kUsage);
  for (const std::string& warning : judged->warnings) context.err << "ccgpu: warning: " << warning << "\n";
  if (context.json) context.out << judged->verdict.ToJson() << "\n";
  else Print(context.out, judged->verdict);
  return judged->verdict.accepted ? kOk : kFailed;
}

}  // namespace ccgpu::cli
