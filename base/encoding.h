// Hex and base64 (RFC 4648). Decoders are strict: a character or length that the alphabet does not allow is an error,
// so that two texts never stand for the same bytes by accident.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ccgpu {

std::string HexEncode(ByteView bytes);           // lower case
Result<Bytes> HexDecode(std::string_view text);  // either case, no separators

std::string Base64Encode(ByteView bytes);  // standard alphabet, padded
Result<Bytes> Base64Decode(std::string_view text);
std::string Base64UrlEncode(ByteView bytes);  // URL-safe alphabet, no padding, as JOSE wants it
Result<Bytes> Base64UrlDecode(std::string_view text);

}  // namespace ccgpu
