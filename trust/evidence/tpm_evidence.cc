#include "trust/evidence/tpm_evidence.h"

#include <set>

#include "base/encoding.h"
#include "trust/evidence/tpm_quote.h"

namespace ccgpu::evidence {
namespace {

using OrderedJson = nlohmann::ordered_json;

constexpr size_t kMaxNumbers = 1 << 20;

Error Bad(std::string where, std::string text) { return Err("evidence.malformed", std::move(where), std::move(text)); }

Status OnlyMembers(const Json& object, const std::set<std::string>& known, const std::string& where) {
  if (!object.is_object()) return Bad(where, "is not an object");
  for (const auto& [key, value] : object.items()) {
    if (!known.contains(key)) return Bad(where + "." + key, "is not a known member");
  }
  return Ok();
}

Result<Bytes> Optional(const Json& object, const char* key, const std::string& where) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) return Bytes();
  return BytesOfJson(*it, BytesForm::kBase64, where + "." + key);
}

Result<Bytes> Required(const Json& object, const char* key, const std::string& where) {
  const auto it = object.find(key);
  if (it == object.end()) return Bad(where + "." + key, "is missing");
  return BytesOfJson(*it, BytesForm::kBase64, where + "." + key);
}

}  // namespace

Result<Bytes> BytesOfJson(const Json& value, BytesForm form, const std::string& where) {
  if (form == BytesForm::kNumbers) {
    if (!value.is_array() || value.size() > kMaxNumbers) return Bad(where, "is not an array of bytes");
    Bytes out;
    for (const Json& item : value) {
      if (!item.is_number_unsigned() || item.get<uint64_t>() > 255)
        return Bad(where, "holds something that is no byte");
      out.push_back(item.get<uint8_t>());
    }
    return out;
  }
  if (!value.is_string()) return Bad(where, "is not a text");
  std::string text = value.get<std::string>();
  if (form == BytesForm::kHex) {
    auto bytes = HexDecode(text);
    return bytes.ok() ? std::move(bytes) : Bad(where, "is not hexadecimal");
  }
  if (form == BytesForm::kBase64Url) {
    for (int padding = 0; padding < 2 && !text.empty() && text.back() == '='; ++padding) text.pop_back();
    auto bytes = Base64UrlDecode(text);
    return bytes.ok() ? std::move(bytes) : Bad(where, "is not base64 of the URL-safe alphabet");
  }
  auto bytes = Base64Decode(text);
  return bytes.ok() ? std::move(bytes) : Bad(where, "is not base64");
}

Result<std::map<uint32_t, Bytes>> PcrsOfJson(const Json& value, BytesForm form, const std::string& where) {
  if (!value.is_array() || value.size() > kTpmPcrCount) return Bad(where, "is not an array of at most 24 registers");
  std::map<uint32_t, Bytes> out;
  for (uint32_t i = 0; i < value.size(); ++i) {
    if (value[i].is_null()) continue;
    ASSIGN_OR_RETURN(out[i], BytesOfJson(value[i], form, where + "[" + std::to_string(i) + "]"));
  }
  return out;
}

OrderedJson PcrsToJson(const std::map<uint32_t, Bytes>& pcrs) {
  OrderedJson out = OrderedJson::array();
  for (const auto& [index, value] : pcrs) {
    while (out.size() < index) out.push_back(nullptr);
    out.push_back(HexEncode(value));
  }
  return out;
}

std::string TpmEvidenceToJson(const TpmEvidence& e) {
  OrderedJson out;
  out["ak_public"] = Base64Encode(e.ak_public);
  out["tpm_quote"]["message"] = Base64Encode(e.quote);
  out["tpm_quote"]["signature"] = Base64Encode(e.signature);
  out["tpm_quote"]["pcrs"] = PcrsToJson(e.pcrs);
  if (!e.ak_area.empty()) out["ak_area"] = Base64Encode(e.ak_area);
  if (!e.ak_certificates.empty()) out["ak_certificates"] = e.ak_certificates;
  if (!e.event_log.empty()) out["event_log"] = Base64Encode(e.event_log);
  return out.dump();
}

Result<TpmEvidence> TpmEvidenceFromJson(std::string_view text) {
  const std::string where = "primary_evidence";
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, where));
  RETURN_IF_ERROR(OnlyMembers(json, {"ak_public", "tpm_quote", "ak_area", "ak_certificates", "event_log"}, where));
  TpmEvidence out;
  ASSIGN_OR_RETURN(out.ak_public, Optional(json, "ak_public", where));
  ASSIGN_OR_RETURN(out.ak_area, Optional(json, "ak_area", where));
  ASSIGN_OR_RETURN(out.event_log, Optional(json, "event_log", where));
  if (const auto chain = json.find("ak_certificates"); chain != json.end()) {
    if (!chain->is_string()) return Bad(where + ".ak_certificates", "is not a text");
    out.ak_certificates = chain->get<std::string>();
  }
  const auto quote = json.find("tpm_quote");
  if (quote == json.end()) return Bad(where + ".tpm_quote", "is missing");
  RETURN_IF_ERROR(OnlyMembers(*quote, {"message", "signature", "pcrs"}, where + ".tpm_quote"));
  ASSIGN_OR_RETURN(out.quote, Required(*quote, "message", where + ".tpm_quote"));
  ASSIGN_OR_RETURN(out.signature, Required(*quote, "signature", where + ".tpm_quote"));
  const auto pcrs = quote->find("pcrs");
  if (pcrs == quote->end()) return Bad(where + ".tpm_quote.pcrs", "is missing");
  ASSIGN_OR_RETURN(out.pcrs, PcrsOfJson(*pcrs, BytesForm::kHex, where + ".tpm_quote.pcrs"));
  return out;
}

}  // namespace ccgpu::evidence
