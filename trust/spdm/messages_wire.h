// What the two halves of the message codec share; nobody else includes this.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include "trust/spdm/messages.h"

namespace ccgpu::spdm::wire {

inline Error Malformed(std::string_view name, std::string text) {
  return Err("spdm.malformed", std::string(name), std::move(text));
}

// The header, with the code checked.
inline Result<Header> Start(Reader& in, uint8_t code, std::string_view name) {
  Header header;
  header.version = in.U8();
  header.code = in.U8();
  header.param1 = in.U8();
  header.param2 = in.U8();
  if (!in.ok()) return Malformed(name, "shorter than the 4-byte header");
  if (header.code != code)
    return Malformed(name, "message code is " + std::to_string(header.code) + ", not " + std::to_string(code));
  return header;
}

// Everything was read: what is left must be DOE padding; cut it off.
inline Status End(const Reader& in, ByteView* message, std::string_view name) {
  if (!in.ok()) return Malformed(name, "ends before its last field");
  const ByteView rest = message->subspan(in.offset());
  if (rest.size() > 3 || std::any_of(rest.begin(), rest.end(), [](uint8_t b) { return b != 0; })) {
    return Malformed(name, std::to_string(rest.size()) + " bytes follow its last field");
  }
  *message = message->first(in.offset());
  return Ok();
}

inline Writer StartWriter(const Header& header) {
  Writer out;
  out.U8(header.version).U8(header.code).U8(header.param1).U8(header.param2);
  return out;
}

}  // namespace ccgpu::spdm::wire
