#include "base/encoding.h"

namespace ccgpu {
namespace {

constexpr std::string_view kStandard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrlSafe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string Encode64(ByteView bytes, std::string_view alphabet, bool pad) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < left ? bytes[i + k] : 0u);
    for (size_t k = 0; k < 4; ++k) {
      if (k <= left) out += alphabet[group >> (18 - 6 * k) & 63];
      else if (pad) out += '=';
    }
  }
  return out;
}

Result<Bytes> Decode64(std::string_view text, std::string_view alphabet, bool padded, Reason reason) {
  const std::string subject = "base64";
  if (padded) {
    if (text.size() % 4 != 0) return Err(reason, subject, "the length is not a multiple of 4");
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) return Err(reason, subject, "one character is left over at the end");
  static constexpr uint8_t kBad = 255;
  std::array<uint8_t, 256> values;
  values.fill(kBad);
  for (size_t i = 0; i < alphabet.size(); ++i) values[static_cast<uint8_t>(alphabet[i])] = static_cast<uint8_t>(i);
  Bytes out;
  out.reserve(text.size() * 3 / 4);
  uint32_t group = 0;
  int bits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const uint8_t value = values[static_cast<uint8_t>(text[i])];
    if (value == kBad) return Err(reason, subject, "character " + std::to_string(i + 1) + " is not of the alphabet");
    group = group << 6 | value;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<uint8_t>(group >> bits));
    }
  }
  if (bits > 0 && (group & ((1u << bits) - 1)) != 0)
    return Err(reason, subject, "the unused bits at the end are not zero");
  return out;
}

}  // namespace

std::string HexEncode(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (uint8_t byte : bytes) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

Result<Bytes> HexDecode(std::string_view text) {
  if (text.size() % 2 != 0) return Err("input.bad-hex", "hex", "the number of digits is odd");
  Bytes out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexDigit(text[i]), low = HexDigit(text[i + 1]);
    if (high < 0 || low < 0)
      return Err("input.bad-hex", "hex", "character " + std::to_string(i + (high < 0 ? 1 : 2)) + " is not a hex digit");
    out.push_back(static_cast<uint8_t>(high << 4 | low));
  }
  return out;
}

std::string Base64Encode(ByteView bytes) { return Encode64(bytes, kStandard, true); }
std::string Base64UrlEncode(ByteView bytes) { return Encode64(bytes, kUrlSafe, false); }
Result<Bytes> Base64Decode(std::string_view text) { return Decode64(text, kStandard, true, "input.bad-base64"); }
Result<Bytes> Base64UrlDecode(std::string_view text) { return Decode64(text, kUrlSafe, false, "input.bad-base64"); }

}  // namespace ccgpu
