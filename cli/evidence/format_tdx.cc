// Intel TDX quotes (versions 4 and 5), raw or in CoCo's JSON.
#include "base/encoding.h"
#include "cli/evidence/cpu_parts.h"
#include "cli/evidence/formats.h"
#include "cli/evidence/needs.h"
#include "trust/evidence/sgx_pck.h"
#include "trust/evidence/tdx_quote.h"

namespace ccgpu::cli {
namespace {

using evidence::TdxEvidence;

Result<TdxEvidence> Parse(const EvidenceCase& files) {
  const InputFile& file = files.evidence[0];
  if (files.evidence.size() != 1)
    return Err("input.two-formats", files.evidence[1].path, "is a second quote: one at a time");
  TdxEvidence out;
  if (file.json.is_null()) {
    out.quote = BinaryOf(file.bytes);
  } else {
    auto parsed = evidence::TdxEvidenceFromJson(file.bytes);
    if (!parsed.ok()) return parsed.error().In(file.path);
    out = std::move(*parsed);
  }
  if (!out.event_log && files.logs.size() == 1) out.event_log = ToBytes(AsBytes(files.logs[0].bytes));
  return out;
}

// Intel's documents as files are bodies alone, and their issuer chain a PEM file beside them.
collateral::Documents WithChains(const EvidenceCase& files) {
  std::string signer;
  for (const InputFile& chain : files.chains) {
    auto list = crypto::Certificate::ListFromPem(chain.bytes);
    if (list.ok() && (*list)[0].SubjectCommonName().find("TCB Signing") != std::string::npos) signer = chain.bytes;
  }
  collateral::Documents out = files.documents;
  for (collateral::Document& document : out) {
    if (document.kind != collateral::Kind::kIntelTcbInfo && document.kind != collateral::Kind::kIntelQeIdentity)
      continue;
    evidence::IntelDocument intel = collateral::IntelOf(document.content);
    if (intel.issuer_chain.empty()) intel.issuer_chain = signer;
    document.content = collateral::IntelText(intel);
  }
  return out;
}

}  // namespace

OrderedJson TdxJsonOf(const TdxEvidence& evidence) {
  auto quote = evidence::ParseTdxQuote(evidence.quote);
  if (!quote.ok()) return {{"unreadable", quote.error().ToString()}};
  const evidence::TdReport& body = quote->body;
  OrderedJson out = {{"version", quote->version},
                     {"mrtd", HexEncode(body.mr_td)},
                     {"mrconfigid", HexEncode(body.mr_config_id)},
                     {"mrowner", HexEncode(body.mr_owner)},
                     {"mrownerconfig", HexEncode(body.mr_owner_config)},
                     {"mrseam", HexEncode(body.mr_seam)},
                     {"tee_tcb_svn", HexEncode(body.tee_tcb_svn)},
                     {"report_data", HexEncode(body.report_data)}};
  for (size_t i = 0; i < 4; ++i) out["rtmr" + std::to_string(i)] = HexEncode(body.rtmrs[i]);
  if (auto chain = crypto::Certificate::ListFromPem(quote->pck_chain); chain.ok()) {
    if (auto pck = evidence::ReadPckExtensions((*chain)[0]); pck.ok()) out["fmspc"] = HexEncode(pck->fmspc);
  }
  out["certificates"] = CertificatesJson(quote->pck_chain);
  if (evidence.event_log) out["event_log_bytes"] = evidence.event_log->size();
  return out;
}

bool DetectTdx(const InputFile& file) {
  if (file.json.is_object()) return file.json.contains("quote") && file.json["quote"].is_string();
  if (!file.json.is_null()) return false;
  auto header = evidence::ParseTdxHeader(BinaryOf(file.bytes));
  return header.ok() && (header->version == 4 || header->version == 5) && header->tee_type == evidence::kTeeTypeTdx;
}

Result<OrderedJson> ShowTdx(const EvidenceCase& files) {
  ASSIGN_OR_RETURN(const TdxEvidence tdx, Parse(files));
  OrderedJson out = {{"format", files.format->name}};
  out["tdx"] = TdxJsonOf(tdx);
  return out;
}

Status PartsOfTdx(const EvidenceCase& files, Needs& needs) {
  ASSIGN_OR_RETURN(TdxEvidence tdx, Parse(files));
  needs.tdxs = {std::move(tdx)};
  return Ok();
}

Result<Judgement> VerifyTdx(const EvidenceCase& files, const Expectations& expect) {
  ASSIGN_OR_RETURN(const TdxEvidence tdx, Parse(files));
  auto quote = evidence::ParseTdxQuote(tdx.quote);
  if (!quote.ok()) return quote.error().In(files.evidence[0].path);
  verify::TdxOptions options = expect.policy.tdx;
  Expectations asked = expect;
  if (asked.report_data) asked.nonce = asked.report_data;
  else if (asked.nonce) asked.nonce->resize(64);
  options.report_data = asked.nonce ? *asked.nonce : quote->body.report_data;
  if (expect.host_data) {
    options.mr_config_id = *expect.host_data;
    options.mr_config_id->resize(48);
  }
  Judgement out;
  out.verdict = verify::VerifyTdx(evidence::Unverified<TdxEvidence>(tdx), collateral::ToCollateral(WithChains(files)),
                                  expect.anchors, options, expect.at);
  AskNonce(asked, quote->body.report_data, "tdx/quote", out);
  out.documents["tdx/quote"] = tdx.quote;
  if (tdx.event_log) out.documents["tdx/event-log"] = *tdx.event_log;
  return out;
}

}  // namespace ccgpu::cli
