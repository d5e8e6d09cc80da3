#include "trust/evidence/der.h"

#include "base/result.h"

namespace ccgpu::evidence::der {
namespace {

Error Bad(std::string text) { return Err("evidence.malformed", "DER", std::move(text)); }

}  // namespace

Bytes Element(uint8_t tag, ByteView content) {
  Bytes out = {tag};
  if (content.size() < 0x80) {
    out.push_back(static_cast<uint8_t>(content.size()));
  } else {
    Bytes length;
    for (size_t rest = content.size(); rest > 0; rest >>= 8) length.insert(length.begin(), static_cast<uint8_t>(rest));
    out.push_back(static_cast<uint8_t>(0x80 | length.size()));
    Append(out, length);
  }
  Append(out, content);
  return out;
}

Bytes Integer(uint64_t value) {
  Bytes content;
  do {
    content.insert(content.begin(), static_cast<uint8_t>(value));
    value >>= 8;
  } while (value > 0);
  if (content[0] & 0x80) content.insert(content.begin(), 0);
  return Element(kInteger, content);
}

Result<ByteView> Take(ByteView& in, uint8_t tag) {
  if (in.size() < 2) return Bad("ends where an element was expected");
  if (in[0] != tag) return Bad("tag " + std::to_string(in[0]) + " where " + std::to_string(tag) + " was expected");
  size_t header = 2, length = in[1];
  if (length >= 0x80) {
    const size_t count = length & 0x7f;
    if (count == 0 || count > 3 || in.size() < 2 + count || in[2] == 0) return Bad("a length is not in DER");
    length = 0;
    for (size_t i = 0; i < count; ++i) length = length << 8 | in[2 + i];
    if (length < 0x80) return Bad("a length is not in DER");
    header += count;
  }
  if (in.size() - header < length) return Bad("an element goes past the end");
  const ByteView content = in.subspan(header, length);
  in = in.subspan(header + length);
  return content;
}

Result<uint64_t> TakeInteger(ByteView& in) {
  ASSIGN_OR_RETURN(const ByteView content, Take(in, kInteger));
  if (content.empty() || content.size() > 8 || (content[0] & 0x80)) return Bad("an integer is negative or too large");
  if (content.size() > 1 && content[0] == 0 && !(content[1] & 0x80)) return Bad("an integer is not in DER");
  uint64_t value = 0;
  for (uint8_t byte : content) value = value << 8 | byte;
  return value;
}

}  // namespace ccgpu::evidence::der
