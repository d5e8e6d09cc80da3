#include "trust/kbs/protocol.h"

#include <algorithm>
#include <array>

#include "base/json.h"
#include "trust/kbs/jcs.h"

namespace ccgpu::kbs {
namespace {

constexpr std::array<std::string_view, 13> kTees = {"az-snp-vtpm", "az-tdx-vtpm", "nvidia",      "sgx", "snp",
                                                    "tdx",         "cca",         "csv",         "se",  "hygondcu",
                                                    "tpm",         "sample",      "sampledevice"};
constexpr std::string_view kErrorTypePrefix = "https://github.com/confidential-containers/kbs/errors/";

bool Has(const Json& object, std::string_view key) {
  return object.contains(key) && !object.at(std::string(key)).is_null();
}

}  // namespace

bool IsKnownTee(std::string_view tee) { return std::find(kTees.begin(), kTees.end(), tee) != kTees.end(); }

std::string AuthRequest::ToJson() const {
  return R"({"version":)" + JsonQuoted(version) + R"(,"tee":)" + JsonQuoted(tee) + R"(,"extra-params":)" +
         extra_params_json + "}";
}

Result<AuthRequest> ParseAuthRequest(std::string_view json) {
  ASSIGN_OR_RETURN(const Json body, ParseJson(json, "request"));
  AuthRequest out;
  ASSIGN_OR_RETURN(out.version, JsonString(body, "version", "request"));
  ASSIGN_OR_RETURN(out.tee, JsonString(body, "tee", "request"));
  if (!IsKnownTee(out.tee)) return Err("kbs.unknown-tee", "request.tee", "is not a TEE of the KBS protocol");
  if (!body.contains("extra-params")) return Err("kbs.bad-message", "request.extra-params", "is missing");
  out.extra_params_json = body.at("extra-params").dump();
  return out;
}

std::string Challenge::ToJson() const {
  return R"({"nonce":)" + JsonQuoted(nonce) + R"(,"extra-params":)" + extra_params_json + "}";
}

Result<Challenge> ParseChallenge(std::string_view json) {
  ASSIGN_OR_RETURN(const Json body, ParseJson(json, "challenge"));
  Challenge out;
  ASSIGN_OR_RETURN(out.nonce, JsonString(body, "nonce", "challenge"));
  if (body.contains("extra-params")) out.extra_params_json = body.at("extra-params").dump();
  return out;
}

std::string AttestRequest::ToJson() const {
  std::string out = "{";
  if (init_data) out += R"("init-data":{"format":"toml","body":)" + JsonQuoted(*init_data) + "},";
  out += R"("runtime-data":{"nonce":)" + JsonQuoted(nonce) + R"(,"tee-pubkey":)" + tee_pubkey.ToJson() + "},";
  return out + R"("tee-evidence":{"primary_evidence":)" + primary_evidence_json + R"(,"additional_evidence":)" +
         JsonQuoted(additional_evidence) + "}}";
}

Result<AttestRequest> ParseAttestRequest(std::string_view json) {
  ASSIGN_OR_RETURN(const Json body, ParseJson(json, "attestation"));
  AttestRequest out;
  ASSIGN_OR_RETURN(const Json runtime, JsonObject(body, "runtime-data", "attestation"));
  ASSIGN_OR_RETURN(out.nonce, JsonString(runtime, "nonce", "attestation.runtime-data"));
  ASSIGN_OR_RETURN(const Json key, JsonObject(runtime, "tee-pubkey", "attestation.runtime-data"));
  ASSIGN_OR_RETURN(out.tee_pubkey, ParseJwk(key.dump()));
  ASSIGN_OR_RETURN(const Json evidence, JsonObject(body, "tee-evidence", "attestation"));
  ASSIGN_OR_RETURN(const Json primary, JsonObject(evidence, "primary_evidence", "attestation.tee-evidence"));
  out.primary_evidence_json = primary.dump();
  ASSIGN_OR_RETURN(out.additional_evidence, JsonString(evidence, "additional_evidence", "attestation.tee-evidence"));
  if (Has(body, "init-data")) {
    ASSIGN_OR_RETURN(const std::string format, JsonString(body.at("init-data"), "format", "attestation.init-data"));
    if (format != "toml") return Err("kbs.bad-message", "attestation.init-data.format", "must be \"toml\"");
    ASSIGN_OR_RETURN(out.init_data, JsonString(body.at("init-data"), "body", "attestation.init-data"));
  }
  return out;
}

Result<std::map<std::string, std::string>> ParseAdditionalEvidence(std::string_view text) {
  std::map<std::string, std::string> out;
  if (text.empty()) return out;
  ASSIGN_OR_RETURN(const Json map, ParseJson(text, "additional_evidence"));
  if (!map.is_object()) return Err("kbs.bad-message", "additional_evidence", "must be a JSON map from TEE to evidence");
  for (const auto& [tee, evidence] : map.items()) {
    if (!IsKnownTee(tee))
      return Err("kbs.unknown-tee", "additional_evidence", "names a TEE that is not of the KBS protocol");
    out[tee] = evidence.dump();
  }
  return out;
}

std::string MakeAdditionalEvidence(const std::map<std::string, std::string>& evidence_json_by_tee) {
  if (evidence_json_by_tee.empty()) return "";
  std::string out;
  for (const auto& [tee, evidence] : evidence_json_by_tee)
    out += (out.empty() ? "{" : ",") + JsonQuoted(tee) + ":" + evidence;
  return out + "}";
}

std::string MakeTokenResponse(std::string_view token) { return R"({"token":)" + JsonQuoted(token) + "}"; }

Result<std::string> ParseTokenResponse(std::string_view json) {
  ASSIGN_OR_RETURN(const Json body, ParseJson(json, "response"));
  return JsonString(body, "token", "response");
}

std::string ErrorBody::ToJson() const {
  Json body = {{"type", std::string(kErrorTypePrefix) + variant}, {"detail", detail}};
  if (why) {
    body["ccgpu"] = {{"code", why->code}, {"subject", why->subject}, {"text", why->text}};
    if (auto checks = ParseJson(checks_json.empty() ? "[]" : checks_json, "checks"); checks.ok() && !checks->empty()) {
      body["ccgpu"]["checks"] = std::move(*checks);
    }
  }
  // A subject may quote what a client sent, which need not be UTF-8.
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<ErrorBody> ParseErrorBody(std::string_view json) {
  ASSIGN_OR_RETURN(const Json body, ParseJson(json, "error"));
  ErrorBody out;
  ASSIGN_OR_RETURN(out.variant, JsonString(body, "type", "error"));
  ASSIGN_OR_RETURN(out.detail, JsonString(body, "detail", "error"));
  if (const size_t slash = out.variant.rfind('/'); slash != std::string::npos) out.variant.erase(0, slash + 1);
  if (Has(body, "ccgpu")) {
    const Json& why = body.at("ccgpu");
    ASSIGN_OR_RETURN(std::string code, JsonString(why, "code", "error.ccgpu"));
    ASSIGN_OR_RETURN(std::string subject, JsonString(why, "subject", "error.ccgpu"));
    ASSIGN_OR_RETURN(std::string text, JsonString(why, "text", "error.ccgpu"));
    out.why = Error::FromWire(std::move(code), std::move(subject), std::move(text));
    if (Has(why, "checks")) out.checks_json = why.at("checks").dump();
  }
  return out;
}

}  // namespace ccgpu::kbs
