#include "trust/evidence/tdx_evidence.h"

#include "base/encoding.h"
#include "base/json.h"

namespace ccgpu::evidence {
namespace {

Error Bad(std::string where, std::string text) { return Err("evidence.malformed", std::move(where), std::move(text)); }

}  // namespace

std::string TdxEvidenceToJson(const TdxEvidence& evidence) {
  nlohmann::ordered_json out;
  out["cc_eventlog"] = evidence.event_log ? nlohmann::ordered_json(Base64Encode(*evidence.event_log)) : nullptr;
  out["quote"] = Base64Encode(evidence.quote);
  return out.dump();
}

Result<TdxEvidence> TdxEvidenceFromJson(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, "tdx evidence"));
  if (!json.is_object()) return Bad("tdx evidence", "is not an object");
  TdxEvidence out;
  for (const auto& [key, value] : json.items()) {
    if (key != "quote" && key != "cc_eventlog") return Bad(key, "is not a known member of TDX evidence");
    if (key == "cc_eventlog" && value.is_null()) continue;
    auto bytes = value.is_string() ? Base64Decode(value.get<std::string>()) : Result<Bytes>(Bad(key, "is no string"));
    if (!bytes.ok()) return Bad(key, "is not base64");
    if (key == "quote") out.quote = std::move(*bytes);
    else out.event_log = std::move(*bytes);
  }
  if (out.quote.empty()) return Bad("quote", "is missing");
  return out;
}

}  // namespace ccgpu::evidence
