#include "gpu-emulator/services/rim_mirror.h"

#include <algorithm>
#include <filesystem>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

namespace ccgpu::emulator {
namespace {

constexpr size_t kMaxFile = 4u << 20;

Status Fits(const std::string& text, const std::string& id) {
  ASSIGN_OR_RETURN(const Json answer, ParseJson(text, id));
  if (!answer.is_object() || !answer.contains("id") || answer["id"] != id || !answer.contains("rim") ||
      !answer["rim"].is_string())
    return Err("input.bad-value", id, "is no answer about this id");
  ASSIGN_OR_RETURN(const Bytes xml, Base64Decode(answer["rim"].get<std::string>()));
  if (answer.contains("sha256") && answer["sha256"] != HexEncode(crypto::Sha256(xml)))
    return Err("input.bad-value", id, "its sha256 is not that of its rim");
  return Ok();
}

}  // namespace

std::vector<std::string> RimMirror::Ids() const {
  std::vector<std::string> ids;
  if (folder_.empty()) return ids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    if (entry.path().extension() == ".json") ids.push_back(entry.path().stem());
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::optional<std::string> RimMirror::Answer(const std::string& id) const {
  if (folder_.empty() || id.find('/') != std::string::npos) return std::nullopt;
  const std::string path = folder_ + "/" + id + ".json";
  if (!Exists(path)) return std::nullopt;
  auto text = ReadFile(path, kMaxFile);
  const Status status = text.ok() ? Fits(*text, id) : Status(text.error());
  if (status.ok()) return std::move(*text);
  log::Warning("a file of the RIM mirror is not handed on", {{"file", path}, {"why", status.error().ToString()}});
  return std::nullopt;
}

}  // namespace ccgpu::emulator
