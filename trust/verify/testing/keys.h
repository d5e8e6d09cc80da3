// Keys as an attacker would like them. Test-only, header only.
#pragma once

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "base/crypto/key.h"

namespace ccgpu::test {

// The same key, its curve described by parameters instead of by name (CVE-2020-0601: the parameters may be chosen so
// that a known public key gets another private one).
inline crypto::PublicKey WithExplicitCurve(const crypto::PrivateKey& key) {
  std::shared_ptr<EVP_PKEY> copy(EVP_PKEY_dup(key.raw()), EVP_PKEY_free);
  EVP_PKEY_set_utf8_string_param(copy.get(), OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_EXPLICIT);
  return crypto::PublicKey(copy);
}

}  // namespace ccgpu::test
