#include "base/crypto/aead.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace ccgpu::crypto {
namespace {

EVP_CIPHER_CTX* Context(void* context) { return static_cast<EVP_CIPHER_CTX*>(context); }
constexpr size_t kChunk = 1u << 30;  // OpenSSL takes int lengths

}  // namespace

Aead::Aead(ByteView key) : seal_(EVP_CIPHER_CTX_new()), open_(EVP_CIPHER_CTX_new()) {
  if (key.size() != kAeadKeySize) std::abort();
  if (EVP_EncryptInit_ex(Context(seal_), EVP_aes_256_gcm(), nullptr, key.data(), nullptr) != 1) std::abort();
  if (EVP_DecryptInit_ex(Context(open_), EVP_aes_256_gcm(), nullptr, key.data(), nullptr) != 1) std::abort();
}
Aead::~Aead() {
  EVP_CIPHER_CTX_free(Context(seal_));
  EVP_CIPHER_CTX_free(Context(open_));
}
Aead::Aead(Aead&& other) noexcept
    : seal_(std::exchange(other.seal_, nullptr)), open_(std::exchange(other.open_, nullptr)) {}
Aead& Aead::operator=(Aead&& other) noexcept {
  std::swap(seal_, other.seal_);
  std::swap(open_, other.open_);
  return *this;
}

void Aead::Seal(ByteView nonce, ByteView aad, ByteView in, uint8_t* out, uint8_t* tag) {
  EVP_CIPHER_CTX* c = Context(seal_);
  int size = 0;
  if (nonce.size() != kAeadNonceSize || in.size() > kChunk) std::abort();
  if (EVP_EncryptInit_ex(c, nullptr, nullptr, nullptr, nonce.data()) != 1) std::abort();
  if (!aad.empty() && EVP_EncryptUpdate(c, nullptr, &size, aad.data(), static_cast<int>(aad.size())) != 1) std::abort();
  if (!in.empty() && EVP_EncryptUpdate(c, out, &size, in.data(), static_cast<int>(in.size())) != 1) std::abort();
  uint8_t none[16];
  if (EVP_EncryptFinal_ex(c, none, &size) != 1) std::abort();
  if (EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, kAeadTagSize, tag) != 1) std::abort();
}

bool Aead::Open(ByteView nonce, ByteView aad, ByteView in, ByteView tag, uint8_t* out) {
  EVP_CIPHER_CTX* c = Context(open_);
  int size = 0;
  uint8_t none[16];
  const bool good =
      nonce.size() == kAeadNonceSize && tag.size() == kAeadTagSize && in.size() <= kChunk &&
      EVP_DecryptInit_ex(c, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
      (aad.empty() || EVP_DecryptUpdate(c, nullptr, &size, aad.data(), static_cast<int>(aad.size())) == 1) &&
      (in.empty() || EVP_DecryptUpdate(c, out, &size, in.data(), static_cast<int>(in.size())) == 1) &&
      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, kAeadTagSize, const_cast<uint8_t*>(tag.data())) == 1 &&
      EVP_DecryptFinal_ex(c, none, &size) == 1;
  if (!good && !in.empty()) std::memset(out, 0, in.size());
  return good;
}

Bytes AeadSeal(ByteView key, ByteView nonce, ByteView aad, ByteView plaintext) {
  Bytes out(plaintext.size() + kAeadTagSize);
  Aead(key).Seal(nonce, aad, plaintext, out.data(), out.data() + plaintext.size());
  return out;
}

Result<Bytes> AeadOpen(ByteView key, ByteView nonce, ByteView aad, ByteView sealed) {
  if (sealed.size() < kAeadTagSize) return Err("crypto.truncated", "sealed record", "is shorter than its tag");
  Bytes out(sealed.size() - kAeadTagSize);
  if (!Aead(key).Open(nonce, aad, sealed.first(out.size()), sealed.last(kAeadTagSize), out.data())) {
    return Err("crypto.bad-tag", "sealed record", "the authentication tag does not fit: changed, or another key");
  }
  return out;
}

}  // namespace ccgpu::crypto
