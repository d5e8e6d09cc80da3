#include "trust/verify/token/token.h"

namespace ccgpu::verify {
namespace {

using evidence::JwsAlgorithm;

bool IsRsa(const crypto::PublicKey& key) {
  const auto algorithm = evidence::DefaultAlgorithm(key);
  return algorithm.ok() && *algorithm == JwsAlgorithm::kPs256;
}

Result<JwsAlgorithm> AlgorithmFor(const evidence::Jwk& jwk, bool allow_rs256) {
  ASSIGN_OR_RETURN(const JwsAlgorithm standard, evidence::DefaultAlgorithm(jwk.key));
  const bool rsa = IsRsa(jwk.key);
  if (jwk.algorithm.empty()) return rsa && allow_rs256 ? JwsAlgorithm::kRs256 : standard;
  if (jwk.algorithm == evidence::JwsName(standard)) return standard;
  if (rsa && jwk.algorithm == evidence::JwsName(JwsAlgorithm::kPs384)) return JwsAlgorithm::kPs384;
  if (rsa && allow_rs256 && jwk.algorithm == evidence::JwsName(JwsAlgorithm::kRs256)) return JwsAlgorithm::kRs256;
  return Err("token.algorithm", "key " + jwk.key_id,
             "the key set wants it used with \"" + jwk.algorithm + "\", which is not allowed for this kind of key");
}

}  // namespace

Result<TokenKey> PinnedKey(const crypto::PublicKey& key, std::string key_id) {
  ASSIGN_OR_RETURN(const JwsAlgorithm algorithm, evidence::DefaultAlgorithm(key));
  return TokenKey{key, algorithm, std::move(key_id)};
}

Result<std::vector<TokenKey>> PinnedKeys(std::string_view jwks, bool allow_rs256) {
  ASSIGN_OR_RETURN(const std::vector<evidence::Jwk> set, evidence::ParseJwks(jwks));
  std::vector<TokenKey> out;
  for (const evidence::Jwk& jwk : set) {
    ASSIGN_OR_RETURN(const JwsAlgorithm algorithm, AlgorithmFor(jwk, allow_rs256));
    out.push_back({jwk.key, algorithm, jwk.key_id});
  }
  return out;
}

}  // namespace ccgpu::verify
