#include "base/crypto/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <cstdlib>

#include "base/crypto/evp.h"

namespace ccgpu::crypto {

const EVP_MD* Md(Hash hash) {
  switch (hash) {
    case Hash::kSha256: return EVP_sha256();
    case Hash::kSha384: return EVP_sha384();
    case Hash::kSha512: return EVP_sha512();
  }
  std::abort();
}

size_t HashSize(Hash hash) { return static_cast<size_t>(EVP_MD_get_size(Md(hash))); }

Bytes Digest(Hash hash, ByteView data) {
  Bytes out(HashSize(hash));
  if (EVP_Digest(data.data(), data.size(), out.data(), nullptr, Md(hash), nullptr) != 1) std::abort();
  return out;
}

Hasher::Hasher(Hash hash) : context_(EVP_MD_CTX_new()) {
  if (EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), Md(hash), nullptr) != 1) std::abort();
}
Hasher::~Hasher() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }
Hasher::Hasher(Hasher&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
Hasher& Hasher::Update(ByteView data) {
  if (EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), data.data(), data.size()) != 1) std::abort();
  return *this;
}
Bytes Hasher::Finish() {
  Bytes out(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  if (EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), out.data(), &size) != 1) std::abort();
  out.resize(size);
  return out;
}

Bytes Hmac(Hash hash, ByteView key, ByteView data) {
  Bytes out(HashSize(hash));
  unsigned size = 0;
  static constexpr uint8_t kNothing = 0;
  const uint8_t* key_data = key.empty() ? &kNothing : key.data();
  if (!HMAC(Md(hash), key_data, static_cast<int>(key.size()), data.data(), data.size(), out.data(), &size))
    std::abort();
  return out;
}

Bytes HkdfExtract(Hash hash, ByteView salt, ByteView key_material) {
  return salt.empty() ? Hmac(hash, Bytes(HashSize(hash)), key_material) : Hmac(hash, salt, key_material);
}

Bytes HkdfExpand(Hash hash, ByteView pseudo_random_key, ByteView info, size_t length) {
  Bytes out, block;
  for (uint8_t counter = 1; out.size() < length; ++counter) {
    Append(block, info);
    block.push_back(counter);
    block = Hmac(hash, pseudo_random_key, block);
    Append(out, block);
  }
  out.resize(length);
  return out;
}

void SystemRandom::Fill(std::span<uint8_t> out) {
  if (!out.empty() && RAND_bytes(out.data(), static_cast<int>(out.size())) != 1) std::abort();
}

}  // namespace ccgpu::crypto
