// SEV-SNP reports: raw (1184 bytes), extended (with the certificate table behind it), and CoCo's JSON.
#include <algorithm>

#include "base/encoding.h"
#include "cli/evidence/cpu_parts.h"
#include "cli/evidence/formats.h"
#include "cli/evidence/needs.h"

namespace ccgpu::cli {
namespace {

using evidence::SnpEvidence;

bool LooksLikeReport(ByteView bytes) {
  if (bytes.size() < evidence::kSnpReportSize) return false;
  Reader in(bytes);
  const uint32_t version = in.U32();
  if (version < 1 || version > 16) return false;
  in.Skip(evidence::snp_offset::kSignatureAlgorithm - 4);
  return in.U32() <= 1 && (bytes.size() == evidence::kSnpReportSize || bytes.size() > evidence::kSnpReportSize + 24);
}

// The certificates: what the evidence brings, what lies beside it, what the collateral has for this report.
void AddCertificates(const EvidenceCase& files, SnpEvidence& out) {
  std::vector<evidence::SnpCertificate> more = collateral::AmdCertificates(files.documents);
  std::string hardware_id;
  uint64_t tcb = 0;
  bool turin = false;
  if (auto report = evidence::ParseSnpReport(out.report); report.ok()) {
    hardware_id = HexEncode(report->chip_id);
    tcb = report->reported_tcb;
    turin = report->IsTurin();
  }
  for (evidence::SnpCertificate& certificate : more) {
    const bool leaf = certificate.type == "VCEK" || certificate.type == "VLEK";
    if (leaf) {
      const bool have = std::any_of(out.certificates.begin(), out.certificates.end(),
                                    [](const auto& one) { return one.type == "VCEK" || one.type == "VLEK"; });
      if (have) continue;
      // Of several leaves, one that is for this chip and TCB; the verifier compares again.
      const auto parsed = crypto::Certificate::FromDer(certificate.der);
      const auto facts = parsed.ok() ? evidence::ReadVcekExtensions(*parsed) : Err("snp.chain-profile", "", "");
      const size_t leaves = std::count_if(more.begin(), more.end(),
                                          [](const auto& one) { return one.type == "VCEK" || one.type == "VLEK"; });
      const bool fits = facts.ok() && facts->tcb == evidence::SplitTcb(tcb, turin) &&
                        (!facts->hardware_id || hardware_id.starts_with(HexEncode(*facts->hardware_id)));
      if (leaves > 1 && !fits) continue;
    }
    out.certificates.push_back(std::move(certificate));
  }
}

Result<SnpEvidence> FromRaw(const EvidenceCase& files) {
  const Bytes bytes = BinaryOf(files.evidence[0].bytes);
  SnpEvidence out;
  out.report = Bytes(bytes.begin(),
                     bytes.begin() + static_cast<std::ptrdiff_t>(std::min(bytes.size(), evidence::kSnpReportSize)));
  if (bytes.size() > evidence::kSnpReportSize) {
    auto table = evidence::ParseCertTable(ByteView(bytes).subspan(evidence::kSnpReportSize));
    if (!table.ok()) return table.error().In(files.evidence[0].path);
    out.certificates = std::move(*table);
  }
  if (auto report = evidence::ParseSnpReport(out.report); !report.ok())
    return report.error().In(files.evidence[0].path);
  return out;
}

Result<SnpEvidence> FromJson(const EvidenceCase& files) {
  auto out = evidence::SnpEvidenceFromJson(files.evidence[0].bytes);
  if (!out.ok()) return out.error().In(files.evidence[0].path);
  return out;
}

Result<SnpEvidence> Parse(const EvidenceCase& files, Result<SnpEvidence> (*read)(const EvidenceCase&)) {
  if (files.evidence.size() != 1)
    return Err("input.two-formats", files.evidence[1].path, "is a second report: one at a time");
  ASSIGN_OR_RETURN(SnpEvidence out, read(files));
  AddCertificates(files, out);
  return out;
}

Result<OrderedJson> Show(const EvidenceCase& files, Result<SnpEvidence> (*read)(const EvidenceCase&)) {
  ASSIGN_OR_RETURN(const SnpEvidence evidence, Parse(files, read));
  OrderedJson out = {{"format", files.format->name}};
  out["snp"] = SnpJsonOf(evidence);
  return out;
}

Result<Judgement> Judge(const EvidenceCase& files, const Expectations& expect,
                        Result<SnpEvidence> (*read)(const EvidenceCase&)) {
  ASSIGN_OR_RETURN(const SnpEvidence evidence, Parse(files, read));
  ASSIGN_OR_RETURN(const evidence::SnpReport report, evidence::ParseSnpReport(evidence.report));
  verify::SnpOptions options = expect.policy.snp;
  Expectations asked = expect;
  // A nonce stands alone in REPORT_DATA, filled up with zeros; --report-data gives all 64 bytes.
  if (asked.report_data) asked.nonce = asked.report_data;
  else if (asked.nonce) asked.nonce->resize(64);
  options.report_data = asked.nonce ? *asked.nonce : report.report_data;
  options.host_data = expect.host_data;
  Judgement out;
  out.verdict = verify::VerifySnp(evidence::Unverified<SnpEvidence>(evidence),
                                  collateral::ToCollateral(files.documents), expect.anchors, options, expect.at);
  AskNonce(asked, report.report_data, "snp/report", out);
  out.documents["snp/report"] = evidence.report;
  return out;
}

}  // namespace

OrderedJson SnpJsonOf(const SnpEvidence& evidence) {
  auto report = evidence::ParseSnpReport(evidence.report);
  if (!report.ok()) return {{"unreadable", report.error().ToString()}};
  const auto tcb = [&](uint64_t value) { return evidence::SplitTcb(value, report->IsTurin()).ToString(); };
  const auto bit = [&](uint64_t mask) { return (report->policy & mask) != 0; };
  const auto version = [](const evidence::SnpVersion& v) {
    return std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.build);
  };
  OrderedJson out = {
      {"version", report->version},
      {"measurement", HexEncode(report->measurement)},
      {"host_data", HexEncode(report->host_data)},
      {"report_data", HexEncode(report->report_data)},
      {"vmpl", report->vmpl},
      {"guest_svn", report->guest_svn},
      {"debug", bit(evidence::snp_policy::kDebug)},
      {"migration_agent", bit(evidence::snp_policy::kMigrationAgent)},
      {"smt_allowed", bit(evidence::snp_policy::kSmtAllowed)},
      {"single_socket", bit(evidence::snp_policy::kSingleSocket)},
      {"minimum_abi", std::to_string((report->policy >> 8) & 0xff) + "." + std::to_string(report->policy & 0xff)},
      {"reported_tcb", tcb(report->reported_tcb)},
      {"committed_tcb", tcb(report->committed_tcb)},
      {"current_tcb", tcb(report->current_tcb)},
      {"launch_tcb", tcb(report->launch_tcb)},
      {"firmware", version(report->current_version)},
      {"committed_firmware", version(report->committed_version)},
      {"platform_info", report->platform_info},
      {"signing_key", report->SigningKey() == 0   ? "VCEK"
                      : report->SigningKey() == 1 ? "VLEK"
                                                  : "none"},
      {"chip_id", HexEncode(report->chip_id)},
      {"id_key_digest", HexEncode(report->id_key_digest)},
      {"author_key_digest", HexEncode(report->author_key_digest)},
      {"report_id", HexEncode(report->report_id)},
  };
  out["certificates"] = OrderedJson::array();
  for (const evidence::SnpCertificate& certificate : evidence.certificates) {
    auto parsed = crypto::Certificate::FromDer(certificate.der);
    OrderedJson one = parsed.ok() ? CertificateJson(*parsed) : OrderedJson{{"unreadable", parsed.error().text}};
    one["type"] = certificate.type;
    out["certificates"].push_back(one);
  }
  return out;
}

