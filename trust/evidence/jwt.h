// JSON Web Tokens in compact form (RFC 7515, RFC 7519): reading them without believing them, and making them.
//
// Which key and which algorithm may verify a token is the caller's knowledge (trust/verify/token/token.h); what the
// header says about keys (jku, x5u, jwk) is not even read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/crypto/key.h"
#include "base/json.h"

namespace ccgpu::evidence {

// The signature algorithms of JOSE (RFC 7518 3.1) that anything here verifies. The names are part of the format.
enum class JwsAlgorithm { kEs256, kEs384, kEs512, kPs256, kPs384, kRs256 };
std::string_view JwsName(JwsAlgorithm algorithm);
// True when the signature is `key`'s over `data` with exactly this algorithm, and the key is of its kind and size.
[[nodiscard]] bool VerifyJws(JwsAlgorithm algorithm, const crypto::PublicKey& key, ByteView data, ByteView signature);
// The algorithm that a key is used with when nothing else is configured: ES256/384/512 by curve, PS256 for RSA.
// Error: token.key-type.
Result<JwsAlgorithm> DefaultAlgorithm(const crypto::PublicKey& key);

struct Jwt {
  std::string signed_text;  // header and claims as received, with the dot between
  Json header, claims;      // objects
  Bytes signature;
  std::string algorithm, key_id;                   // of the header; key_id may be empty
  std::vector<Bytes> x5c;                          // DER, leaf first; worth nothing until it ends in a pinned root
  size_t claims_offset = 0, signature_offset = 0;  // of the encoded parts in the token
};

inline constexpr size_t kMaxTokenSize = 1u << 20;

// Errors: token.malformed (no three parts, not base64url, not JSON objects, a key twice, wrong types);
// token.critical for a header with "crit", of which no extension is known here, and for "b64".
Result<Jwt> ParseJwt(std::string_view token);

// A compact JWS with this header (which must say the fitting "alg") and this payload. Empty when the key is of another
// kind than the algorithm.
std::string MakeJwt(JwsAlgorithm algorithm, const crypto::PrivateKey& key, const Json& header, std::string_view claims);

// One key of a JSON Web Key Set (RFC 7517). Its x5c certificate is a container here: who trusts the set trusts the key.
struct Jwk {
  crypto::PublicKey key;
  std::string key_id, algorithm;  // may be empty
};
// Keys for encryption ("use":"enc") and key types that sign nothing here are left out. Errors: token.bad-jwks for what
// is not a JWKS, has two keys of one kid, a private key, or a key that contradicts its own certificate.
Result<std::vector<Jwk>> ParseJwks(std::string_view json);
// A set of one EC key, with its RFC 7638 thumbprint as kid: for whoever verifies our tokens.
std::string MakeJwks(const crypto::PublicKey& key);
// The RFC 7638 thumbprint of an EC key: base64url of SHA-256; empty for other keys.
std::string JwkThumbprint(const crypto::PublicKey& key);

}  // namespace ccgpu::evidence
