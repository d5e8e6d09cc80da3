#include <algorithm>
#include <set>

#include "trust/policy/paths.h"
#include "trust/policy/spec_check.h"

namespace ccgpu::policy::internal {
namespace {

struct Mount {
  std::string destination, type, source;
  std::set<std::string> options;
};

// File systems that CRI mounts into every container, with exactly these options.
struct SystemMount {
  const char* destination;
  const char* type;
  bool required;
  std::set<std::string> options;
};
const std::vector<SystemMount>& SystemMounts() {
  static const std::vector<SystemMount> kMounts = {
      {"/proc", "proc", true, {"nosuid", "noexec", "nodev"}},
      {"/dev", "tmpfs", true, {"nosuid", "strictatime", "mode=755", "size=65536k"}},
      {"/dev/pts", "devpts", true, {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
      {"/dev/mqueue", "mqueue", true, {"nosuid", "noexec", "nodev"}},
      {"/sys", "sysfs", true, {"nosuid", "noexec", "nodev", "ro"}},
      {"/sys/fs/cgroup", "cgroup", false, {"nosuid", "noexec", "nodev", "relatime", "ro"}},
  };
  return kMounts;
}

// Files that CRI or kubelet bind over those of the image; the patterns are all the ways in which they name the source.
struct SystemFile {
  const char* destination;
  std::vector<const char*> sources;
};
const std::vector<SystemFile>& SystemFiles() {
  static const std::vector<SystemFile> kFiles = {
      {"/etc/hosts", {"*/sandboxes/*/hosts", "*/pods/*/etc-hosts"}}, {"/etc/hostname", {"*/sandboxes/*/hostname"}},
      {"/etc/resolv.conf", {"*/sandboxes/*/resolv.conf"}},           {"/dev/shm", {"*/sandboxes/*/shm"}},
      {"/dev/termination-log", {"*/pods/*/containers/*"}},
  };
  return kFiles;
}

std::string Join(const std::set<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ",") + word;
  return out;
}

Result<Mount> ReadMount(const Json& json, const std::string& where) {
  if (!json.is_object()) return Err("policy.bad-spec", where, "a mount is an object");
  RETURN_IF_ERROR(OnlyKnown(json, {"destination", "type", "source", "options"}, where));
  Mount mount;
  ASSIGN_OR_RETURN(mount.destination, Text(json, "destination", where));
  ASSIGN_OR_RETURN(mount.type, Text(json, "type", where));
  ASSIGN_OR_RETURN(mount.source, Text(json, "source", where));
  ASSIGN_OR_RETURN(const std::vector<std::string> options, Strings(json, "options", where));
  mount.options.insert(options.begin(), options.end());
  return mount;
}

// The options of a bind: what kind, private propagation, read-only or not, nothing that takes rights away is refused.
Status CheckBindOptions(const Mount& mount, const std::string& subject, bool* read_only) {
  static const std::set<std::string> kKnown = {"bind", "rbind",  "rprivate", "private", "ro",
                                               "rw",   "nosuid", "nodev",    "noexec"};
  for (const std::string& option : mount.options) {
    if (!kKnown.contains(option))
      return Differs("policy.mount", subject + ".options", "only bind, private, ro/rw, nosuid, nodev, noexec",
                     Show(option));
  }
  if (mount.type != "bind" && !mount.type.empty())
    return Differs("policy.mount", subject + ".type", "\"bind\"", Show(mount.type));
  if (!mount.options.contains("bind") && !mount.options.contains("rbind")) {
    return Differs("policy.mount", subject + ".options", "bind or rbind", Show(Join(mount.options)));
  }
  *read_only = mount.options.contains("ro");
  if (*read_only && mount.options.contains("rw"))
    return Differs("policy.mount", subject + ".options", "ro or rw", "both");
  if (!IsNormalAbsolute(mount.source))
    return Differs("policy.mount", subject + ".source", "an absolute path without \"..\"", Show(mount.source));
  return Ok();
}

// .../pods/UID/volume-subpaths/VOLUME/CONTAINER/INDEX
Status CheckSubPath(const std::string& volume, const Mount& mount, const std::string& subject) {
  if (GlobMatch("*/pods/*/volume-subpaths/" + volume + "/*/*", mount.source)) return Ok();
  return Differs("policy.mount", subject + ".subPath", "a part of the pod's volume that kubelet looked up",
                 Show(mount.source));
}

// A volume of the pod: kubelet's .../volumes/kubernetes.io~PLUGIN/NAME, ccgpu-node's .../POD.volumes/NAME.
Status CheckVolume(const MountPolicy& policy, const Mount& mount, const char* kind, const char* plugin,
                   const std::string& subject) {
  if (policy.sub_path) return CheckSubPath(policy.volume, mount, subject);
  const size_t slash = mount.source.rfind('/');
  const std::string folder = mount.source.substr(0, slash);
  const bool node = policy.source == MountPolicy::Source::kEmptyDir && folder.ends_with(".volumes");
  if (mount.source.substr(slash + 1) == policy.volume && (node || folder.ends_with(plugin))) return Ok();
  return Differs("policy.mount", subject + ".volume",
                 std::string("the pod's ") + kind + " volume " + Show(policy.volume), Show(mount.source));
}

Status CheckUserMount(const MountPolicy& policy, const Mount& mount, const std::string& subject) {
  bool read_only = false;
  RETURN_IF_ERROR(CheckBindOptions(mount, subject, &read_only));
  if (read_only != policy.read_only) {
    return Differs("policy.mount", subject + ".readOnly", policy.read_only ? "true" : "false",
                   read_only ? "true" : "false");
  }
  switch (policy.source) {
    case MountPolicy::Source::kHostPath:
      if (mount.source != policy.path)
        return Differs("policy.mount", subject + ".path", Show(policy.path), Show(mount.source));
      return Ok();
    case MountPolicy::Source::kEmptyDir: return CheckVolume(policy, mount, "emptyDir", "empty-dir", subject);
    case MountPolicy::Source::kConfigMap: return CheckVolume(policy, mount, "configMap", "configmap", subject);
    case MountPolicy::Source::kSecret: return CheckVolume(policy, mount, "secret", "secret", subject);
    case MountPolicy::Source::kProjected: return CheckVolume(policy, mount, "projected", "projected", subject);
    case MountPolicy::Source::kDownwardApi: return CheckVolume(policy, mount, "downwardAPI", "downward-api", subject);
    case MountPolicy::Source::kPersistentVolumeClaim:
      // The folder is named after the cluster's volume, which nobody knows beforehand.
      if (!policy.sub_path && !GlobMatch("*/pods/*/volumes/kubernetes.io~*/*", mount.source)) {
        return Differs("policy.mount", subject + ".source", "a persistent volume that kubelet mounted for the pod",
                       Show(mount.source));
      }
      return policy.sub_path ? CheckSubPath("*", mount, subject) : Ok();
    case MountPolicy::Source::kServiceAccount:
      if (!GlobMatch("*/pods/*/volumes/kubernetes.io~projected/kube-api-access-?????", mount.source)) {
        return Differs("policy.mount", subject + ".source", "kubelet's volume with the service account's token",
                       Show(mount.source));
      }
      return Ok();
    case MountPolicy::Source::kImageVolume:
      if (!GlobMatch("*/containers/*/volumes/*", mount.source)) {
        return Differs("policy.mount", subject + ".source", "a volume that containerd made from the image",
                       Show(mount.source));
      }
      return Ok();
  }
  return Err("policy.mount", subject, "has a kind of source that this program does not know");
}

Status CheckSystemMount(const SystemMount& expected, const Mount& mount, const std::string& subject) {
  if (mount.type != expected.type)
    return Differs("policy.mount", subject + ".type", Show(expected.type), Show(mount.type));
  if (mount.options != expected.options) {
    return Differs("policy.mount", subject + ".options", Join(expected.options), Show(Join(mount.options)));
  }
  if (!mount.source.empty() && mount.source.find('/') != std::string::npos) {
    return Differs("policy.mount", subject + ".source", Show(expected.type), Show(mount.source));
  }
  return Ok();
}

Status CheckOne(const ContainerPolicy& policy, const Mount& mount, const std::string& rule) {
  const std::string subject = rule + ".mounts[" + mount.destination.substr(0, 120) + "]";
  for (const MountPolicy& wanted : policy.mounts) {
    if (wanted.destination == mount.destination) return CheckUserMount(wanted, mount, subject);
  }
  for (const SystemMount& system : SystemMounts()) {
    if (system.destination == mount.destination) return CheckSystemMount(system, mount, subject);
  }
  for (const SystemFile& file : SystemFiles()) {
    if (file.destination != mount.destination) continue;
    bool read_only = false;
    RETURN_IF_ERROR(CheckBindOptions(mount, subject, &read_only));
    const bool fits = std::any_of(file.sources.begin(), file.sources.end(),
                                  [&](const char* p) { return GlobMatch(p, mount.source); });
    if (!fits)
      return Differs("policy.mount", subject + ".source", std::string("CRI's own file (") + file.sources.front() + ")",
                     Show(mount.source));
    return Ok();
  }
  return Differs("policy.mount", subject, "no mount here", "one from " + Show(mount.source));
}

}  // namespace

Status CheckMounts(const ContainerPolicy& policy, const Json& spec, const std::string& rule) {
  ASSIGN_OR_RETURN(const Json list, List(spec, "mounts", "spec"));
  std::set<std::string> seen;
  for (size_t i = 0; i < list.size(); ++i) {
    ASSIGN_OR_RETURN(const Mount mount, ReadMount(list[i], "spec.mounts[" + std::to_string(i) + "]"));
    if (!IsNormalAbsolute(mount.destination)) {
      return Differs("policy.mount", rule + ".mounts", "an absolute destination without \"..\"",
                     Show(mount.destination));
    }
    if (!seen.insert(mount.destination).second) {
      return Differs("policy.mount", rule + ".mounts[" + mount.destination + "]", "one mount", "a second one over it");
    }
    RETURN_IF_ERROR(CheckOne(policy, mount, rule));
  }
  for (const MountPolicy& wanted : policy.mounts) {
    if (!seen.contains(wanted.destination))
      return Differs("policy.mount", rule + ".mounts[" + wanted.destination + "]", "a mount", "none");
  }
  for (const SystemMount& system : SystemMounts()) {
    if (system.required && !seen.contains(system.destination)) {
      return Differs("policy.mount", rule + ".mounts[" + system.destination + "]", "CRI's own mount", "none");
    }
  }
  return Ok();
}

}  // namespace ccgpu::policy::internal
