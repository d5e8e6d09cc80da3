#include "base/json.h"
#include "node/images/archive.h"

namespace ccgpu::images {
namespace {

Result<std::vector<std::string>> Strings(const Json& object, const char* key) {
  std::vector<std::string> out;
  if (!object.contains(key) || object[key].is_null()) return out;
  if (!object[key].is_array()) return Err("image.bad-config", key, "must be a list of strings");
  for (const Json& item : object[key]) {
    if (!item.is_string()) return Err("image.bad-config", key, "must be a list of strings");
    out.push_back(item.get<std::string>());
  }
  return out;
}

Result<std::string> Text(const Json& object, const char* key) {
  if (!object.contains(key) || object[key].is_null()) return std::string();
  if (!object[key].is_string()) return Err("image.bad-config", key, "must be a string");
  return object[key].get<std::string>();
}

}  // namespace

Result<ImageConfig> ParseImageConfig(const std::string& config_json) {
  ASSIGN_OR_RETURN(const Json document, ParseJson(config_json, "image config"));
  ImageConfig out;
  if (!document.is_object()) return Err("image.bad-config", "image config", "must be an object");
  if (!document.contains("config") || document["config"].is_null()) return out;
  const Json& config = document["config"];
  if (!config.is_object()) return Err("image.bad-config", "config", "must be an object");
  ASSIGN_OR_RETURN(out.entrypoint, Strings(config, "Entrypoint"));
  ASSIGN_OR_RETURN(out.cmd, Strings(config, "Cmd"));
  ASSIGN_OR_RETURN(out.env, Strings(config, "Env"));
  ASSIGN_OR_RETURN(out.working_dir, Text(config, "WorkingDir"));
  ASSIGN_OR_RETURN(out.user, Text(config, "User"));
  if (config.contains("Volumes") && config["Volumes"].is_object()) {
    for (const auto& [path, nothing] : config["Volumes"].items()) out.volumes.push_back(path);
  }
  return out;
}

std::string ImageInfoToJson(const ImageInfo& info) {
  return Json{{"reference", info.reference},
              {"manifest_digest", info.manifest_digest},
              {"config_json", info.config_json},
              {"rootfs_digest", info.rootfs_digest},
              {"size", info.size},
              {"etc_passwd", info.etc_passwd},
              {"etc_group", info.etc_group}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<ImageInfo> ImageInfoFromJson(const std::string& json) {
  ASSIGN_OR_RETURN(const Json object, ParseJson(json, "image"));
  ImageInfo info;
  ASSIGN_OR_RETURN(info.reference, JsonString(object, "reference", "image"));
  ASSIGN_OR_RETURN(info.manifest_digest, JsonString(object, "manifest_digest", "image"));
  ASSIGN_OR_RETURN(info.config_json, JsonString(object, "config_json", "image"));
  ASSIGN_OR_RETURN(info.rootfs_digest, JsonString(object, "rootfs_digest", "image"));
  ASSIGN_OR_RETURN(info.size, JsonInt(object, "size", "image"));
  ASSIGN_OR_RETURN(info.etc_passwd, JsonString(object, "etc_passwd", "image"));
  ASSIGN_OR_RETURN(info.etc_group, JsonString(object, "etc_group", "image"));
  return info;
}

}  // namespace ccgpu::images
