#include "trust/kbs/ear.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/kbs/jcs.h"
#include "trust/kbs/jwk.h"

namespace ccgpu::kbs {
namespace {

constexpr std::string_view kProfile = "tag:github.com,2024:confidential-containers/Trustee";
constexpr std::string_view kClaimNames[] = {"instance-identity", "configuration",  "executables",    "file-system",
                                            "hardware",          "runtime-opaque", "storage-opaque", "sourced-data"};
constexpr int64_t kClockSlack = 60;
constexpr size_t kMaxToken = 1u << 20;

Error BadToken(std::string text) { return Err("kbs.bad-token", "token", std::move(text)); }

int Tier(int value) {  // 0 none, 1 affirming, 2 warning, 3 contraindicated (draft-ietf-rats-ar4si 2.3.2)
  if (value >= -1 && value <= 1) return 0;
  if (value >= -32 && value <= 31) return 1;
  if (value >= -96 && value <= 95) return 2;
  return 3;
}

struct Algorithm {
  std::string_view name, crv;
  crypto::Hash hash;
};

Result<Algorithm> AlgorithmOf(const crypto::PublicKey& key) {
  if (key.type() == crypto::KeyType::kP256) return Algorithm{"ES256", "P-256", crypto::Hash::kSha256};
  if (key.type() == crypto::KeyType::kP384) return Algorithm{"ES384", "P-384", crypto::Hash::kSha384};
  return Err("kbs.unsupported-key", "token key", "must be P-256 or P-384");
}

struct Parts {
  std::string_view signed_text;
  Json header, claims;
  Bytes signature;
};

Result<Parts> Split(std::string_view token) {
  if (token.size() > kMaxToken) return BadToken("is larger than 1 MiB");
  const size_t first = token.find('.'), last = token.rfind('.');
  if (first == std::string_view::npos || first == last || token.find('.', first + 1) != last)
    return BadToken("is not a JWT of three parts");
  Parts out;
  out.signed_text = token.substr(0, last);
  auto header = Base64UrlDecode(token.substr(0, first));
  auto claims = Base64UrlDecode(token.substr(first + 1, last - first - 1));
  auto signature = Base64UrlDecode(token.substr(last + 1));
  if (!header.ok() || !claims.ok() || !signature.ok()) return BadToken("is not base64url");
  auto header_json = ParseJson(AsText(*header), "token header");
  auto claims_json = ParseJson(AsText(*claims), "token claims");
  if (!header_json.ok() || !claims_json.ok() || !header_json->is_object() || !claims_json->is_object())
    return BadToken("does not hold JSON objects");
  out.header = std::move(*header_json);
  out.claims = std::move(*claims_json);
  out.signature = std::move(*signature);
  return out;
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
    Json vector = Json::object();
    for (std::string_view name : kClaimNames) {
      const auto it = submod.vector.find(std::string(name));
      vector[std::string(name)] = it == submod.vector.end() ? 0 : it->second;
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
  auto algorithm = AlgorithmOf(public_key);
  if (!algorithm.ok()) return "";
  const Bytes point = public_key.Point();
  const ByteView view(point);
  const std::string header = R"({"typ":"JWT","alg":")" + std::string(algorithm->name) + R"(","jwk":{"alg":")" +
                             std::string(algorithm->name) + R"(","kty":"EC","crv":")" + std::string(algorithm->crv) +
                             R"(","x":")" + Base64UrlEncode(view.first(point.size() / 2)) + R"(","y":")" +
                             Base64UrlEncode(view.subspan(point.size() / 2)) + "\"}}";
  std::string token = Base64UrlEncode(AsBytes(header)) + "." + Base64UrlEncode(AsBytes(claims_json));
  return token + "." + Base64UrlEncode(key.SignRaw(algorithm->hash, AsBytes(token)));
}

Result<std::string> VerifyJwt(const crypto::PublicKey& key, std::string_view token, TimePoint now) {
  ASSIGN_OR_RETURN(const Algorithm algorithm, AlgorithmOf(key));
  ASSIGN_OR_RETURN(const Parts parts, Split(token));
  auto alg = JsonString(parts.header, "alg", "token header");
  if (!alg.ok() || *alg != algorithm.name) return BadToken("is not signed with " + std::string(algorithm.name));
  if (parts.header.contains("crit")) return BadToken("wants header extensions (crit) that this program does not know");
  if (!key.VerifyRaw(algorithm.hash, AsBytes(parts.signed_text), parts.signature)) {
    return Err("kbs.token-signature", "token", "is not signed by this broker's key");
  }
  const int64_t at = now.time_since_epoch().count();
  auto expires = JsonInt(parts.claims, "exp", "token");
  if (!expires.ok()) return BadToken("has no expiry (exp)");
  if (*expires <= at)
    return Err("kbs.token-expired", "token",
               "expired at " + FormatTime(TimePoint(std::chrono::seconds(*expires))) + "; attest again");
  for (const char* name : {"iat", "nbf"}) {
    if (!parts.claims.contains(name)) continue;
    auto from = JsonInt(parts.claims, name, "token");
    if (!from.ok() || *from > at + kClockSlack)
      return Err("kbs.token-not-yet", "token", std::string(name) + " is in the future: compare the clocks");
  }
  return parts.claims.dump();
}

Result<TimePoint> UnverifiedExpiry(std::string_view token) {
  ASSIGN_OR_RETURN(const Parts parts, Split(token));
  ASSIGN_OR_RETURN(const int64_t expires, JsonInt(parts.claims, "exp", "token"));
  return TimePoint(std::chrono::seconds(expires));
}

}  // namespace ccgpu::kbs
