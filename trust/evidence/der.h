// The few DER pieces that vendor extensions need. Definite lengths in their shortest form only; anything else ends
// parsing.
#pragma once

#include "base/bytes.h"

namespace ccgpu::evidence::der {

inline constexpr uint8_t kInteger = 0x02, kOctetString = 0x04, kOid = 0x06, kUtf8 = 0x0c, kIa5 = 0x16, kSequence = 0x30;

// One element: tag || length || content.
Bytes Element(uint8_t tag, ByteView content);
inline Bytes Element(uint8_t tag, std::initializer_list<ByteView> parts) { return Element(tag, Concat(parts)); }
Bytes Integer(uint64_t value);

// Takes the element at the front of `in` if it has this tag; its content, or an error (no code of its own: callers add
// one).
Result<ByteView> Take(ByteView& in, uint8_t tag);
// A small non-negative INTEGER.
Result<uint64_t> TakeInteger(ByteView& in);

}  // namespace ccgpu::evidence::der
