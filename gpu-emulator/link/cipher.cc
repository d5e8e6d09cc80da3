#include "gpu-emulator/link/cipher.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace ccgpu::link {
namespace {

constexpr size_t kStage = 16 * 1024;  // stays in the first-level cache between its cipher pass and its copy

void Must(bool good) {
  if (!good) std::abort();  // only a broken libcrypto comes here; going on would send plaintext or accept anything
}

void PutLe32(uint8_t* out, uint32_t value) { std::memcpy(out, &value, sizeof value); }
void PutLe64(uint8_t* out, uint64_t value) { std::memcpy(out, &value, sizeof value); }

}  // namespace

struct RecordCipher::Impl {
  Protection protection;
  CipherKey key;
  uint64_t counter = 0;  // of the last record
  EVP_CIPHER_CTX* gcm = nullptr;
  EVP_CIPHER_CTX* ctr = nullptr;
  bool encrypting = false;
  alignas(64) uint8_t stage[kStage];

  Impl(Protection p, CipherKey k) : protection(p), key(std::move(k)) {}
  ~Impl() {
    EVP_CIPHER_CTX_free(gcm);
    EVP_CIPHER_CTX_free(ctr);
    key.Wipe();
    ccgpu::Wipe(stage);
  }

  // The message counter in the IV never wraps: it starts over only with a rotated key.
  void Nonce(uint64_t message, uint8_t out[12]) const {
    PutLe32(out, static_cast<uint32_t>((message - 1) % kRotateAfter) + 1);
    PutLe64(out + 4, key.channel_counter);
    for (size_t i = 0; i < 12; ++i) out[i] ^= key.iv_mask[i];
  }

  void Begin(bool encrypt) {
    ++counter;
    if (counter > 1 && (counter - 1) % kRotateAfter == 0) {
      key.key = RotateKey(key.key, key.label);
      EVP_CIPHER_CTX_free(gcm);
      gcm = nullptr;
    }
    encrypting = encrypt;
  }

  EVP_CIPHER_CTX* Gcm(const uint8_t nonce[12]) {
    const int direction = encrypting ? 1 : 0;
    if (!gcm) {
      gcm = EVP_CIPHER_CTX_new();
      Must(gcm && EVP_CipherInit_ex(gcm, EVP_aes_256_gcm(), nullptr, key.key.data(), nullptr, direction) == 1);
    }
    Must(EVP_CipherInit_ex(gcm, nullptr, nullptr, nullptr, nonce, direction) == 1);
    return gcm;
  }

  // CTR's 16-byte counter block: the same 12-byte nonce, then the block number from 1.
  EVP_CIPHER_CTX* Ctr(const uint8_t nonce[12]) {
    uint8_t block[16] = {};
    std::memcpy(block, nonce, 12);
    block[15] = 1;
    if (!ctr) ctr = EVP_CIPHER_CTX_new();
    Must(ctr && EVP_CipherInit_ex(ctr, EVP_aes_256_ctr(), nullptr, key.key.data(), block, 1) == 1);
    return ctr;
  }
};

RecordCipher::RecordCipher(Protection protection, CipherKey key)
    : impl_(std::make_unique<Impl>(protection, std::move(key))) {}
RecordCipher::~RecordCipher() = default;
RecordCipher::RecordCipher(RecordCipher&&) noexcept = default;

void RecordCipher::Seal(RecordHeader& header, const uint8_t* in, uint8_t* out) {
  Impl& s = *impl_;
  s.Begin(true);
  header.counter = s.counter;
  std::memset(header.tag, 0, sizeof header.tag);
  const bool ctr = s.protection == Protection::kDataCtr && header.kind == static_cast<uint32_t>(RecordKind::kData);
  if (s.protection != Protection::kSealed && !ctr) {
    if (header.length) std::memcpy(out, in, header.length);
    return;
  }
  uint8_t nonce[12];
  s.Nonce(s.counter, nonce);
  EVP_CIPHER_CTX* cipher = ctr ? s.Ctr(nonce) : s.Gcm(nonce);
  int size = 0;
  if (!ctr) Must(EVP_CipherUpdate(cipher, nullptr, &size, reinterpret_cast<const uint8_t*>(&header), kRecordAad) == 1);
  for (size_t done = 0; done < header.length;) {
    const size_t part = std::min<size_t>(kStage, header.length - done);
    Must(EVP_CipherUpdate(cipher, s.stage, &size, in + done, static_cast<int>(part)) == 1);
    std::memcpy(out + done, s.stage, part);
    done += part;
  }
  if (ctr) return;
  Must(EVP_CipherFinal_ex(cipher, s.stage, &size) == 1);
  Must(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_GET_TAG, 16, header.tag) == 1);
}

Status RecordCipher::Open(const RecordHeader& header, const uint8_t* in, uint8_t* out) {
  Impl& s = *impl_;
  const bool sealed = s.protection == Protection::kSealed;
  const bool ctr = s.protection == Protection::kDataCtr && header.kind == static_cast<uint32_t>(RecordKind::kData);
  s.Begin(false);
  if (sealed && header.counter != s.counter) {
    std::memset(out, 0, header.length);
    return Err(
        "link.replayed", "record " + std::to_string(s.counter),
        "carries the counter " + std::to_string(header.counter) + ": replayed, dropped or reordered on the link");
  }
  if (!sealed && !ctr) {
    if (header.length) std::memcpy(out, in, header.length);
    return Ok();
  }
  uint8_t nonce[12];
  // In apm the IV travels with the record and nobody checks it: what is replayed there is accepted, as on the real
  // part.
  s.Nonce(ctr ? header.counter : s.counter, nonce);
  EVP_CIPHER_CTX* cipher = ctr ? s.Ctr(nonce) : s.Gcm(nonce);
  int size = 0;
  if (!ctr) Must(EVP_CipherUpdate(cipher, nullptr, &size, reinterpret_cast<const uint8_t*>(&header), kRecordAad) == 1);
  for (size_t done = 0; done < header.length;) {
    const size_t part = std::min<size_t>(kStage, header.length - done);
    std::memcpy(s.stage, in + done, part);
    Must(EVP_CipherUpdate(cipher, out + done, &size, s.stage, static_cast<int>(part)) == 1);
    done += part;
  }
  if (ctr) return Ok();
  uint8_t tag[16];
  std::memcpy(tag, header.tag, sizeof tag);
  Must(EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_GCM_SET_TAG, 16, tag) == 1);
  if (EVP_CipherFinal_ex(cipher, s.stage, &size) != 1) {
    std::memset(out, 0, header.length);
    return Err("link.integrity", "record " + std::to_string(s.counter),
               "was changed on the link: its tag does not fit");
  }
  return Ok();
}

}  // namespace ccgpu::link
