// RSA beyond key.h: PKCS #1 v1.5 signatures (JOSE's RS256, TPM's RSASSA) and keys from their two numbers (JWK,
// TPMT_PUBLIC).
#pragma once

#include "base/bytes.h"
#include "base/crypto/key.h"

namespace ccgpu::crypto {

// `key` must be a plain RSA key of 2048, 3072 or 4096 bits; anything else is false, never an error to be overlooked.
[[nodiscard]] bool VerifyRsaPkcs1(const PublicKey& key, Hash hash, ByteView data, ByteView signature);
// Precondition: an RSA key. Anything else ends the program.
Bytes SignRsaPkcs1(const PrivateKey& key, Hash hash, ByteView data);

// Big-endian numbers. A modulus of 2048 to `max_bits` bits (4096 where it signs), an odd exponent from 3 to 2^32 - 1;
// else crypto.bad-key.
Result<PublicKey> RsaFromNumbers(ByteView modulus, ByteView exponent, int max_bits = 4096);
// Modulus and exponent, big-endian, without leading zeros; both empty for other keys.
std::pair<Bytes, Bytes> RsaNumbers(const PublicKey& key);

}  // namespace ccgpu::crypto
