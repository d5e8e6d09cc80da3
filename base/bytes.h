// Byte strings, and reading and writing integers in them with the lengths checked.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ccgpu {

using Bytes = std::vector<uint8_t>;
using ByteView = std::span<const uint8_t>;

inline ByteView AsBytes(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }
inline std::string_view AsText(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline Bytes ToBytes(ByteView view) { return Bytes(view.begin(), view.end()); }
inline std::string ToText(ByteView view) { return std::string(AsText(view)); }
inline void Append(Bytes& to, ByteView more) { to.insert(to.end(), more.begin(), more.end()); }
Bytes Concat(std::initializer_list<ByteView> parts);
bool Equal(ByteView a, ByteView b);
// Takes the same time whatever the contents (not whatever the lengths). For nonces, tags and digests.
bool EqualConstantTime(ByteView a, ByteView b);
// Overwrites secrets in a way that the compiler may not remove.
void Wipe(std::span<uint8_t> secret);

// Reads from a view front to back. After the first read past the end, ok() is false for good and reads give zeros or
// empty views: parse everything, then ask ok() once. Holds no memory: the view must outlive it.
class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}
  bool ok() const { return ok_; }
  size_t offset() const { return offset_; }
  size_t remaining() const { return bytes_.size() - offset_; }
  bool AtEnd() const { return ok_ && remaining() == 0; }
  ByteView Take(size_t count);
  ByteView Rest() { return Take(remaining()); }
  void Skip(size_t count) { Take(count); }
  uint8_t U8() { return static_cast<uint8_t>(Le(1)); }
  uint16_t U16() { return static_cast<uint16_t>(Le(2)); }  // the plain names are little-endian, as in SPDM, SNP and TDX
  uint32_t U24() { return static_cast<uint32_t>(Le(3)); }
  uint32_t U32() { return static_cast<uint32_t>(Le(4)); }
  uint64_t U64() { return Le(8); }
  uint16_t BigU16() { return static_cast<uint16_t>(Be(2)); }
  uint32_t BigU32() { return static_cast<uint32_t>(Be(4)); }
  uint64_t BigU64() { return Be(8); }

 private:
  uint64_t Le(size_t size);
  uint64_t Be(size_t size);
  ByteView bytes_;
  size_t offset_ = 0;
  bool ok_ = true;
};

// Appends to a byte string; the mirror of Reader.
class Writer {
 public:
  Writer& U8(uint64_t v) { return Le(v, 1); }
  Writer& U16(uint64_t v) { return Le(v, 2); }
  Writer& U24(uint64_t v) { return Le(v, 3); }
  Writer& U32(uint64_t v) { return Le(v, 4); }
  Writer& U64(uint64_t v) { return Le(v, 8); }
  Writer& BigU16(uint64_t v) { return Be(v, 2); }
  Writer& BigU32(uint64_t v) { return Be(v, 4); }
  Writer& BigU64(uint64_t v) { return Be(v, 8); }
  Writer& Raw(ByteView bytes) {
    Append(out_, bytes);
    return *this;
  }
  Writer& Text(std::string_view text) { return Raw(AsBytes(text)); }
  Writer& Zeros(size_t count) {
    out_.resize(out_.size() + count);
    return *this;
  }
  size_t size() const { return out_.size(); }
  Bytes& bytes() { return out_; }
  Bytes Finish() { return std::move(out_); }  // once

 private:
  Writer& Le(uint64_t v, size_t size);
  Writer& Be(uint64_t v, size_t size);
  Bytes out_;
};

}  // namespace ccgpu
