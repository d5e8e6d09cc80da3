#include "trust/kbs/ear.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/jwt.h"

namespace ccgpu::kbs {
namespace {

constexpr std::string_view kProfile = "tag:github.com,2024:confidential-containers/Trustee";
constexpr std::string_view kClaimNames[] = {"instance-identity", "configuration",  "executables",    "file-system",
                                            "hardware",          "runtime-opaque", "storage-opaque", "sourced-data"};
constexpr int64_t kClockSlack = 60;

Error BadToken(std::string text) { return Err("kbs.bad-token", "token", std::move(text)); }

int Tier(int value) {  // 0 none, 1 affirming, 2 warning, 3 contraindicated (draft-ietf-rats-ar4si 2.3.2)
  if (value >= -1 && value <= 1) return 0;
  if (value >= -32 && value <= 31) return 1;
  if (value >= -96 && value <= 95) return 2;
  return 3;
}

// Of all that JOSE has, the broker's tokens are signed with these two.
Result<evidence::JwsAlgorithm> AlgorithmOf(const crypto::PublicKey& key) {
  if (key.type() == crypto::KeyType::kP256) return evidence::JwsAlgorithm::kEs256;
  if (key.type() == crypto::KeyType::kP384) return evidence::JwsAlgorithm::kEs384;
  return Err("kbs.unsupported-key", "token key", "must be P-256 or P-384");
}

Result<evidence::Jwt> Parse(std::string_view token) {
  auto jwt = evidence::ParseJwt(token);
  if (!jwt.ok()) return BadToken(jwt.error().text);
  return jwt;
}

}  // namespace

std::string TrustStatus(const TrustVector& vector) {
  static constexpr const char* kNames[] = {"none", "affirming", "warning", "contraindicated"};
  int worst = 0;
  for (const auto& [name, value] : vector) worst = std::max(worst, Tier(value));
  return kNames[worst];
}

std::string MakeEarClaims(const EarSpec& spec) {
  Json submods = Json::object();
  for (const EarSubmod& submod : spec.submods) {
    // CoCo's have all eight, and policies index the CPU's. A device has those that were judged: the token of a whole
    // machine, eight GPUs and four switches, has to fit into one header line.
    const bool all = submod.name.starts_with("cpu");
    Json vector = Json::object();
    for (std::string_view name : kClaimNames) {
      const auto it = submod.vector.find(std::string(name));
      if (all || it != submod.vector.end()) vector[std::string(name)] = it == submod.vector.end() ? 0 : it->second;
    }
    auto annotated = ParseJson(submod.annotated_evidence_json, submod.name);
    submods[submod.name] = {
        {"ear.status", TrustStatus(submod.vector)},
        {"ear.trustworthiness-vector", std::move(vector)},
        {"ear.appraisal-policy-id", "default"},
        {"ear.veraison.annotated-evidence", annotated.ok() ? std::move(*annotated) : Json::object()}};
  }
  Json claims = {{"eat_profile", kProfile},
                 {"iat", spec.issued.time_since_epoch().count()},
                 {"exp", spec.expires.time_since_epoch().count()},
                 {"iss", spec.issuer},
                 {"jti", spec.session},
                 {"ear.verifier-id", {{"developer", spec.developer}, {"build", spec.build}}},
                 {"ccgpu.environment", spec.environment},
                 {"submods", std::move(submods)}};
  if (!spec.nonce.empty()) claims["eat_nonce"] = spec.nonce;
  for (const auto& [name, value] : spec.protection) claims["ccgpu." + name] = value;
  return claims.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string SignJwt(const crypto::PrivateKey& key, std::string_view claims_json) {
  const crypto::PublicKey public_key = key.public_key();
  const auto algorithm = AlgorithmOf(public_key);
  if (!algorithm.ok()) return "";
  const std::string_view name = evidence::JwsName(*algorithm);
  const Bytes point = public_key.Point();
  const ByteView view(point);
  const Json jwk = {{"alg", name},
                    {"kty", "EC"},
                    {"crv", name == "ES256" ? "P-256" : "P-384"},
                    {"x", Base64UrlEncode(view.first(point.size() / 2))},
                    {"y", Base64UrlEncode(view.subspan(point.size() / 2))}};
  return evidence::MakeJwt(*algorithm, key, {{"typ", "JWT"}, {"alg", name}, {"jwk", jwk}}, claims_json);
}

Result<std::string> VerifyJwt(const crypto::PublicKey& key, std::string_view token, TimePoint now) {
  ASSIGN_OR_RETURN(const evidence::JwsAlgorithm algorithm, AlgorithmOf(key));
  ASSIGN_OR_RETURN(const evidence::Jwt jwt, Parse(token));
  const std::string_view name = evidence::JwsName(algorithm);
  if (jwt.algorithm != name) return BadToken("is not signed with " + std::string(name));
  if (!evidence::VerifyJws(algorithm, key, AsBytes(jwt.signed_text), jwt.signature))
    return Err("kbs.token-signature", "token", "is not signed by this broker's key");
  const int64_t at = now.time_since_epoch().count();
  auto expires = JsonInt(jwt.claims, "exp", "token");
  if (!expires.ok()) return BadToken("has no expiry (exp)");
  if (*expires <= at)
    return Err("kbs.token-expired", "token",
               "expired at " + FormatTime(TimePoint(std::chrono::seconds(*expires))) + "; attest again");
  for (const char* claim : {"iat", "nbf"}) {
    if (!jwt.claims.contains(claim)) continue;
    auto from = JsonInt(jwt.claims, claim, "token");
    if (!from.ok() || *from > at + kClockSlack)
      return Err("kbs.token-not-yet", "token", std::string(claim) + " is in the future: compare the clocks");
  }
  return jwt.claims.dump();
}

Result<TimePoint> UnverifiedExpiry(std::string_view token) {
  ASSIGN_OR_RETURN(const evidence::Jwt jwt, Parse(token));
  ASSIGN_OR_RETURN(const int64_t expires, JsonInt(jwt.claims, "exp", "token"));
  return TimePoint(std::chrono::seconds(expires));
}

}  // namespace ccgpu::kbs
