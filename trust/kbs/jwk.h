// The public key of an attesting agent ("tee-pubkey") as a JSON Web Key (RFC 7517), in exactly the members that are
// hashed.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/crypto/key.h"

namespace ccgpu::kbs {

inline constexpr std::string_view kEcdhEsA256Kw = "ECDH-ES+A256KW";
inline constexpr std::string_view kRsaOaep256 = "RSA-OAEP-256";
inline constexpr std::string_view kRsa15 = "RSA1_5";

// EC: kty, crv, alg, x, y. RSA: kty, alg, n, e. The values are kept as the base64url texts that came, because the
// evidence commits to these texts.
struct PublicJwk {
  std::string kty;  // "EC" or "RSA"
  std::string crv;  // "P-256" or "P-521"; empty for RSA
  std::string alg;
  std::string x, y;
  std::string n, e;

  std::string ToJson() const;  // canonical (RFC 8785); for wire and for hashing
  bool operator==(const PublicJwk&) const = default;
};

// Drops unknown members, as every CoCo broker does before hashing. Refuses other key types, curves and algorithms
// ("kbs.unsupported-key"). That the point is on the curve is checked by JwkKey.
Result<PublicJwk> ParseJwk(std::string_view json);
Result<crypto::PublicKey> JwkKey(const PublicJwk& jwk);
// For P-256 and P-521 with ECDH-ES+A256KW, or RSA of 2048 bits and more with RSA-OAEP-256 (default) or RSA1_5.
Result<PublicJwk> MakeJwk(const crypto::PublicKey& key, std::string_view rsa_alg = kRsaOaep256);

}  // namespace ccgpu::kbs
