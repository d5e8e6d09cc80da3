// A PodPolicy in plain words, and what a careful reader would ask about it.
#include <algorithm>

#include "cli/policy_commands.h"

namespace ccgpu::cli {
namespace {

using policy::ContainerPolicy;
using policy::MountPolicy;

std::string Join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words)
    out += (out.empty() ? "" : " ") +
           (word.find_first_of(" \"") == std::string::npos && !word.empty() ? word : "'" + word + "'");
  return out;
}

std::string CapabilityWords(const ContainerPolicy& container) {
  if (container.capabilities.empty()) return "no capabilities";
  if (container.capabilities == policy::DefaultCapabilities()) return "the usual 14 capabilities";
  std::string more, less;
  const auto& usual = policy::DefaultCapabilities();
  for (const std::string& c : container.capabilities) {
    if (std::find(usual.begin(), usual.end(), c) == usual.end()) more += " +" + c;
  }
  for (const std::string& c : usual) {
    if (std::find(container.capabilities.begin(), container.capabilities.end(), c) == container.capabilities.end())
      less += " -" + c;
  }
  return "the usual capabilities with" + more + less;
}

constexpr const char* kUnchecked = ", whose content nobody checks";

std::string MountWords(const MountPolicy& mount) {
  std::string out = mount.destination + " (";
  switch (mount.source) {
    case MountPolicy::Source::kEmptyDir: out += "the pod's empty volume " + mount.volume; break;
    case MountPolicy::Source::kHostPath: out += "the host's " + mount.path + ", whose content nobody checks"; break;
    case MountPolicy::Source::kImageVolume: out += "a volume of the image"; break;
    case MountPolicy::Source::kConfigMap: out += "the cluster's ConfigMap volume " + mount.volume + kUnchecked; break;
    case MountPolicy::Source::kSecret: out += "the cluster's Secret volume " + mount.volume + kUnchecked; break;
    case MountPolicy::Source::kProjected: out += "the cluster's projected volume " + mount.volume + kUnchecked; break;
    case MountPolicy::Source::kDownwardApi:
      out += "the cluster's downward API volume " + mount.volume + kUnchecked;
      break;
    case MountPolicy::Source::kPersistentVolumeClaim:
      out += "the cluster's persistent volume " + mount.volume + kUnchecked;
      break;
    case MountPolicy::Source::kServiceAccount: out += "the service account's token for the cluster's API"; break;
  }
  if (mount.sub_path) out += ", a part of it that the host chooses";
  return out + (mount.read_only ? ", read-only)" : ")");
}

void ExplainContainer(const ContainerPolicy& container, std::vector<std::string>& out) {
  const std::string who = (container.init ? "Init container " : "Container ") + container.name;
  out.push_back(who + " runs `" + Join(container.args) + "` in " + container.cwd + ", from " + container.image +
                " with exactly the files of " + container.rootfs_digest.substr(0, 19) + "...");
  out.push_back("  as user " + std::to_string(container.uid) + ", group " + std::to_string(container.gid) + ", with " +
                CapabilityWords(container) + (container.no_new_privileges ? ", and can gain no more" : "") +
                (container.readonly_rootfs ? ", on a read-only root" : ""));
  std::string names;
  for (const auto& [name, value] : container.env) names += (names.empty() ? "" : ", ") + name;
  out.push_back("  with exactly these variables: " + (names.empty() ? "none" : names));
  for (const std::string& pattern : container.allowed_env_patterns)
    out.push_back("  and any variable that looks like " + pattern);
  for (const std::string& name : container.pod_name_env) out.push_back("  and " + name + " with the pod's name");
  if (container.restarts) out.push_back("  and may be started again at any time");
  for (const MountPolicy& mount : container.mounts) out.push_back("  mounts " + MountWords(mount));
  if (container.gpus > 0) out.push_back("  holds " + std::to_string(container.gpus) + " GPU(s)");
  if (container.allowed_exec.empty()) out.push_back("  nobody may run another command in it");
  for (const auto& argv : container.allowed_exec) out.push_back("  `" + Join(argv) + "` may be run in it");
}

}  // namespace

