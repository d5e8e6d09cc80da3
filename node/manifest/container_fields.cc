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

// Labels and annotations of the manifest itself; a controller may add others, whose values are then late.
bool FromMetadata(const PodSpec& pod, EnvVar& env) {
  for (const auto& [head, map] :
       {std::pair("metadata.labels['", &pod.labels), std::pair("metadata.annotations['", &pod.annotations)}) {
    if (!env.field_path.starts_with(head) || !env.field_path.ends_with("']")) continue;
    const size_t size = std::string_view(head).size();
    const auto found = map->find(env.field_path.substr(size, env.field_path.size() - size - 2));
    if (found == map->end()) return false;
    env.value = found->second;
    env.field_path.clear();
    return true;
  }
  return false;
}

// Where a cluster takes a value from. What the manifest itself knows becomes a value, the rest is late.
void ReadKubernetesSource(YamlMap& from, const PodSpec& pod, EnvVar& env) {
  if (from.Has("fieldRef")) {
    YamlMap field = from.Map("fieldRef");
    OnlyHonoured(field, {"fieldPath", "apiVersion"});
    env.field_path = field.String("fieldPath", true);
    for (const char* kept : {"metadata.name", "metadata.namespace", "metadata.uid", "status.podIP"}) {
      if (env.field_path == kept) return;
    }
    if (env.field_path == "spec.serviceAccountName") {
      env.value = pod.service_account;
      env.field_path.clear();
      return;
    }
    if (FromMetadata(pod, env)) return;
  } else if (from.Has("configMapKeyRef") || from.Has("secretKeyRef") || from.Has("resourceFieldRef")) {
    for (const char* key : {"configMapKeyRef", "secretKeyRef", "resourceFieldRef"}) from.Raw(key);
  } else {
    from.Fail("input.bad-value", "fieldRef", "is missing: valueFrom must say where the value comes from");
  }
  env.field_path.clear();
  env.late = true;
}

void ReadValueFrom(YamlMap& from, const PodSpec& pod, EnvVar& env) {
  OnlyHonoured(from, pod.kubernetes, {"fieldRef"}, {"configMapKeyRef", "secretKeyRef", "resourceFieldRef"});
  if (pod.kubernetes) return ReadKubernetesSource(from, pod, env);
  YamlMap field = from.Map("fieldRef", true);
  OnlyHonoured(field, {"fieldPath", "apiVersion"});
  env.field_path =
      field.OneOf("fieldPath", {"metadata.name", "metadata.namespace", "metadata.uid", "status.podIP"}, true);
}

// `known` gets each variable's value for those after it and for command and args.
std::vector<EnvVar> ReadEnv(YamlMap& container, const PodSpec& pod, Known& known) {
  std::vector<EnvVar> out;
  // kubelet knows these too; their values are the cluster's.
  if (pod.kubernetes) known = {{"KUBERNETES_SERVICE_HOST", std::nullopt}, {"KUBERNETES_SERVICE_PORT", std::nullopt}};
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
      ReadValueFrom(from, pod, env);
      if (map.Has("value")) map.Fail("input.bad-value", "value", "may not stand beside valueFrom");
      known[env.name] = env.late                                                         ? std::nullopt
                        : env.field_path.empty()                                         ? std::optional(env.value)
                        : env.field_path == "metadata.name" && pod.generate_name.empty() ? std::optional(pod.name)
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

std::vector<VolumeMount> ReadMounts(YamlMap& container, bool kubernetes) {
  std::vector<VolumeMount> out;
  std::set<std::string> paths;
  for (auto& map : container.Maps("volumeMounts")) {
    OnlyHonoured(map, kubernetes, {"name", "mountPath", "readOnly"}, {"subPath", "mountPropagation"});
    VolumeMount mount{map.String("name", true), map.String("mountPath", true), map.Bool("readOnly"), false};
    if (kubernetes) {
      mount.sub_path = !map.String("subPath").empty();
      map.OneOf("mountPropagation", {"", "None"});
    }
    if (!mount.mount_path.empty() && !IsAbsoluteClean(mount.mount_path))
      map.Fail("input.bad-value", "mountPath", "must be an absolute path without \"..\"");
    if (!paths.insert(mount.mount_path).second) map.Fail("input.bad-value", "mountPath", "is mounted twice");
    out.push_back(std::move(mount));
  }
  return out;
}

void ReadQuantities(YamlMap& list, bool is_limit, bool kubernetes, Resources& out) {
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
    } else if (kubernetes && (key == "ephemeral-storage" || key.starts_with("hugepages-"))) {
      // Limits of the host's, which say nothing about what runs.
    } else {
      list.errors().Add("node.unsupported-field", entry.first, list.path() + "." + key,
                        "is not honoured by ccgpu-node; use cpu, memory or an extended resource");
    }
  }
}

