// Digests, HMAC, HKDF (RFC 5869) and random bytes, over OpenSSL.
#pragma once

#include "base/bytes.h"

namespace ccgpu::crypto {

enum class Hash { kSha256, kSha384, kSha512 };
size_t HashSize(Hash hash);

Bytes Digest(Hash hash, ByteView data);
inline Bytes Sha256(ByteView data) { return Digest(Hash::kSha256, data); }
inline Bytes Sha384(ByteView data) { return Digest(Hash::kSha384, data); }

// A digest fed in pieces. Not for several threads.
class Hasher {
 public:
  explicit Hasher(Hash hash);
  ~Hasher();
  Hasher(Hasher&& other) noexcept;
  Hasher(const Hasher&) = delete;
  Hasher& Update(ByteView data);
  Bytes Finish();  // once

 private:
  void* context_;
};

Bytes Hmac(Hash hash, ByteView key, ByteView data);
Bytes HkdfExtract(Hash hash, ByteView salt, ByteView key_material);
Bytes HkdfExpand(Hash hash, ByteView pseudo_random_key, ByteView info, size_t length);

// The source of randomness, an argument wherever it matters for tests.
class Random {
 public:
  virtual ~Random() = default;
  virtual void Fill(std::span<uint8_t> out) = 0;  // never fails: a machine without randomness ends the program
  Bytes Take(size_t count) {
    Bytes out(count);
    Fill(out);
    return out;
  }
};
class SystemRandom final : public Random {
 public:
  void Fill(std::span<uint8_t> out) override;
};

}  // namespace ccgpu::crypto
