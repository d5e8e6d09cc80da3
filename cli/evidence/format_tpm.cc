// TPM 2.0 quotes in CoCo's JSON, with ccgpu's additions (docs/formats/tpm.md).
#include "base/encoding.h"
#include "cli/evidence/formats.h"
#include "trust/evidence/tpm_evidence.h"
#include "trust/evidence/tpm_quote.h"
#include "trust/verify/tpm/tpm.h"

namespace ccgpu::cli {
namespace {

Result<evidence::TpmEvidence> Parse(const EvidenceCase& files) {
  if (files.evidence.size() != 1)
    return Err("input.two-formats", files.evidence[1].path, "is a second quote: one at a time");
  auto out = evidence::TpmEvidenceFromJson(files.evidence[0].bytes);
  if (!out.ok()) return out.error().In(files.evidence[0].path);
  // What lies beside it fills what it does not bring.
  if (out->event_log.empty() && files.logs.size() == 1) out->event_log = ToBytes(AsBytes(files.logs[0].bytes));
  if (out->ak_certificates.empty()) {
    for (const InputFile& chain : files.chains) out->ak_certificates += chain.bytes;
  }
  return out;
}

}  // namespace

bool DetectTpmJson(const InputFile& file) {
  return file.json.is_object() && file.json.contains("tpm_quote") && !file.json.contains("hcl_report");
}

Result<OrderedJson> ShowTpmJson(const EvidenceCase& files) {
  ASSIGN_OR_RETURN(const evidence::TpmEvidence tpm, Parse(files));
  OrderedJson out = {{"format", files.format->name}};
  if (auto quote = evidence::ParseTpmQuote(tpm.quote); quote.ok()) out["nonce"] = HexEncode(quote->extra_data);
  else out["unreadable"] = quote.error().ToString();
  out["pcrs"] = OrderedJson::object();
  for (const auto& [index, value] : tpm.pcrs) out["pcrs"][std::to_string(index)] = HexEncode(value);
  if (!tpm.ak_public.empty()) out["attestation_key_sha256"] = HexEncode(crypto::Sha256(tpm.ak_public));
  out["certificates"] = CertificatesJson(tpm.ak_certificates);
  out["event_log_bytes"] = tpm.event_log.size();
  return out;
}

Result<Judgement> VerifyTpmJson(const EvidenceCase& files, const Expectations& expect) {
  ASSIGN_OR_RETURN(const evidence::TpmEvidence tpm, Parse(files));
  verify::TpmOptions options = expect.policy.tpm;
  options.roots = expect.anchors.tpm_roots;
  for (const std::string& text : expect.keys) {
    auto key = crypto::PublicKey::FromPem(text);
    if (!key.ok()) return Err("input.bad-value", "--key", "must be a PEM public key here: the attestation key");
    options.pinned_keys.push_back(key->Der());
  }
  Bytes said;
  if (auto quote = evidence::ParseTpmQuote(tpm.quote); quote.ok()) said = quote->extra_data;
  options.nonce = expect.nonce.value_or(said);
  Judgement out;
  out.verdict = verify::VerifyTpm(evidence::Unverified<evidence::TpmEvidence>(tpm),
                                  collateral::ToCollateral(files.documents), expect.anchors, options, expect.at);
  AskNonce(expect, said, "tpm/quote", out);
  out.documents["tpm/quote"] = tpm.quote;
  out.documents["tpm/event-log"] = tpm.event_log;
  return out;
}

}  // namespace ccgpu::cli
