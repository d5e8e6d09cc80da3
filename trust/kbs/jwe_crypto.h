// The key-management algorithms under jwe.h, by themselves for known-answer tests.
#pragma once

#include "base/bytes.h"
#include "base/crypto/key.h"

namespace ccgpu::kbs {

// RFC 7518 4.6: the key-encryption key out of an ECDH secret, for ECDH-ES+A256KW without party infos.
Bytes ConcatKdf(ByteView shared_secret);
// RFC 3394 with a 32-byte key. `key` to wrap has 16 bytes or more, a multiple of 8.
Bytes AesWrap(ByteView kek, ByteView key);
Result<Bytes> AesUnwrap(ByteView kek, ByteView wrapped);
// OAEP with SHA-256 for both hashes, or PKCS#1 v1.5.
Result<Bytes> RsaEncrypt(const crypto::PublicKey& key, bool oaep, ByteView plaintext);
Result<Bytes> RsaDecrypt(const crypto::PrivateKey& key, bool oaep, ByteView ciphertext);

}  // namespace ccgpu::kbs