std::vector<std::string> Explain(const policy::PodPolicy& policy) {
  std::vector<std::string> out;
  out.push_back((policy.generate_name.empty()
                     ? "Pod " + policy.pod_namespace + "/" + policy.pod_name
                     : "Each pod of " + policy.pod_namespace + " whose name begins with " + policy.generate_name) +
                " may run " + std::to_string(policy.containers.size()) + " container(s), " +
                (policy.restart_policy == "Never" ? "each of them once."
                                                  : "restarted as restartPolicy " + policy.restart_policy + " says."));
  if (policy.gpus.count == 0) out.push_back("It holds no GPU; a sandbox with one attached is refused.");
  else
    out.push_back("It holds exactly " + std::to_string(policy.gpus.count) + " GPU(s) in mode " + policy.gpus.mode +
                  "; with fewer, more or another mode it does not start.");
  if (policy.gpus.allow_set_ready)
    out.push_back("Its containers may unlock the GPU themselves, without the agent's verification.");
  out.push_back(policy.host_network ? "It uses the host's network." : "It has a network of its own.");
  if (policy.kubernetes_env)
    out.push_back("The host tells its containers where the cluster's API is (KUBERNETES_... variables).");
  for (const auto& [name, value] : policy.sysctls) out.push_back("Kernel setting " + name + " = " + value + ".");
  for (const ContainerPolicy& container : policy.containers) ExplainContainer(container, out);
  out.push_back(
      "Refused: every other container, image content, command, argument, variable (added or missing), user, group, "
      "capability, mount, device, "
      "namespace, hook, system call filter, kernel setting, GPU count or mode, and exec.");
  return out;
}

std::vector<Finding> Lint(const policy::PodPolicy& policy) {
  std::vector<Finding> out;
  const auto add = [&](const char* code, std::string subject, std::string text) {
    out.push_back({code, std::move(subject), std::move(text)});
  };
  if (!policy.generate_name.empty() && policy.generate_name.size() < 4)
    add("lint.short-prefix", "metadata.generateName", "\"" + policy.generate_name + "\" fits many names");
  if (policy.host_network)
    add("lint.host-network", "spec.hostNetwork",
        "the pod shares the host's network: anybody there can talk to its agent");
  if (policy.gpus.count > 0 && policy.gpus.mode == "off")
    add("lint.gpu-mode", "spec.gpus.mode", "\"off\": what crosses the link is readable by the host");
  if (policy.gpus.mode == "devtools")
    add("lint.gpu-mode", "spec.gpus.mode", "\"devtools\": the device can be debugged");
  if (policy.gpus.allow_set_ready)
    add("lint.set-ready", "spec.gpus.allowSetReady", "a container may unlock the GPU without a verification");
  if (!policy.sysctls.empty())
    add("lint.sysctl", "spec.sysctls", "kernel settings are part of the policy: are they all needed?");
  for (const ContainerPolicy& c : policy.containers) {
    const std::string at = "containers[" + c.name + "]";
    if (!c.allowed_exec.empty())
      add("lint.exec", at + ".allowedExec", "somebody outside may run commands in the container");
    for (const auto& argv : c.allowed_exec) {
      const std::string program = argv[0].substr(argv[0].rfind('/') + 1);
      if (program == "sh" || program == "bash" || program == "busybox" || program == "env" || program == "python3") {
        add("lint.exec-shell", at + ".allowedExec",
            "`" + Join(argv) + "` is a shell or interpreter" + (argv.size() == 1 ? ": it lets everything be run" : ""));
      }
    }
    for (const std::string& pattern : c.allowed_env_patterns) {
      if (pattern.ends_with("=*"))
        add("lint.env-wildcard", at + ".allowedEnv", pattern + " lets the host choose any value");
      const std::string name = pattern.substr(0, pattern.find('='));
      if (name == "PATH" || name.starts_with("LD_"))
        add("lint.env-dangerous", at + ".allowedEnv", name + " decides which code runs");
    }
    for (const MountPolicy& mount : c.mounts) {
      if (mount.source == MountPolicy::Source::kHostPath)
        add("lint.host-path", at + ".mounts[" + mount.destination + "]",
            "its content comes from the host and goes to the host");
      if (mount.source == MountPolicy::Source::kPersistentVolumeClaim)
        add("lint.persistent-volume", at + ".mounts[" + mount.destination + "]",
            "a disk of the cluster's, which the host can read and change: encrypt what lies there");
      if (mount.source == MountPolicy::Source::kSecret)
        add("lint.cluster-secret", at + ".mounts[" + mount.destination + "]",
            "a Kubernetes Secret passes through the host: take secrets from the agent");
      if (mount.source == MountPolicy::Source::kServiceAccount)
        add("lint.service-account", at + ".mounts[" + mount.destination + "]",
            "whoever holds the host can use the pod's token, and answer in the API server's place");
    }
    for (const std::string& capability : c.capabilities) {
      if (capability == "CAP_SYS_ADMIN" || capability == "CAP_SYS_MODULE" || capability == "CAP_SYS_PTRACE" ||
          capability == "CAP_SYS_RAWIO") {
        add("lint.capability", at + ".capabilities", capability + " opens much more than its name says");
      }
    }
    if (c.image.find('@') == std::string::npos && c.image.ends_with(":latest")) {
      add("lint.image-tag", at + ".image",
          "the name may mean other files tomorrow; the policy then refuses them (rootfsDigest)");
    }
  }
  return out;
}

}  // namespace ccgpu::cli