Status PartsOfSnpReport(const EvidenceCase& evidence, Needs& needs) {
  ASSIGN_OR_RETURN(SnpEvidence snp, Parse(evidence, FromRaw));
  needs.snps = {std::move(snp)};
  return Ok();
}
Status PartsOfSnpJson(const EvidenceCase& evidence, Needs& needs) {
  ASSIGN_OR_RETURN(SnpEvidence snp, Parse(evidence, FromJson));
  needs.snps = {std::move(snp)};
  return Ok();
}

bool DetectSnpReport(const InputFile& file) { return file.json.is_null() && LooksLikeReport(BinaryOf(file.bytes)); }
bool DetectSnpJson(const InputFile& file) { return file.json.is_object() && file.json.contains("attestation_report"); }
Result<OrderedJson> ShowSnpReport(const EvidenceCase& evidence) { return Show(evidence, FromRaw); }
Result<OrderedJson> ShowSnpJson(const EvidenceCase& evidence) { return Show(evidence, FromJson); }
Result<Judgement> VerifySnpReport(const EvidenceCase& evidence, const Expectations& expect) {
  return Judge(evidence, expect, FromRaw);
}
Result<Judgement> VerifySnpJson(const EvidenceCase& evidence, const Expectations& expect) {
  return Judge(evidence, expect, FromJson);
}

}  // namespace ccgpu::cli
