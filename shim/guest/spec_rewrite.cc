#include "shim/guest/spec_rewrite.h"

#include "base/json.h"
#include "shim/oci/cgroup.h"

namespace ccgpu::shim {
namespace {

constexpr char kLibraryPath[] = "LD_LIBRARY_PATH=";

void ChangeEnv(Json& process, bool has_gpu) {
  Json env = Json::array();
  bool placed = !has_gpu;
  for (const auto& entry : process.value("env", Json::array())) {
    std::string text = entry.is_string() ? entry.get<std::string>() : "";
    if (text.rfind("CCGPU_VISIBLE_DEVICES=", 0) == 0 || text.rfind("CCGPU_GPU_UUIDS=", 0) == 0) continue;
    if (has_gpu && text.rfind(kLibraryPath, 0) == 0) {
      text = std::string(kLibraryPath) + "/run/ccgpu/lib:" + text.substr(sizeof kLibraryPath - 1);
      placed = true;
    }
    env.push_back(text);
  }
  if (!placed) env.push_back(std::string(kLibraryPath) + "/run/ccgpu/lib");
  if (!env.empty() || process.contains("env")) process["env"] = std::move(env);
}

Status ChangeNamespaces(Json& linux_section, bool in_pod) {
  Json kept = Json::array();
  for (auto entry : linux_section.value("namespaces", Json::array())) {
    if (!entry.is_object()) return Err("oci.bad-spec", "linux.namespaces", "must be a list of objects");
    std::string type = entry.value("type", ""), path = entry.value("path", "");
    if (path.empty()) {
      kept.push_back(entry);
      continue;
    }
    if (type == "pid") continue;  // not making one shares guestd's
    if (type == "network" || (in_pod && (type == "ipc" || type == "uts"))) {
      entry["path"] = "/proc/1/ns/" + std::string(type == "network" ? "net" : type);
    } else if (in_pod) {
      return Err("oci.namespace", "linux.namespaces[" + type + "]",
                 "a pod's container shares only network, ipc, uts and pid with its sandbox; found a path for " + type);
    }
    kept.push_back(entry);
  }
  linux_section["namespaces"] = std::move(kept);
  return Ok();
}

Json BindMount(const std::string& source, const char* destination) {
  return Json{{"destination", destination},
              {"type", "bind"},
              {"source", source},
              {"options", {"rbind", "ro", "nosuid", "nodev", "rprivate"}}};
}

}  // namespace

Result<std::string> RewriteSpec(std::string_view config_json, const SpecChanges& changes) {
  ASSIGN_OR_RETURN(Json spec, ParseJson(config_json, "config.json"));
  if (!spec.is_object()) return Err("oci.bad-spec", "config.json", "must be an object");
  for (const char* section : {"process", "linux", "root"})
    if (spec.contains(section) && !spec[section].is_object())
      return Err("oci.bad-spec", "config.json", std::string(section) + " must be an object");
  bool has_gpu = !changes.gpu_folder.empty();
  spec["root"]["path"] = changes.rootfs;
  if (spec.contains("process")) ChangeEnv(spec["process"], has_gpu);
  if (spec.contains("linux")) RETURN_IF_ERROR(ChangeNamespaces(spec["linux"], changes.in_pod));
  if (changes.own_cgroups && spec.contains("linux") && spec["linux"].contains("cgroupsPath")) {
    Json& path = spec["linux"]["cgroupsPath"];
    if (!path.is_string()) return Err("oci.bad-spec", "linux.cgroupsPath", "must be a string");
    path = CgroupFolder(path.get<std::string>());
  }
  if (has_gpu) {
    if (!spec.contains("mounts") || !spec["mounts"].is_array()) spec["mounts"] = Json::array();
    spec["mounts"].push_back(BindMount(changes.gpu_folder, "/run/ccgpu"));
    spec["mounts"].push_back(BindMount(changes.library_folder, "/run/ccgpu/lib"));
  }
  return spec.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<std::string> RewriteProcess(std::string_view process_json, bool terminal, bool has_gpu) {
  ASSIGN_OR_RETURN(Json process, ParseJson(process_json, "process"));
  if (!process.is_object()) return Err("oci.bad-spec", "process", "must be an object");
  process["terminal"] = terminal;
  ChangeEnv(process, has_gpu);
  return process.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace ccgpu::shim
