#include "trust/evidence/azure_evidence.h"

#include <set>

#include "base/crypto/x509.h"
#include "base/encoding.h"
#include "trust/evidence/tpm_evidence.h"

namespace ccgpu::evidence {
namespace {

using OrderedJson = nlohmann::ordered_json;

const std::string kWhere = "primary_evidence";

Error Bad(std::string where, std::string text) { return Err("evidence.malformed", std::move(where), std::move(text)); }

// Exactly these members: something in others might have been meant to count.
Status Exactly(const Json& object, const std::set<std::string>& members, const std::string& where) {
  if (!object.is_object()) return Bad(where, "is not an object");
  for (const auto& [key, value] : object.items()) {
    if (!members.contains(key)) return Bad(where + "." + key, "is not a known member of this version");
  }
  for (const std::string& member : members) {
    if (!object.contains(member)) return Bad(where + "." + member, "is missing");
  }
  return Ok();
}

Status ReadQuote(const Json& quote, BytesForm form, const std::string& where, AzureEvidence& out) {
  RETURN_IF_ERROR(Exactly(quote, {"signature", "message", "pcrs"}, where));
  ASSIGN_OR_RETURN(out.signature, BytesOfJson(quote["signature"], form, where + ".signature"));
  ASSIGN_OR_RETURN(out.quote, BytesOfJson(quote["message"], form, where + ".message"));
  ASSIGN_OR_RETURN(out.pcrs, PcrsOfJson(quote["pcrs"], form, where + ".pcrs"));
  return Ok();
}

Status ReadSnp(const Json& json, AzureEvidence& out) {
  if (out.version == 0) {
    RETURN_IF_ERROR(Exactly(json, {"quote", "report", "vcek"}, kWhere));
    RETURN_IF_ERROR(ReadQuote(json["quote"], BytesForm::kNumbers, kWhere + ".quote", out));
    ASSIGN_OR_RETURN(out.hcl_report, BytesOfJson(json["report"], BytesForm::kNumbers, kWhere + ".report"));
    auto vcek = json["vcek"].is_string() ? crypto::Certificate::FromPem(json["vcek"].get<std::string>())
                                         : Result<crypto::Certificate>(Bad(kWhere + ".vcek", "is not a text"));
    if (!vcek.ok()) return Bad(kWhere + ".vcek", "is not one PEM certificate");
    out.vcek = vcek->Der();
    return Ok();
  }
  RETURN_IF_ERROR(Exactly(json, {"version", "tpm_quote", "hcl_report", "vcek"}, kWhere));
  RETURN_IF_ERROR(ReadQuote(json["tpm_quote"], BytesForm::kHex, kWhere + ".tpm_quote", out));
  ASSIGN_OR_RETURN(out.hcl_report, BytesOfJson(json["hcl_report"], BytesForm::kBase64Url, kWhere + ".hcl_report"));
  ASSIGN_OR_RETURN(out.vcek, BytesOfJson(json["vcek"], BytesForm::kBase64Url, kWhere + ".vcek"));
  return Ok();
}

Status ReadTdx(const Json& json, AzureEvidence& out) {
  std::set<std::string> members = {"tpm_quote", "hcl_report", "td_quote"};
  if (out.version != 0) members.insert("version");
  RETURN_IF_ERROR(Exactly(json, members, kWhere));
  const BytesForm quote = out.version == 0 ? BytesForm::kNumbers : BytesForm::kHex,
                  rest = out.version == 0 ? BytesForm::kNumbers : BytesForm::kBase64Url;
  RETURN_IF_ERROR(ReadQuote(json["tpm_quote"], quote, kWhere + ".tpm_quote", out));
  ASSIGN_OR_RETURN(out.hcl_report, BytesOfJson(json["hcl_report"], rest, kWhere + ".hcl_report"));
  ASSIGN_OR_RETURN(out.td_quote, BytesOfJson(json["td_quote"], rest, kWhere + ".td_quote"));
  return Ok();
}

OrderedJson NumbersOfPcrs(const std::map<uint32_t, Bytes>& pcrs) {
  OrderedJson out = OrderedJson::array();
  for (const auto& [index, value] : pcrs) {
    while (out.size() < index) out.push_back(nullptr);
    out.push_back(OrderedJson(value));
  }
  return out;
}

}  // namespace

std::string AzureEvidenceToJson(const AzureEvidence& e) {
  const bool snp = e.tee == "az-snp-vtpm";
  OrderedJson out;
  if (e.version == 0) {
    OrderedJson& quote = out[snp ? "quote" : "tpm_quote"];
    quote["signature"] = e.signature;
    quote["message"] = e.quote;
    quote["pcrs"] = NumbersOfPcrs(e.pcrs);
    out[snp ? "report" : "hcl_report"] = e.hcl_report;
    if (snp) {
      const auto vcek = crypto::Certificate::FromDer(e.vcek);
      out["vcek"] = vcek.ok() ? vcek->Pem() : "";
    } else {
      out["td_quote"] = e.td_quote;
    }
    return out.dump();
  }
  out["version"] = e.version;
  out["tpm_quote"]["signature"] = HexEncode(e.signature);
  out["tpm_quote"]["message"] = HexEncode(e.quote);
  out["tpm_quote"]["pcrs"] = PcrsToJson(e.pcrs);
  out["hcl_report"] = Base64UrlEncode(e.hcl_report);
  out[snp ? "vcek" : "td_quote"] = Base64UrlEncode(snp ? e.vcek : e.td_quote);
  return out.dump();
}

Result<AzureEvidence> AzureEvidenceFromJson(std::string_view tee, std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, kWhere));
  if (!json.is_object()) return Bad(kWhere, "is not an object");
  AzureEvidence out;
  out.tee = std::string(tee);
  out.version = 0;
  if (const auto version = json.find("version"); version != json.end()) {
    if (!version->is_number_unsigned() || version->get<uint64_t>() < 1 || version->get<uint64_t>() > 2)
      return Bad(kWhere + ".version", "is neither 1 nor 2");
    out.version = version->get<uint32_t>();
  }
  if (tee == "az-snp-vtpm") {
    RETURN_IF_ERROR(ReadSnp(json, out));
  } else if (tee == "az-tdx-vtpm") {
    RETURN_IF_ERROR(ReadTdx(json, out));
  } else {
    return Err("evidence.unknown-tee", "tee", "is \"" + std::string(tee) + "\", expected az-snp-vtpm or az-tdx-vtpm");
  }
  return out;
}

}  // namespace ccgpu::evidence
