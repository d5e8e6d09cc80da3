#include "shim/host/cdi.h"

#include <dirent.h>

#include <algorithm>

#include "base/file.h"
#include "base/json.h"

namespace ccgpu::shim {
namespace {

constexpr char kAnnotationPrefix[] = "cdi.k8s.io/";
constexpr size_t kMaxSpecFile = 4u << 20;

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> out;
  for (size_t at = 0; at < text.size();) {
    size_t comma = std::min(text.find(',', at), text.size());
    if (comma > at) out.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return out;
}

std::vector<std::string> SpecFiles(const std::vector<std::string>& dirs) {
  std::vector<std::string> files;
  for (const auto& dir : dirs) {
    DIR* handle = ::opendir(dir.c_str());
    if (!handle) continue;
    while (dirent* entry = ::readdir(handle)) {
      std::string name = entry->d_name;
      if (name.size() > 5 && name.ends_with(".json")) files.push_back(dir + "/" + name);
    }
    ::closedir(handle);
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The uuid behind a device of our kind: the marker variable of its container edits, else the device's name.
std::string UuidOf(const Json& device, const std::string& name) {
  auto edits = device.find("containerEdits");
  if (edits != device.end() && edits->is_object() && edits->contains("env") && (*edits)["env"].is_array()) {
    for (const auto& entry : (*edits)["env"]) {
      if (entry.is_string() && entry.get_ref<const std::string&>().rfind("CCGPU_GPU_UUIDS=", 0) == 0)
        return entry.get<std::string>().substr(16);
    }
  }
  return name;
}

Result<std::string> Resolve(const std::string& name, const std::vector<std::string>& dirs) {
  std::string looked;
  for (const auto& file : SpecFiles(dirs)) {
    auto text = ReadFile(file, kMaxSpecFile);
    if (!text.ok()) continue;
    auto spec = ParseJson(*text, file);
    if (!spec.ok() || !spec->is_object() || spec->value("kind", "") != kCdiKind) continue;
    looked += (looked.empty() ? "" : ", ") + file;
    for (const auto& device : spec->value("devices", Json::array()))
      if (device.is_object() && device.value("name", "") == name) return UuidOf(device, name);
  }
  std::string where;
  for (const auto& dir : dirs) where += (where.empty() ? "" : ", ") + dir;
  return Err("gpu.cdi-unresolvable", std::string(kCdiKind) + "=" + name,
             looked.empty() ? "no CDI specification of this kind in " + where + "; is ccgpu-device-plugin running?"
                            : "no such device in " + looked);
}

}  // namespace

Result<std::vector<std::string>> ContainerGpus(const SpecFacts& spec, const std::vector<std::string>& cdi_dirs) {
  std::vector<std::string> names, uuids;
  for (const auto& [key, value] : spec.annotations) {
    if (key.rfind(kAnnotationPrefix, 0) != 0) continue;
    for (const auto& device : Split(value)) {
      std::string prefix = std::string(kCdiKind) + "=";
      if (device.rfind(prefix, 0) == 0) names.push_back(device.substr(prefix.size()));
    }
  }
  if (auto it = spec.ccgpu_env.find(kVisibleDevices); names.empty() && it != spec.ccgpu_env.end())
    names = Split(it->second);
  for (const auto& name : names) {
    ASSIGN_OR_RETURN(std::string uuid, Resolve(name, cdi_dirs));
    if (std::find(uuids.begin(), uuids.end(), uuid) == uuids.end()) uuids.push_back(uuid);
  }
  return uuids;
}

}  // namespace ccgpu::shim
