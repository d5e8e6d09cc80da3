// What must hold of a text before the TOML library (toml11) may see it: it reads past the end of a text that stops
// inside a UTF-8 character, and descends once per open bracket (both found by our fuzzers).
#pragma once

#include <string_view>

namespace ccgpu {

// nullptr: it may be parsed. Else what is wrong, for an error's text: "is not UTF-8 text" (RFC 3629), "nests brackets
// deeper than 32 levels".
const char* TomlFault(std::string_view text);

}  // namespace ccgpu
