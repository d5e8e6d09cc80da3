#include "shim/oci/spec.h"

#include "base/file.h"
#include "base/json.h"
#include "shim/api/names.h"

namespace ccgpu::shim {
namespace {

constexpr size_t kMaxSpec = 16u << 20;

Error Bad(const std::string& subject, const std::string& field, const char* expected) {
  return Err("oci.bad-spec", subject, field + " must be " + expected);
}

Status ReadStringMap(const Json& object, const char* key, const std::string& subject, const std::string& where,
                     std::map<std::string, std::string>& out) {
  auto it = object.find(key);
  if (it == object.end() || it->is_null()) return Ok();
  if (!it->is_object()) return Bad(subject, where + key, "an object of strings");
  for (const auto& [name, value] : it->items()) {
    if (!value.is_string()) return Bad(subject, where + key + "." + name, "a string");
    out[name] = value.get<std::string>();
  }
  return Ok();
}

Status ReadString(const Json& object, const char* key, const std::string& subject, const std::string& where,
                  std::string& out) {
  auto it = object.find(key);
  if (it == object.end() || it->is_null()) return Ok();
  if (!it->is_string()) return Bad(subject, where + key, "a string");
  out = it->get<std::string>();
  return Ok();
}

Status ReadEnv(const Json& process, const std::string& subject, SpecFacts& facts) {
  auto env = process.find("env");
  if (env == process.end() || env->is_null()) return Ok();
  if (!env->is_array()) return Bad(subject, "process.env", "a list of strings");
  for (const auto& entry : *env) {
    if (!entry.is_string()) return Bad(subject, "process.env", "a list of strings");
    const auto& text = entry.get_ref<const std::string&>();
    size_t equals = text.find('=');
    if (text.rfind("CCGPU_", 0) == 0 && equals != std::string::npos)
      facts.ccgpu_env[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return Ok();
}

Status ReadLinux(const Json& section, const std::string& subject, SpecFacts& facts) {
  RETURN_IF_ERROR(ReadString(section, "cgroupsPath", subject, "linux.", facts.cgroups_path));
  RETURN_IF_ERROR(ReadStringMap(section, "sysctl", subject, "linux.", facts.sysctls));
  auto namespaces = section.find("namespaces");
  if (namespaces == section.end() || namespaces->is_null()) return Ok();
  if (!namespaces->is_array()) return Bad(subject, "linux.namespaces", "a list");
  for (const auto& entry : *namespaces) {
    std::string type, path;
    if (!entry.is_object()) return Bad(subject, "linux.namespaces", "a list of objects");
    RETURN_IF_ERROR(ReadString(entry, "type", subject, "linux.namespaces.", type));
    RETURN_IF_ERROR(ReadString(entry, "path", subject, "linux.namespaces.", path));
    if (!facts.namespaces.emplace(type, path).second)
      return Err("oci.bad-spec", subject, "linux.namespaces names " + type + " twice");
  }
  return Ok();
}

}  // namespace

Result<SpecFacts> ReadSpec(std::string_view config_json, const std::string& subject) {
  ASSIGN_OR_RETURN(Json json, ParseJson(config_json, subject));
  if (!json.is_object()) return Bad(subject, "the document", "an object");
  SpecFacts facts;
  RETURN_IF_ERROR(ReadStringMap(json, "annotations", subject, "", facts.annotations));
  RETURN_IF_ERROR(ReadString(json, "hostname", subject, "", facts.hostname));
  for (const char* section : {"root", "process", "linux", "hooks"}) {
    auto it = json.find(section);
    if (it == json.end() || it->is_null()) continue;
    if (!it->is_object()) return Bad(subject, section, "an object");
    std::string name = section;
    if (name == "root") RETURN_IF_ERROR(ReadString(*it, "path", subject, "root.", facts.root_path));
    if (name == "process") RETURN_IF_ERROR(ReadEnv(*it, subject, facts));
    if (name == "linux") RETURN_IF_ERROR(ReadLinux(*it, subject, facts));
    if (name == "hooks") facts.has_poststop_hooks = it->contains("poststop") && !(*it)["poststop"].empty();
  }
  std::string type = facts.Annotation(kCriContainerType);
  if (type == "sandbox") facts.kind = ContainerKind::kPodSandbox;
  else if (type == "container") facts.kind = ContainerKind::kPodContainer;
  else if (!type.empty())
    return Err("oci.bad-spec", subject,
               std::string(kCriContainerType) + " must be sandbox or container, found " + type);
  if (facts.kind != ContainerKind::kSingle && facts.Annotation(kCriSandboxId).empty())
    return Err("oci.bad-spec", subject, std::string("a CRI container needs the annotation ") + kCriSandboxId);
  return facts;
}

Result<SpecFacts> ReadBundleSpec(const std::string& bundle) {
  std::string path = bundle + "/config.json";
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, kMaxSpec));
  return ReadSpec(text, path);
}

std::string GroupOf(const SpecFacts& spec, const std::string& id) {
  for (const char* key : {kGroupAnnotation, kCriSandboxId}) {
    std::string group = spec.Annotation(key);
    if (!group.empty()) return group;
  }
  return id;
}

}  // namespace ccgpu::shim
