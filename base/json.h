// JSON from outside: strict, bounded, and with errors that say where. nlohmann::json does the parsing; this adds what a
// verifier needs: duplicate keys, too deep nesting and trailing bytes are errors.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ccgpu {

using Json = nlohmann::json;

// `subject` names the document in errors ("evidence.json").
Result<Json> ParseJson(std::string_view text, std::string_view subject, int max_depth = 64);

// Members of objects, with errors that name the path (`where` is the path so far, e.g. "runtime-data").
Result<std::string> JsonString(const Json& object, std::string_view key, std::string_view where);
Result<int64_t> JsonInt(const Json& object, std::string_view key, std::string_view where);
Result<Json> JsonObject(const Json& object, std::string_view key, std::string_view where);

}  // namespace ccgpu
