#include <algorithm>
#include <set>

#include "trust/policy/paths.h"
#include "trust/policy/spec_check.h"

namespace ccgpu::policy::internal {
namespace {

// Written by the device plugin to say which GPUs a container holds; guestd takes no word of it, so only the alphabet is
// checked.
bool IsGpuMarker(const std::string& name, const std::string& value) {
  return (name == "CCGPU_VISIBLE_DEVICES" || name == "CCGPU_GPU_UUIDS") &&
         value.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789,-_.=/") ==
             std::string::npos;
}

// Digits, or an address as kubelet writes it; what may stand where a shell or a parser of URLs reads it.
bool IsOf(std::string_view text, std::string_view alphabet) {
  return !text.empty() && text.size() <= 128 && text.find_first_not_of(alphabet) == std::string_view::npos;
}

// What kubelet puts into every container about the Service "kubernetes".
bool IsKubernetesVariable(const std::string& name, const std::string& value) {
  constexpr std::string_view kPort = "0123456789", kAddress = "0123456789abcdef.:";
  if (name == "KUBERNETES_SERVICE_HOST") return IsOf(value, kAddress);
  if (name == "KUBERNETES_SERVICE_PORT" || name == "KUBERNETES_SERVICE_PORT_HTTPS") return IsOf(value, kPort);
  const auto is_url = [&] { return value.starts_with("tcp://") && IsOf(value.substr(6), "0123456789abcdef.:[]"); };
  if (name == "KUBERNETES_PORT") return is_url();
  if (!name.starts_with("KUBERNETES_PORT_")) return false;
  const size_t tcp = name.find("_TCP", 16);
  if (tcp == std::string::npos || !IsOf(name.substr(16, tcp - 16), kPort)) return false;
  const std::string rest = name.substr(tcp + 4);
  if (rest.empty()) return is_url();
  if (rest == "_PROTO") return value == "tcp";
  if (rest == "_PORT") return IsOf(value, kPort);
  return rest == "_ADDR" && IsOf(value, kAddress);
}

bool Allowed(const PodPolicy& pod, const ContainerPolicy& policy, const std::string& name, const std::string& value,
             bool exec_terminal) {
  if (pod.kubernetes_env && IsKubernetesVariable(name, value)) return true;
  if (exec_terminal && name == "TERM" && value == "xterm") return true;
  if (policy.gpus > 0 && IsGpuMarker(name, value)) return true;
  const std::string whole = name + "=" + value;
  return std::any_of(policy.allowed_env_patterns.begin(), policy.allowed_env_patterns.end(),
                     [&](const std::string& pattern) { return GlobMatch(pattern, whole); });
}

Status CheckEnv(const PodPolicy& pod, const ContainerPolicy& policy, const Json& process, const std::string& rule,
                bool exec_terminal) {
  ASSIGN_OR_RETURN(const std::vector<std::string> env, Strings(process, "env", "process"));
  // CRI appends the container's variables to the image's without removing doubles; runc uses the last of a name.
  std::map<std::string, std::string> last;
  for (const std::string& item : env) {
    const size_t equals = item.find('=');
    if (equals == 0 || equals == std::string::npos)
      return Err("policy.env", rule + ".env", "found " + Show(item) + ", which is not NAME=value");
    last[item.substr(0, equals)] = item.substr(equals + 1);
  }
  for (const auto& [name, value] : last) {
    const std::string subject = rule + ".env[" + Show(name).substr(1, std::min<size_t>(name.size(), 80)) + "]";
    const auto wanted = policy.env.find(name);
    if (wanted != policy.env.end() && wanted->second == value) continue;
    if (Allowed(pod, policy, name, value, exec_terminal)) continue;
    if (std::find(policy.pod_name_env.begin(), policy.pod_name_env.end(), name) != policy.pod_name_env.end()) {
      if (FitsPodName(pod, value)) continue;
      return Differs("policy.env", subject, NameWanted(pod), Show(value));
    }
    if (wanted != policy.env.end()) return Differs("policy.env", subject, Show(wanted->second), Show(value));
    return Differs("policy.env", subject, "no variable of this name", Show(value));
  }
  for (const auto& [name, value] : policy.env) {
    if (!last.contains(name))
      return Differs("policy.env", rule + ".env[" + name + "]", Show(value), "no variable of this name");
  }
  for (const std::string& name : policy.pod_name_env) {
    if (!last.contains(name))
      return Differs("policy.env", rule + ".env[" + name + "]", NameWanted(pod), "no variable of this name");
  }
  return Ok();
}

Status CheckUser(const ContainerPolicy& policy, const Json& process, const std::string& rule) {
  ASSIGN_OR_RETURN(const Json user, Object(process, "user", "process"));
  RETURN_IF_ERROR(OnlyKnown(user, {"uid", "gid", "additionalGids"}, "process.user"));
  ASSIGN_OR_RETURN(const uint64_t uid, Number(user, "uid", "process.user"));
  ASSIGN_OR_RETURN(const uint64_t gid, Number(user, "gid", "process.user"));
  if (uid != policy.uid)
    return Differs("policy.user", rule + ".user.uid", std::to_string(policy.uid), std::to_string(uid));
  if (gid != policy.gid)
    return Differs("policy.user", rule + ".user.gid", std::to_string(policy.gid), std::to_string(gid));
  ASSIGN_OR_RETURN(const Json groups, List(user, "additionalGids", "process.user"));
  std::set<uint64_t> found, expected(policy.additional_gids.begin(), policy.additional_gids.end());
  for (const Json& group : groups) {
    if (!group.is_number_unsigned()) return Err("policy.bad-spec", "process.user.additionalGids", "must hold numbers");
    found.insert(group.get<uint64_t>());
  }
  found.erase(policy.gid);  // containerd lists the primary group among them, others do not: it gives no more rights
  expected.erase(policy.gid);
  if (found != expected)
    return Differs("policy.user", rule + ".user.additionalGids", Show(Json(expected)), Show(Json(found)));
  return Ok();
}

Status CheckCapabilities(const ContainerPolicy& policy, const Json& process, const std::string& rule) {
  ASSIGN_OR_RETURN(const Json sets, Object(process, "capabilities", "process"));
  RETURN_IF_ERROR(
      OnlyKnown(sets, {"bounding", "effective", "permitted", "inheritable", "ambient"}, "process.capabilities"));
  const std::set<std::string> allowed(policy.capabilities.begin(), policy.capabilities.end());
  for (const char* name : {"bounding", "effective", "permitted", "inheritable", "ambient"}) {
    ASSIGN_OR_RETURN(const std::vector<std::string> list, Strings(sets, name, "process.capabilities"));
    const std::set<std::string> found(list.begin(), list.end());
    const bool inherited = std::string_view(name) == "inheritable" || std::string_view(name) == "ambient";
    const std::string subject = rule + ".capabilities";
    for (const std::string& capability : found) {
      if (inherited || !allowed.contains(capability)) {
        return Differs("policy.capability", subject, std::string("no such capability in the ") + name + " set",
                       Show(capability));
      }
    }
    if (inherited) continue;
    for (const std::string& capability : allowed) {
      if (!found.contains(capability))
        return Differs("policy.capability", subject, capability + " in the " + name + " set", "none");
    }
  }
  return Ok();
}

}  // namespace

Status CheckArgs(const ContainerPolicy& policy, const Json& process, const std::string& rule) {
  ASSIGN_OR_RETURN(const std::vector<std::string> args, Strings(process, "args", "process"));
  for (size_t i = 0; i < std::max(args.size(), policy.args.size()); ++i) {
    if (i < args.size() && i < policy.args.size() && args[i] == policy.args[i]) continue;
    return Differs("policy.command", rule + ".args[" + std::to_string(i) + "]",
                   i < policy.args.size() ? Show(policy.args[i]) : "nothing more",
                   i < args.size() ? Show(args[i]) : "nothing more");
  }
  return Ok();
}

Status CheckProcess(const PodPolicy& pod, const ContainerPolicy& policy, const Json& process, const std::string& rule,
                    bool exec) {
  RETURN_IF_ERROR(OnlyKnown(process,
                            {"terminal", "consoleSize", "user", "args", "env", "cwd", "capabilities", "rlimits",
                             "noNewPrivileges", "apparmorProfile", "oomScoreAdj", "selinuxLabel"},
                            "process"));
  ASSIGN_OR_RETURN(const std::string cwd, Text(process, "cwd", "process"));
  if (cwd != policy.cwd) return Differs("policy.cwd", rule + ".cwd", Show(policy.cwd), Show(cwd));
  ASSIGN_OR_RETURN(const bool terminal, Flag(process, "terminal", "process"));
  if (!exec && terminal != policy.terminal) {
    return Differs("policy.terminal", rule + ".terminal", policy.terminal ? "a terminal" : "no terminal",
                   terminal ? "a terminal" : "none");
  }
  RETURN_IF_ERROR(CheckEnv(pod, policy, process, rule, exec && terminal));
  RETURN_IF_ERROR(CheckUser(policy, process, rule));
  RETURN_IF_ERROR(CheckCapabilities(policy, process, rule));
  ASSIGN_OR_RETURN(const bool no_new_privileges, Flag(process, "noNewPrivileges", "process"));
  if (no_new_privileges != policy.no_new_privileges) {
    return Differs("policy.privilege", rule + ".noNewPrivileges", policy.no_new_privileges ? "true" : "false",
                   no_new_privileges ? "true" : "false");
  }
  ASSIGN_OR_RETURN(const Json limits, List(process, "rlimits", "process"));
  if (!limits.empty()) return Differs("policy.rlimit", rule + ".rlimits", "no limit set by the host", Show(limits));
  ASSIGN_OR_RETURN(const std::string profile, Text(process, "apparmorProfile", "process"));
  if (!profile.empty() && profile != "cri-containerd.apparmor.d") {
    return Differs("policy.security-label", rule + ".apparmorProfile", "none or containerd's default", Show(profile));
  }
  ASSIGN_OR_RETURN(const std::string label, Text(process, "selinuxLabel", "process"));
  if (!label.empty()) return Differs("policy.security-label", rule + ".selinuxLabel", "none", Show(label));
  return Ok();
}

}  // namespace ccgpu::policy::internal
