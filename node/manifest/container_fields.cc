#include "node/manifest/container_fields.h"

#include <map>
#include <optional>
#include <set>

#include "node/manifest/fields.h"
#include "node/manifest/quantity.h"

namespace ccgpu::node {
namespace {

using Known = std::map<std::string, std::optional<std::string>>;

std::string Expand(YamlMap& map, const char* key, const std::string& text, const Known& known) {
  auto expanded = ExpandReferences(text, known);
  if (!expanded)
    map.Fail("node.unsupported-field", key,
             "refers to a variable whose value only the running pod knows (metadata.uid, status.podIP)");
  return expanded.value_or(text);
}

// `known` gets each variable's value for those after it and for command and args.
std::vector<EnvVar> ReadEnv(YamlMap& container, const PodSpec& pod, Known& known) {
  std::vector<EnvVar> out;
  for (auto& map : container.Maps("env")) {
    OnlyHonoured(map, {"name", "value", "valueFrom"});
    EnvVar env;
    env.name = map.String("name", true);
    if (!env.name.empty() && !IsEnvName(env.name))
      map.Fail("input.bad-value", "name", "\"" + env.name + "\" is not the name of a variable");
    env.value = Expand(map, "value", map.String("value"), known);
    known[env.name] = env.value;
    if (map.Has("valueFrom")) {
      YamlMap from = map.Map("valueFrom");
      OnlyHonoured(from, {"fieldRef"});
      YamlMap field = from.Map("fieldRef", true);
      OnlyHonoured(field, {"fieldPath", "apiVersion"});
      env.field_path =
          field.OneOf("fieldPath", {"metadata.name", "metadata.namespace", "metadata.uid", "status.podIP"}, true);
      if (map.Has("value")) map.Fail("input.bad-value", "value", "may not stand beside valueFrom");
      known[env.name] = env.field_path == "metadata.name"        ? std::optional(pod.name)
                        : env.field_path == "metadata.namespace" ? std::optional(pod.pod_namespace)
                                                                 : std::nullopt;
    }
    out.push_back(std::move(env));
  }
  return out;
}

std::vector<std::string> ReadWords(YamlMap& container, const char* key, const Known& known) {
  std::vector<std::string> out;
  for (const auto& word : container.Strings(key)) out.push_back(Expand(container, key, word, known));
  return out;
}

std::vector<VolumeMount> ReadMounts(YamlMap& container) {
  std::vector<VolumeMount> out;
  std::set<std::string> paths;
  for (auto& map : container.Maps("volumeMounts")) {
    OnlyHonoured(map, {"name", "mountPath", "readOnly"});
    VolumeMount mount{map.String("name", true), map.String("mountPath", true), map.Bool("readOnly")};
    if (!mount.mount_path.empty() && !IsAbsoluteClean(mount.mount_path))
      map.Fail("input.bad-value", "mountPath", "must be an absolute path without \"..\"");
    if (!paths.insert(mount.mount_path).second) map.Fail("input.bad-value", "mountPath", "is mounted twice");
    out.push_back(std::move(mount));
  }
  return out;
}

void ReadQuantities(YamlMap& list, bool is_limit, Resources& out) {
  if (!list.node().IsMap()) return;
  for (const auto& entry : list.node()) {
    const std::string key = entry.first.Scalar();
    const std::string text = list.String(key);
    if (key == "cpu" || key == "memory") {
      const auto value = ParseQuantity(text, key == "cpu" ? 1000 : 1);
      if (!value || *value == 0) {
        list.Fail("input.bad-value", key,
                  "\"" + text + "\" is not a positive quantity such as " + (key == "cpu" ? "500m or 2" : "64Mi"));
        continue;
      }
      if (key == "cpu") {
        (is_limit ? out.cpu_limit_milli : out.cpu_request_milli) = *value;
      } else {
        (is_limit ? out.memory_limit : out.memory_request) = *value;
      }
    } else if (key.find('/') != std::string::npos && key.find("kubernetes.io/") == std::string::npos) {
      const auto value = ParseQuantity(text);
      if (!value || text.find_first_not_of("0123456789") != std::string::npos || *value > 1024) {
        list.Fail("input.bad-value", key, "\"" + text + "\" is not a whole number of devices (0 to 1024)");
        continue;
      }
      if (is_limit) {
        if (*value > 0) out.extended[key] = *value;
      } else if (auto limit = out.extended.find(key); (limit == out.extended.end() ? 0 : limit->second) != *value) {
        list.Fail("input.bad-value", key, "must equal the limit: devices are not overcommitted");
      }
    } else {
      list.errors().Add("node.unsupported-field", entry.first, list.path() + "." + key,
                        "is not honoured by ccgpu-node; use cpu, memory or an extended resource");
    }
  }
}

Resources ReadResources(YamlMap& container) {
  Resources out;
  YamlMap map = container.Map("resources");
  OnlyHonoured(map, {"limits", "requests"});
  YamlMap limits = map.Map("limits"), requests = map.Map("requests");
  ReadQuantities(limits, true, out);
  ReadQuantities(requests, false, out);
  if (out.cpu_request_milli == 0) out.cpu_request_milli = out.cpu_limit_milli;
  if (out.memory_request == 0) out.memory_request = out.memory_limit;
  if (out.cpu_limit_milli != 0 && out.cpu_request_milli > out.cpu_limit_milli)
    requests.Fail("input.bad-value", "cpu", "is above the limit");
  if (out.memory_limit != 0 && out.memory_request > out.memory_limit)
    requests.Fail("input.bad-value", "memory", "is above the limit");
  return out;
}

std::vector<std::string> ReadCapabilities(YamlMap& map, const char* key) {
  std::vector<std::string> out;
  for (std::string name : map.Strings(key)) {
    if (name.starts_with("CAP_")) name = name.substr(4);
    if (name.empty() || name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != std::string::npos) {
      map.Fail("input.bad-value", key, "\"" + name + "\" is not the name of a capability (NET_BIND_SERVICE, ALL)");
    }
    out.push_back(std::move(name));
  }
  return out;
}

SecurityContext ReadSecurity(YamlMap& container, SecurityContext out) {
  YamlMap map = container.Map("securityContext");
  OnlyHonoured(map, {"runAsUser", "runAsGroup", "runAsNonRoot", "allowPrivilegeEscalation", "readOnlyRootFilesystem",
                     "capabilities", "privileged", "seccompProfile"});
  if (map.Has("runAsUser")) out.run_as_user = map.Int("runAsUser");
  if (map.Has("runAsGroup")) out.run_as_group = map.Int("runAsGroup");
  out.run_as_non_root = map.Bool("runAsNonRoot", out.run_as_non_root);
  out.allow_privilege_escalation = map.Bool("allowPrivilegeEscalation", true);
  out.read_only_root_filesystem = map.Bool("readOnlyRootFilesystem");
  if (map.Bool("privileged"))
    map.Fail("node.unsupported-field", "privileged", "must not be true: ccgpu-node runs no privileged containers");
  out.seccomp = ReadSeccomp(map, out.seccomp);
  YamlMap capabilities = map.Map("capabilities");
  OnlyHonoured(capabilities, {"add", "drop"});
  out.add_capabilities = ReadCapabilities(capabilities, "add");
  out.drop_capabilities = ReadCapabilities(capabilities, "drop");
  if ((out.run_as_user && (*out.run_as_user < 0 || *out.run_as_user > 0x7fffffff)) ||
      (out.run_as_group && (*out.run_as_group < 0 || *out.run_as_group > 0x7fffffff))) {
    map.Fail("input.bad-value", "runAsUser", "user and group ids go from 0 to 2147483647");
  }
  if (out.run_as_group && !out.run_as_user) map.Fail("input.bad-value", "runAsGroup", "needs runAsUser as well");
  if (out.run_as_non_root && out.run_as_user == 0)
    map.Fail("input.bad-value", "runAsUser", "is 0, but runAsNonRoot is true");
  return out;
}

}  // namespace

SeccompProfile ReadSeccomp(YamlMap& security, SeccompProfile inherited) {
  if (!security.Has("seccompProfile")) return inherited;
  YamlMap map = security.Map("seccompProfile");
  OnlyHonoured(map, {"type"});
  const std::string type = map.OneOf("type", {"RuntimeDefault", "Unconfined"}, true);
  return {type == "RuntimeDefault" ? SeccompProfile::Type::kRuntimeDefault : SeccompProfile::Type::kUnconfined};
}

ContainerSpec ReadContainer(YamlMap map, const PodSpec& pod, const SecurityContext& pod_security) {
  OnlyHonoured(map, {"name", "image", "imagePullPolicy", "command", "args", "workingDir", "env", "resources",
                     "volumeMounts", "securityContext", "tty", "stdin", "ports"});
  ContainerSpec out;
  out.name = map.String("name", true);
  if (!out.name.empty() && !IsDnsLabel(out.name))
    map.Fail("input.bad-value", "name", "\"" + out.name + "\" is not a DNS label (a-z, 0-9, -)");
  out.image = map.String("image", true);
  if (map.OneOf("imagePullPolicy", {"Always", "IfNotPresent", "Never"}, false, "IfNotPresent") == "Always") {
    map.Fail("node.unsupported-field", "imagePullPolicy",
             "Always is not honoured: this node has no registry; import images and say IfNotPresent or Never");
  }
  Known known;
  out.env = ReadEnv(map, pod, known);
  out.command = ReadWords(map, "command", known);
  out.args = ReadWords(map, "args", known);
  out.working_dir = map.String("workingDir");
  if (!out.working_dir.empty() && !IsAbsoluteClean(out.working_dir))
    map.Fail("input.bad-value", "workingDir", "must be an absolute path without \"..\"");
  out.resources = ReadResources(map);
  out.mounts = ReadMounts(map);
  out.security = ReadSecurity(map, pod_security);
  out.tty = map.Bool("tty");
  out.stdin = map.Bool("stdin");
  // Ports are information in Kubernetes too, as long as none is opened on the host.
  for (auto& port : map.Maps("ports")) OnlyHonoured(port, {"containerPort", "name", "protocol"});
  return out;
}

}  // namespace ccgpu::node