Resources ReadResources(YamlMap& container, bool kubernetes) {
  Resources out;
  YamlMap map = container.Map("resources");
  OnlyHonoured(map, {"limits", "requests"});
  YamlMap limits = map.Map("limits"), requests = map.Map("requests");
  ReadQuantities(limits, true, kubernetes, out);
  ReadQuantities(requests, false, kubernetes, out);
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

SecurityContext ReadSecurity(YamlMap& container, bool kubernetes, SecurityContext out) {
  YamlMap map = container.Map("securityContext");
  OnlyHonoured(map, kubernetes,
               {"runAsUser", "runAsGroup", "runAsNonRoot", "allowPrivilegeEscalation", "readOnlyRootFilesystem",
                "capabilities", "privileged", "seccompProfile"},
               {"appArmorProfile"});
  if (kubernetes) ReadAppArmor(map);
  if (map.Has("runAsUser")) out.run_as_user = map.Int("runAsUser");
  if (map.Has("runAsGroup")) out.run_as_group = map.Int("runAsGroup");
  out.run_as_non_root = map.Bool("runAsNonRoot", out.run_as_non_root);
  out.allow_privilege_escalation = map.Bool("allowPrivilegeEscalation", true);
  out.read_only_root_filesystem = map.Bool("readOnlyRootFilesystem");
  if (map.Bool("privileged"))
    map.Fail("node.unsupported-field", "privileged",
             "must not be true: no privileged containers in a sandbox, and none on ccgpu-node");
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

// A command that kubelet runs in the container, by the manifest's own wish.
void ReadExec(YamlMap& map, const char* key, ContainerSpec& out) {
  if (!map.Has(key)) return;
  YamlMap handler = map.Map(key);
  if (!handler.Has("exec")) return;  // over the network: nothing runs in the container
  YamlMap exec = handler.Map("exec");
  OnlyHonoured(exec, true, {"command"}, {});
  std::vector<std::string> command = exec.Strings("command", true);
  if (command.empty()) exec.Fail("input.bad-value", "command", "must name a program");
  else out.exec_hooks.push_back(std::move(command));
}

void ReadKubernetesFields(YamlMap& map, ContainerSpec& out) {
  for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"}) ReadExec(map, probe, out);
  YamlMap lifecycle = map.Map("lifecycle");
  OnlyHonoured(lifecycle, true, {"postStart", "preStop"}, {});
  for (const char* hook : {"postStart", "preStop"}) ReadExec(lifecycle, hook, out);
  out.restarts = map.OneOf("restartPolicy", {"", "Always"}) == "Always";
  if (map.String("terminationMessagePath", false, "/dev/termination-log") != "/dev/termination-log") {
    map.Fail("node.unsupported-field", "terminationMessagePath",
             "must be /dev/termination-log: policies admit kubelet's file there and nowhere else");
  }
}

}  // namespace

void ReadAppArmor(YamlMap& security) {
  if (!security.Has("appArmorProfile")) return;
  YamlMap map = security.Map("appArmorProfile");
  OnlyHonoured(map, true, {"type"}, {});
  map.OneOf("type", {"RuntimeDefault", "Unconfined"}, true);
}

SeccompProfile ReadSeccomp(YamlMap& security, SeccompProfile inherited) {
  if (!security.Has("seccompProfile")) return inherited;
  YamlMap map = security.Map("seccompProfile");
  OnlyHonoured(map, {"type"});
  const std::string type = map.OneOf("type", {"RuntimeDefault", "Unconfined"}, true);
  return {type == "RuntimeDefault" ? SeccompProfile::Type::kRuntimeDefault : SeccompProfile::Type::kUnconfined};
}

ContainerSpec ReadContainer(YamlMap map, const PodSpec& pod, const SecurityContext& pod_security) {
  OnlyHonoured(map, pod.kubernetes,
               {"name", "image", "imagePullPolicy", "command", "args", "workingDir", "env", "resources", "volumeMounts",
                "securityContext", "tty", "stdin", "ports"},
               {"livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "restartPolicy", "resizePolicy",
                "stdinOnce", "terminationMessagePath", "terminationMessagePolicy"});
  ContainerSpec out;
  out.name = map.String("name", true);
  if (!out.name.empty() && !IsDnsLabel(out.name))
    map.Fail("input.bad-value", "name", "\"" + out.name + "\" is not a DNS label (a-z, 0-9, -)");
  out.image = map.String("image", true);
  if (map.OneOf("imagePullPolicy", {"Always", "IfNotPresent", "Never"}, false, "IfNotPresent") == "Always" &&
      !pod.kubernetes) {
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
  out.resources = ReadResources(map, pod.kubernetes);
  out.mounts = ReadMounts(map, pod.kubernetes);
  out.security = ReadSecurity(map, pod.kubernetes, pod_security);
  out.tty = map.Bool("tty");
  out.stdin = map.Bool("stdin");
  // Ports are information in Kubernetes too, as long as none is opened on the host.
  for (auto& port : map.Maps("ports"))
    OnlyHonoured(port, pod.kubernetes, {"containerPort", "name", "protocol"}, {"hostPort", "hostIP"});
  if (pod.kubernetes) ReadKubernetesFields(map, out);
  return out;
}

}  // namespace ccgpu::node
