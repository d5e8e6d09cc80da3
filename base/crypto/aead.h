// AES-256-GCM with a 12-byte nonce and a 16-byte tag.
#pragma once

#include "base/bytes.h"

namespace ccgpu::crypto {

inline constexpr size_t kAeadKeySize = 32;
inline constexpr size_t kAeadNonceSize = 12;
inline constexpr size_t kAeadTagSize = 16;

// A key made ready for many records: the cipher context and key schedule are set up once. Not for several threads.
class Aead {
 public:
  explicit Aead(ByteView key);  // 32 bytes; anything else ends the program
  ~Aead();
  Aead(Aead&& other) noexcept;
  Aead& operator=(Aead&& other) noexcept;
  Aead(const Aead&) = delete;

  // out must have in.size() bytes (may be the same memory), tag 16. Never use a nonce twice with one key.
  void Seal(ByteView nonce, ByteView aad, ByteView in, uint8_t* out, uint8_t* tag);
  // False when the tag does not fit; out then holds zeros.
  [[nodiscard]] bool Open(ByteView nonce, ByteView aad, ByteView in, ByteView tag, uint8_t* out);

 private:
  void* seal_;
  void* open_;
};

// One record: ciphertext || tag.
Bytes AeadSeal(ByteView key, ByteView nonce, ByteView aad, ByteView plaintext);
Result<Bytes> AeadOpen(ByteView key, ByteView nonce, ByteView aad, ByteView sealed);

}  // namespace ccgpu::crypto
