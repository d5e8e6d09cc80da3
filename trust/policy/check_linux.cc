#include <algorithm>
#include <set>

#include "trust/policy/paths.h"
#include "trust/policy/spec_check.h"

namespace ccgpu::policy::internal {
namespace {

// What must be hidden or read-only at least: without these a container can reach settings of the whole machine.
constexpr const char* kMaskedPaths[] = {"/proc/acpi",          "/proc/kcore",      "/proc/keys",
                                        "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                                        "/proc/sched_debug",   "/proc/scsi",       "/sys/firmware"};
constexpr const char* kReadonlyPaths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

using Namespaces = std::map<std::string, std::string>;  // type -> path, "" for a new one

Result<Namespaces> ReadNamespaces(const Json& linux_part, const std::string& rule) {
  ASSIGN_OR_RETURN(const Json list, List(linux_part, "namespaces", "linux"));
  Namespaces out;
  for (const Json& item : list) {
    if (!item.is_object()) return Err("policy.bad-spec", "linux.namespaces", "a namespace is an object");
    RETURN_IF_ERROR(OnlyKnown(item, {"type", "path"}, "linux.namespaces"));
    ASSIGN_OR_RETURN(const std::string type, Text(item, "type", "linux.namespaces"));
    ASSIGN_OR_RETURN(const std::string path, Text(item, "path", "linux.namespaces"));
    if (!out.emplace(type, path).second)
      return Differs("policy.namespace", rule + ".namespaces[" + Show(type) + "]", "one namespace", "two");
  }
  return out;
}

Status MustBeNew(const Namespaces& found, const std::string& type, const std::string& rule) {
  const std::string subject = rule + ".namespaces[" + type + "]";
  auto it = found.find(type);
  if (it == found.end()) return Differs("policy.namespace", subject, "a namespace of its own", "the host's");
  if (!it->second.empty()) return Differs("policy.namespace", subject, "a namespace of its own", Show(it->second));
  return Ok();
}

// /proc/<pid>/ns/<file>; *pid is filled by the first and must be the same afterwards.
Status MustBeSandbox(const Namespaces& found, const std::string& type, const std::string& file, const std::string& rule,
                     std::string* pid) {
  const std::string subject = rule + ".namespaces[" + type + "]";
  auto it = found.find(type);
  if (it == found.end()) return Differs("policy.namespace", subject, "the sandbox's namespace", "the host's");
  const std::string& path = it->second;
  const std::string tail = "/ns/" + file;
  const bool shape = path.starts_with("/proc/") && path.ends_with(tail) && path.size() > 6 + tail.size();
  const std::string number = shape ? path.substr(6, path.size() - 6 - tail.size()) : "";
  if (number.empty() || number.find_first_not_of("0123456789") != std::string::npos ||
      (!pid->empty() && *pid != number)) {
    return Differs("policy.namespace", subject, "the sandbox's namespace (/proc/<sandbox>/ns/" + file + ")",
                   path.empty() ? "a new one" : Show(path));
  }
  *pid = number;
  return Ok();
}

Status RefuseOthers(const Namespaces& found, std::initializer_list<std::string_view> known, const std::string& rule) {
  for (const auto& [type, path] : found) {
    if (std::find(known.begin(), known.end(), type) == known.end()) {
      return Differs("policy.namespace", rule + ".namespaces[" + Show(type) + "]", "no such namespace",
                     path.empty() ? "a new one" : Show(path));
    }
    if (type == "cgroup" && !path.empty())
      return Differs("policy.namespace", rule + ".namespaces[cgroup]", "a new one", Show(path));
  }
  return Ok();
}

Status CheckContainerNamespaces(const PodPolicy& pod, const Json& linux_part, const std::string& rule) {
  ASSIGN_OR_RETURN(const Namespaces found, ReadNamespaces(linux_part, rule));
  RETURN_IF_ERROR(MustBeNew(found, "mount", rule));
  std::string pid;
  if (pod.share_process_namespace) {
    RETURN_IF_ERROR(MustBeSandbox(found, "pid", "pid", rule, &pid));
  } else {
    RETURN_IF_ERROR(MustBeNew(found, "pid", rule));
  }
  RETURN_IF_ERROR(MustBeSandbox(found, "ipc", "ipc", rule, &pid));
  RETURN_IF_ERROR(MustBeSandbox(found, "uts", "uts", rule, &pid));
  RETURN_IF_ERROR(MustBeSandbox(found, "network", "net", rule, &pid));
  return RefuseOthers(found, {"mount", "pid", "ipc", "uts", "network", "cgroup"}, rule);
}

// All of `required` must be listed; what is listed more may only lie below /proc or /sys (elsewhere it would hide files
// of the image).
Status CheckPaths(const Json& linux_part, const char* key, std::span<const char* const> required,
                  const std::string& rule) {
  ASSIGN_OR_RETURN(const std::vector<std::string> list, Strings(linux_part, key, "linux"));
  const std::set<std::string> found(list.begin(), list.end());
  for (const char* path : required) {
    if (!found.contains(path))
      return Differs("policy.paths", rule + "." + key, std::string(path) + " among them", "not there");
  }
  for (const std::string& path : found) {
    if (!IsNormalAbsolute(path) || !(path.starts_with("/proc/") || path.starts_with("/sys/"))) {
      return Differs("policy.paths", rule + "." + key, "paths below /proc and /sys only", Show(path));
    }
  }
  return Ok();
}

Status CheckDevices(const Json& linux_part, const std::string& rule) {
  ASSIGN_OR_RETURN(const Json devices, List(linux_part, "devices", "linux"));
  if (!devices.empty()) return Differs("policy.device", rule + ".devices", "no device of the host", Show(devices[0]));
  ASSIGN_OR_RETURN(const Json resources, Object(linux_part, "resources", "linux"));
  RETURN_IF_ERROR(
      OnlyKnown(resources, {"devices", "memory", "cpu", "pids", "hugepageLimits", "unified"}, "linux.resources"));
  ASSIGN_OR_RETURN(const Json rules, List(resources, "devices", "linux.resources"));
  for (const Json& one : rules) {
    if (!one.is_object() || !one.value("allow", Json(true)).is_boolean() || one.value("allow", true)) {
      return Differs("policy.device", rule + ".resources.devices", "no device allowed", Show(one));
    }
  }
  return Ok();
}

Status RefuseText(const Json& object, const char* key, const std::string& subject, Reason code) {
  ASSIGN_OR_RETURN(const std::string text, Text(object, key, "linux"));
  if (!text.empty()) return Differs(code, subject, "none", Show(text));
  return Ok();
}

// containerd 2's own settings of a pod's network namespace: they let its processes use low ports and ping without a
// capability, and nothing else.
bool IsRuntimesOwn(const std::string& name, const Json& value) {
  return (name == "net.ipv4.ip_unprivileged_port_start" && value == "0") ||
         (name == "net.ipv4.ping_group_range" && value == "0 2147483647");
}

Status CheckSysctls(const std::map<std::string, std::string>& allowed, bool sandbox, const Json& linux_part,
                    const std::string& rule) {
  ASSIGN_OR_RETURN(const Json sysctls, Object(linux_part, "sysctl", "linux"));
  for (const auto& [name, value] : sysctls.items()) {
    const std::string subject = rule + ".sysctls[" + Show(name).substr(1, std::min<size_t>(name.size(), 80)) + "]";
    const auto it = allowed.find(name);
    if (it == allowed.end() && sandbox && IsRuntimesOwn(name, value)) continue;
    if (it == allowed.end()) return Differs("policy.sysctl", subject, "no such setting", Show(value));
    if (!value.is_string() || value.get_ref<const std::string&>() != it->second)
      return Differs("policy.sysctl", subject, Show(it->second), Show(value));
  }
  for (const auto& [name, value] : allowed) {
    if (!sysctls.contains(name))
      return Differs("policy.sysctl", rule + ".sysctls[" + name + "]", Show(value), "no such setting");
  }
  return Ok();
}

Status RefuseFilters(const Json& linux_part, const std::string& rule) {
  // A filter of the host can let system calls "succeed" without happening, or hand them to a process of the host.
  if (linux_part.contains("seccomp") && !linux_part["seccomp"].is_null()) {
    return Differs("policy.seccomp", rule + ".seccomp", "no filter from the host", Show(linux_part["seccomp"]));
  }
  return RefuseText(linux_part, "mountLabel", rule + ".mountLabel", "policy.security-label");
}

Status CheckHostname(const PodPolicy& pod, const Json& spec, const std::string& hostname) {
  std::string wanted = pod.hostname;
  if (wanted.empty() && !pod.generate_name.empty()) {
    // The name that the host states, which CheckAnnotations has held against the policy.
    ASSIGN_OR_RETURN(const Json annotations, Object(spec, "annotations", "spec"));
    ASSIGN_OR_RETURN(const std::string name, Text(annotations, "io.kubernetes.cri.sandbox-name", "annotations"));
    if (!FitsPodName(pod, name))
      return Differs("policy.annotation", "pod.annotations[\"io.kubernetes.cri.sandbox-name\"]", NameWanted(pod),
                     name.empty() ? "none" : Show(name));
    wanted = HostnameOf(name);
  } else if (wanted.empty()) {
    wanted = HostnameOf(pod.pod_name);
  }
  if (hostname != wanted) return Differs("policy.hostname", "pod.hostname", Show(wanted), Show(hostname));
  return Ok();
}

}  // namespace

Status CheckLinux(const PodPolicy& pod, const Json& spec, const std::string& rule) {
  ASSIGN_OR_RETURN(const Json linux_part, Object(spec, "linux", "spec"));
  RETURN_IF_ERROR(OnlyKnown(linux_part,
                            {"resources", "cgroupsPath", "namespaces", "devices", "seccomp", "rootfsPropagation",
                             "maskedPaths", "readonlyPaths", "mountLabel", "sysctl"},
                            "linux"));
  RETURN_IF_ERROR(CheckContainerNamespaces(pod, linux_part, rule));
  RETURN_IF_ERROR(CheckDevices(linux_part, rule));
  RETURN_IF_ERROR(RefuseFilters(linux_part, rule));
  ASSIGN_OR_RETURN(const std::string propagation, Text(linux_part, "rootfsPropagation", "linux"));
  if (!propagation.empty() && propagation != "private" && propagation != "rprivate") {
    return Differs("policy.mount", rule + ".rootfsPropagation", "private", Show(propagation));
  }
  RETURN_IF_ERROR(CheckPaths(linux_part, "maskedPaths", kMaskedPaths, rule));
  RETURN_IF_ERROR(CheckPaths(linux_part, "readonlyPaths", kReadonlyPaths, rule));
  return CheckSysctls({}, /*sandbox=*/false, linux_part, rule);  // sysctls are set once, for the sandbox
}

Status CheckSandboxSpec(const PodPolicy& pod, const Json& spec) {
  const std::string rule = "pod";
  RETURN_IF_ERROR(OnlyKnown(
      spec, {"ociVersion", "process", "root", "hostname", "mounts", "annotations", "linux", "hooks"}, "spec"));
  RETURN_IF_ERROR(RefuseHooks(spec, rule));
  RETURN_IF_ERROR(CheckAnnotations(pod, nullptr, spec, rule));
  ASSIGN_OR_RETURN(const std::string hostname, Text(spec, "hostname", "spec"));
  if (!pod.host_network) RETURN_IF_ERROR(CheckHostname(pod, spec, hostname));
  ASSIGN_OR_RETURN(const Json linux_part, Object(spec, "linux", "spec"));
  RETURN_IF_ERROR(OnlyKnown(linux_part,
                            {"resources", "cgroupsPath", "namespaces", "devices", "seccomp", "rootfsPropagation",
                             "maskedPaths", "readonlyPaths", "mountLabel", "sysctl"},
                            "linux"));
  RETURN_IF_ERROR(CheckSysctls(pod.sysctls, /*sandbox=*/true, linux_part, rule));
  RETURN_IF_ERROR(CheckDevices(linux_part, rule));
  // kubelet gives every sandbox a system call filter. It is for the pause process, which no sandbox of ours has: the
  // secure processor starts guestd, and nothing of this process runs.
  RETURN_IF_ERROR(RefuseText(linux_part, "mountLabel", rule + ".mountLabel", "policy.security-label"));
  ASSIGN_OR_RETURN(const Namespaces found, ReadNamespaces(linux_part, rule));
  RETURN_IF_ERROR(MustBeNew(found, "pid", rule));
  RETURN_IF_ERROR(MustBeNew(found, "ipc", rule));
  RETURN_IF_ERROR(MustBeNew(found, "mount", rule));
  const bool own_network = found.contains("network");  // its path is the one that the network plugin made
  if (own_network == pod.host_network) {
    return Differs("policy.namespace", "pod.namespaces[network]",
                   pod.host_network ? "the host's network" : "a network of its own",
                   own_network ? "one of its own" : "the host's");
  }
  if (!pod.host_network) RETURN_IF_ERROR(MustBeNew(found, "uts", rule));
  return RefuseOthers(found, {"mount", "pid", "ipc", "uts", "network", "cgroup"}, rule);
}

}  // namespace ccgpu::policy::internal
