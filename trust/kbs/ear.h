// EAR attestation tokens (EAT Attestation Results) as signed JWTs: ES256 (P-256) or ES384 (P-384).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/crypto/key.h"
#include "base/result.h"

namespace ccgpu::kbs {

// AR4SI trustworthiness claims of one attester, by name ("hardware" -> 2); names that are absent count as 0 ("no
// claim").
using TrustVector = std::map<std::string, int>;
// The worst tier of a vector: "none", "affirming", "warning" or "contraindicated".
std::string TrustStatus(const TrustVector& vector);

struct EarSubmod {
  std::string name;  // "cpu0", "gpu0", "gpu1"
  TrustVector vector;
  std::string annotated_evidence_json;  // an object: claims, runtime_data_claims, ...
};
struct EarSpec {
  TimePoint issued, expires;
  std::string issuer, developer, build;
  std::string environment;  // "hardware" or "emulated": said in every token
  std::string session;      // "jti": the broker's session id
  std::vector<EarSubmod> submods;
  std::string nonce = {};                              // "eat_nonce"; empty: none
  std::map<std::string, std::string> protection = {};  // "data_confidentiality" -> "yes"; said as "ccgpu.<name>"
};
std::string MakeEarClaims(const EarSpec& spec);  // JSON text

// A compact JWS; the header carries the public key, which nobody should trust because of that alone.
std::string SignJwt(const crypto::PrivateKey& key, std::string_view claims_json);
// The claims' JSON text, when the token is signed by exactly this key, with this key's algorithm, and in time. Refuses
// "none", other algorithms, "crit", keys that stand twice, a missing "exp", and iat/nbf in the future (60 s of slack).
Result<std::string> VerifyJwt(const crypto::PublicKey& key, std::string_view token, TimePoint now);
// For holders of a token, who do not verify it: when it expires.
Result<TimePoint> UnverifiedExpiry(std::string_view token);

}  // namespace ccgpu::kbs
