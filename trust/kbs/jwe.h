// Flattened JWE (RFC 7516) as CoCo's brokers and agents exchange it: A256GCM content, key by ECDH-ES+A256KW,
// RSA-OAEP-256 or RSA1_5. docs/formats/kbs.md, "JWE".
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/crypto/digest.h"
#include "base/crypto/key.h"
#include "trust/kbs/jwk.h"

namespace ccgpu::kbs {

// The key of one agent, made when it starts and never stored. Cheap to copy, any thread.
struct TeeKey {
  crypto::PrivateKey key;
  PublicJwk jwk;  // its public half, as it is sent and hashed

  static TeeKey Generate();  // P-256, ECDH-ES+A256KW: CoCo's default
  // P-256, P-521 or RSA (2048 bits or more); rsa_alg only matters for RSA.
  static Result<TeeKey> From(crypto::PrivateKey key, std::string_view rsa_alg = kRsaOaep256);
};

// The protected header is written compactly with members in the order alg, enc, epk, because deployed clients do not
// authenticate the received header bytes but their own re-serialisation of it. Fails when the JWK holds no valid key.
Result<std::string> EncryptJwe(const PublicJwk& to, ByteView plaintext, crypto::Random& random);

// Accepts only the algorithm of `key`, and a header that equals its own re-serialisation (so that both ways to
// authenticate it agree). Every failure past parsing is the one code "kbs.jwe-decrypt", so that nothing can be learnt
// from differences. The caller wipes the result.
Result<Bytes> DecryptJwe(const TeeKey& key, std::string_view json);

}  // namespace ccgpu::kbs
