#include "base/json.h"

#include <set>

namespace ccgpu {
namespace {

std::string Path(std::string_view where, std::string_view key) {
  return where.empty() ? std::string(key) : std::string(where) + "." + std::string(key);
}

Result<Json> Member(const Json& object, std::string_view key, std::string_view where) {
  if (!object.is_object()) return Err("input.bad-json", std::string(where), "is not an object");
  auto it = object.find(key);
  if (it == object.end()) return Err("input.bad-json", Path(where, key), "is missing");
  return *it;
}

}  // namespace

Result<Json> ParseJson(std::string_view text, std::string_view subject, int max_depth) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  std::string refused;
  auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > max_depth && refused.empty())
      refused = "is nested deeper than " + std::to_string(max_depth) + " levels";
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end && !keys.empty()) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.empty() && !keys.back().insert(parsed.get<std::string>()).second &&
        refused.empty()) {
      refused = "has the key \"" + parsed.get<std::string>() + "\" twice in one object";
    }
    return true;
  };
  try {
    Json value = Json::parse(text, watch);
    if (!refused.empty()) return Err("input.bad-json", std::string(subject), refused);
    return value;
  } catch (const Json::exception& e) {
    return Err("input.bad-json", std::string(subject), std::string("is not JSON: ") + e.what());
  }
}

Result<std::string> JsonString(const Json& object, std::string_view key, std::string_view where) {
  ASSIGN_OR_RETURN(Json member, Member(object, key, where));
  if (!member.is_string()) return Err("input.bad-json", Path(where, key), "is not a string");
  return member.get<std::string>();
}

Result<int64_t> JsonInt(const Json& object, std::string_view key, std::string_view where) {
  ASSIGN_OR_RETURN(Json member, Member(object, key, where));
  if (!member.is_number_integer()) return Err("input.bad-json", Path(where, key), "is not an integer");
  return member.get<int64_t>();
}

Result<Json> JsonObject(const Json& object, std::string_view key, std::string_view where) {
  ASSIGN_OR_RETURN(Json member, Member(object, key, where));
  if (!member.is_object()) return Err("input.bad-json", Path(where, key), "is not an object");
  return member;
}

}  // namespace ccgpu
