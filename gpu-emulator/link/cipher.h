// How one record of one channel and direction is protected, and where its key comes from.
//
// Keys: EMK = the first 32 bytes of the SPDM session's export master secret; key = HKDF-Expand-SHA256(EMK, label, 32)
// with the label "LceNN_h2d_user" or "LceNN_d2h_user", NN = the channel. Each later opening of a channel, and each
// kRotateAfter records, rotates: key' = HKDF-Expand-SHA256(SHA256(key), label, 32). IV = LE32 message counter || LE64
// channel counter, XOR ivMask (one mask per key).
#pragma once

#include <array>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "gpu-emulator/link/layout.h"
#include "gpu-emulator/link/mode.h"

namespace ccgpu::link {

// Values are wire values.
enum class Protection : uint32_t { kClear = 0, kDataCtr = 1, kSealed = 2 };
Protection ProtectionOf(Mode mode);

struct CipherKey {
  std::array<uint8_t, 32> key{};
  std::array<uint8_t, 12> iv_mask{};
  uint64_t channel_counter = 0;  // rises with every opening of any channel in a session: no IV is ever used twice
  std::string label;
  void Wipe() {
    ccgpu::Wipe(key);
    ccgpu::Wipe(iv_mask);
  }
};

std::string KeyLabel(uint32_t channel, bool d2h);
std::array<uint8_t, 32> DeriveKey(ByteView emk, std::string_view label);
std::array<uint8_t, 32> RotateKey(const std::array<uint8_t, 32>& key, std::string_view label);

// 2^20 records of at most 256 KiB stay below the 24,296,003,999 units (of 16 bytes, plus one per record) that the
// driver allows a key for an attacker's advantage of 2^-60.
inline constexpr uint32_t kRotateAfter = 1u << 20;

// Protects or opens the records of one direction in order. Not for several threads.
//
// The shared side of a copy is touched once per byte: ciphertext is made in, and checked from, private memory, because
// whoever changes the link while a tag is being computed would otherwise choose what the tag covers.
class RecordCipher {
 public:
  RecordCipher(Protection protection, CipherKey key);
  ~RecordCipher();
  RecordCipher(RecordCipher&&) noexcept;
  RecordCipher(const RecordCipher&) = delete;

  // `header` has length and kind set; fills counter and tag. `in` is private, `out` shared.
  void Seal(RecordHeader& header, const uint8_t* in, uint8_t* out);
  // `header` is a private copy whose length was checked; `in` shared, `out` private. Errors: "link.replayed" (counter
  // is not the next one), "link.integrity" (tag); `out` then holds zeros.
  [[nodiscard]] Status Open(const RecordHeader& header, const uint8_t* in, uint8_t* out);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::link
