#include "base/bytes.h"

namespace ccgpu {

Bytes Concat(std::initializer_list<ByteView> parts) {
  Bytes out;
  for (ByteView part : parts) Append(out, part);
  return out;
}

bool Equal(ByteView a, ByteView b) { return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin()); }

bool EqualConstantTime(ByteView a, ByteView b) {
  if (a.size() != b.size()) return false;
  volatile uint8_t difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = difference | (a[i] ^ b[i]);
  return difference == 0;
}

void Wipe(std::span<uint8_t> secret) {
  if (!secret.empty()) explicit_bzero(secret.data(), secret.size());  // an empty span may point nowhere
}

ByteView Reader::Take(size_t count) {
  if (!ok_ || count > remaining()) {
    ok_ = false;
    return {};
  }
  ByteView out = bytes_.subspan(offset_, count);
  offset_ += count;
  return out;
}

uint64_t Reader::Le(size_t size) {
  uint64_t value = 0;
  ByteView raw = Take(size);
  for (size_t i = raw.size(); i > 0; --i) value = value << 8 | raw[i - 1];
  return value;
}

uint64_t Reader::Be(size_t size) {
  uint64_t value = 0;
  for (uint8_t byte : Take(size)) value = value << 8 | byte;
  return value;
}

Writer& Writer::Le(uint64_t v, size_t size) {
  for (size_t i = 0; i < size; ++i) out_.push_back(static_cast<uint8_t>(v >> (8 * i)));
  return *this;
}

Writer& Writer::Be(uint64_t v, size_t size) {
  for (size_t i = size; i > 0; --i) out_.push_back(static_cast<uint8_t>(v >> (8 * (i - 1))));
  return *this;
}

}  // namespace ccgpu
