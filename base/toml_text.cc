#include "base/toml_text.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace ccgpu {
namespace {

constexpr int kMaxNesting = 32;

// Brackets outside of strings and comments are counted.
bool NestsTooDeep(std::string_view text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '#') {
      while (i < text.size() && text[i] != '\n') ++i;
    } else if (c == '"' || c == '\'') {
      const std::string_view rest = text.substr(i);
      const bool triple = rest.size() >= 3 && rest[1] == c && rest[2] == c;
      i += triple ? 3 : 1;
      for (; i < text.size(); ++i) {
        if (c == '"' && text[i] == '\\') ++i;
        else if (!triple && (text[i] == c || text[i] == '\n')) break;
        else if (triple && text.substr(i, 3) == std::string(3, c)) {
          i += 2;
          break;
        }
      }
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxNesting) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

// No overlong forms, no surrogates, nothing above U+10FFFF.
bool IsUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<uint8_t>(text[i]);
    const size_t length = first < 0x80                    ? 1
                          : first >= 0xc2 && first < 0xe0 ? 2
                          : first >= 0xe0 && first < 0xf0 ? 3
                          : first >= 0xf0 && first < 0xf5 ? 4
                                                          : 0;
    if (length == 0 || length > text.size() - i) return false;
    for (size_t k = 1; k < length; ++k) {
      if ((static_cast<uint8_t>(text[i + k]) & 0xc0) != 0x80) return false;
    }
    const auto second = length > 1 ? static_cast<uint8_t>(text[i + 1]) : uint8_t{0};
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
        (first == 0xf4 && second > 0x8f))
      return false;
    i += length;
  }
  return true;
}

}  // namespace

const char* TomlFault(std::string_view text) {
  if (!IsUtf8(text)) return "is not UTF-8 text";
  if (NestsTooDeep(text)) return "nests brackets deeper than 32 levels";
  return nullptr;
}

}  // namespace ccgpu
