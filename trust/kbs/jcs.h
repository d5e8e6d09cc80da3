// RFC 8785, JSON Canonicalization Scheme: one JSON value has one text, so that both sides hash the same bytes.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace ccgpu::kbs {

// Members sorted by UTF-16 code units, no spaces, numbers as ECMAScript prints them. Fails on what is not I-JSON
// (duplicate keys, numbers beyond a double, broken UTF-8).
Result<std::string> CanonicalJson(std::string_view json_text);

// `text` as a JSON string with its quotes, escaped the way RFC 8785 wants it. Precondition: UTF-8.
std::string JsonQuoted(std::string_view text);

}  // namespace ccgpu::kbs
