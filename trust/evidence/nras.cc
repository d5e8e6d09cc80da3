#include "trust/evidence/nras.h"

#include <algorithm>

#include "base/json.h"

namespace ccgpu::evidence {
namespace {

constexpr size_t kMaxDevices = 64, kMaxBundle = 8u << 20;

Error Bad(std::string text) { return Err("token.malformed", "EAT bundle", std::move(text)); }

bool IsDeviceName(std::string_view name) {
  if (name.starts_with("GPU-")) name.remove_prefix(4);
  else if (name.starts_with("SWITCH-")) name.remove_prefix(7);
  else return false;
  return !name.empty() && name.size() <= 3 && (name[0] != '0' || name.size() == 1) &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<DetachedEat> ParseDetachedEat(std::string_view json) {
  if (json.size() > kMaxBundle) return Bad("is larger than 8 MiB");
  auto whole = ParseJson(json, "EAT bundle", 4);
  if (!whole.ok()) return Bad(whole.error().text);
  if (!whole->is_array() || whole->size() != 2) return Bad("is not a JSON array of two");
  const Json &first = (*whole)[0], &second = (*whole)[1];
  if (!first.is_array() || first.size() != 2 || first[0] != "JWT" || !first[1].is_string())
    return Bad("its first part is not [\"JWT\", token]");
  if (!second.is_object() || second.empty() || second.size() > kMaxDevices)
    return Bad("its second part is not an object of 1 to 64 device tokens");
  DetachedEat out;
  out.overall = first[1].get<std::string>();
  for (const auto& [name, token] : second.items()) {
    if (!IsDeviceName(name)) return Bad("\"" + name + "\" is not the name of a device: GPU-0, SWITCH-0");
    if (!token.is_string()) return Bad("the token of " + name + " is not a string");
    out.devices.emplace_back(name, token.get<std::string>());
  }
  return out;
}

std::string EncodeDetachedEat(const DetachedEat& bundle) {
  Json devices = Json::object();
  for (const auto& [name, token] : bundle.devices) devices[name] = token;
  return Json::array({Json::array({"JWT", bundle.overall}), devices}).dump();
}

}  // namespace ccgpu::evidence
