#include "trust/kbs/jwe_crypto.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <cstdlib>

#include "base/crypto/digest.h"
#include "trust/kbs/jwk.h"

namespace ccgpu::kbs {
namespace {

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;
constexpr size_t kWrapBlock = 8;
constexpr uint32_t kKekBits = 256;

CipherContext WrapContext() {
  CipherContext context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  return context;
}

bool SetPadding(EVP_PKEY_CTX* context, bool oaep) {
  if (!oaep) return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
  return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_oaep_md(context, EVP_sha256()) == 1 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1;
}

}  // namespace

Bytes ConcatKdf(ByteView shared_secret) {
  Writer input;
  input.BigU32(1).Raw(shared_secret);
  input.BigU32(kEcdhEsA256Kw.size()).Text(kEcdhEsA256Kw);
  input.BigU32(0).BigU32(0).BigU32(kKekBits);  // no apu, no apv
  Bytes kek = crypto::Sha256(input.bytes());
  Wipe(input.bytes());
  return kek;
}

Bytes AesWrap(ByteView kek, ByteView key) {
  CipherContext context = WrapContext();
  Bytes out(key.size() + kWrapBlock);
  int size = 0, last = 0;
  if (kek.size() != kKekBits / 8 ||
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_wrap(), nullptr, kek.data(), nullptr) != 1 ||
      EVP_EncryptUpdate(context.get(), out.data(), &size, key.data(), static_cast<int>(key.size())) != 1 ||
      EVP_EncryptFinal_ex(context.get(), out.data() + size, &last) != 1) {
    std::abort();
  }
  return out;
}

Result<Bytes> AesUnwrap(ByteView kek, ByteView wrapped) {
  const Error failed = Err("kbs.jwe-decrypt", "encrypted_key", "does not unwrap with this key");
  if (wrapped.size() < 3 * kWrapBlock || wrapped.size() % kWrapBlock != 0 || kek.size() != kKekBits / 8) return failed;
  CipherContext context = WrapContext();
  Bytes out(wrapped.size());
  int size = 0, last = 0;
  if (EVP_DecryptInit_ex(context.get(), EVP_aes_256_wrap(), nullptr, kek.data(), nullptr) != 1 ||
      EVP_DecryptUpdate(context.get(), out.data(), &size, wrapped.data(), static_cast<int>(wrapped.size())) != 1 ||
      EVP_DecryptFinal_ex(context.get(), out.data() + size, &last) != 1) {
    return failed;
  }
  out.resize(static_cast<size_t>(size + last));
  return out;
}

Result<Bytes> RsaEncrypt(const crypto::PublicKey& key, bool oaep, ByteView plaintext) {
  const Error failed = Err("kbs.bad-key", "tee-pubkey", "RSA encryption to this key failed");
  KeyContext context(EVP_PKEY_CTX_new(key.raw(), nullptr), EVP_PKEY_CTX_free);
  size_t size = 0;
  if (EVP_PKEY_encrypt_init(context.get()) != 1 || !SetPadding(context.get(), oaep) ||
      EVP_PKEY_encrypt(context.get(), nullptr, &size, plaintext.data(), plaintext.size()) != 1) {
    return failed;
  }
  Bytes out(size);
  if (EVP_PKEY_encrypt(context.get(), out.data(), &size, plaintext.data(), plaintext.size()) != 1) return failed;
  out.resize(size);
  return out;
}

Result<Bytes> RsaDecrypt(const crypto::PrivateKey& key, bool oaep, ByteView ciphertext) {
  const Error failed = Err("kbs.jwe-decrypt", "encrypted_key", "does not decrypt with this key");
  KeyContext context(EVP_PKEY_CTX_new(key.raw(), nullptr), EVP_PKEY_CTX_free);
  size_t size = 0;
  if (EVP_PKEY_decrypt_init(context.get()) != 1 || !SetPadding(context.get(), oaep) ||
      EVP_PKEY_decrypt(context.get(), nullptr, &size, ciphertext.data(), ciphertext.size()) != 1) {
    return failed;
  }
  Bytes out(size);
  if (EVP_PKEY_decrypt(context.get(), out.data(), &size, ciphertext.data(), ciphertext.size()) != 1) return failed;
  out.resize(size);
  return out;
}

}  // namespace ccgpu::kbs
