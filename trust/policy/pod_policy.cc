#include "trust/policy/pod_policy.h"

#include <algorithm>
#include <set>

#include "base/yaml.h"
#include "trust/policy/paths.h"

namespace ccgpu::policy {
namespace {

constexpr int64_t kMaxId = 0xfffffffe;  // -1 is no id

bool IsDigest(std::string_view text) {
  return text.size() == 71 && text.starts_with("sha256:") &&
         text.find_first_not_of("0123456789abcdef", 7) == std::string_view::npos;
}

uint32_t Unsigned(YamlMap& map, const std::string& key, int64_t fallback, int64_t most) {
  const int64_t value = map.Int(key, false, fallback);
  if (value < 0 || value > most) {
    map.Fail("input.bad-value", key, "must be between 0 and " + std::to_string(most));
    return 0;
  }
  return static_cast<uint32_t>(value);
}

// A list of argument vectors; YamlMap has no list of lists.
std::vector<std::vector<std::string>> ArgumentVectors(YamlMap& map, const std::string& key) {
  std::vector<std::vector<std::string>> out;
  const YAML::Node node = map.Raw(key);
  if (!node.IsDefined()) return out;
  auto refuse = [&] {
    map.Fail("input.bad-yaml", key, "must be a list of commands, each a list of strings: [[cat, /proc/meminfo]]");
  };
  if (!node.IsSequence()) {
    refuse();
    return out;
  }
  for (const auto& item : node) {
    std::vector<std::string> argv;
    bool fits = item.IsSequence() && item.size() > 0;
    if (fits) {
      for (const auto& word : item) {
        fits = fits && word.IsScalar();
        if (word.IsScalar()) argv.push_back(word.Scalar());
      }
    }
    if (!fits) {
      refuse();
      return {};
    }
    out.push_back(std::move(argv));
  }
  return out;
}

struct SourceName {
  const char* name;
  MountPolicy::Source source;
  bool names_volume;
};
constexpr SourceName kSources[] = {
    {"emptyDir", MountPolicy::Source::kEmptyDir, true},
    {"hostPath", MountPolicy::Source::kHostPath, false},
    {"imageVolume", MountPolicy::Source::kImageVolume, false},
    {"configMap", MountPolicy::Source::kConfigMap, true},
    {"secret", MountPolicy::Source::kSecret, true},
    {"projected", MountPolicy::Source::kProjected, true},
    {"downwardAPI", MountPolicy::Source::kDownwardApi, true},
    {"persistentVolumeClaim", MountPolicy::Source::kPersistentVolumeClaim, true},
    {"serviceAccount", MountPolicy::Source::kServiceAccount, false},
};

MountPolicy ParseMount(YamlMap map) {
  MountPolicy mount;
  mount.destination = map.String("destination", true);
  if (!mount.destination.empty() && !IsNormalAbsolute(mount.destination)) {
    map.Fail("input.bad-value", "destination", "must be an absolute path without \".\", \"..\" or doubled slashes");
  }
  std::vector<std::string> names;
  for (const SourceName& one : kSources) names.emplace_back(one.name);
  const std::string source = map.OneOf("source", names, true, "emptyDir");
  const auto& row = *std::find_if(std::begin(kSources), std::end(kSources) - 1,
                                  [&](const SourceName& one) { return source == one.name; });
  mount.source = row.source;
  mount.read_only = map.Bool("readOnly");
  mount.sub_path = map.Bool("subPath");
  mount.volume = map.String("volume", row.names_volume);
  mount.path = map.String("path", source == "hostPath");
  if (!row.names_volume && map.Has("volume")) map.Fail("input.bad-value", "volume", "belongs to volumes of the pod");
  if (!row.names_volume && mount.sub_path) map.Fail("input.bad-value", "subPath", "belongs to volumes of the pod");
  if (source != "hostPath" && map.Has("path")) map.Fail("input.bad-value", "path", "belongs to source hostPath only");
  if (mount.volume.find('/') != std::string::npos)
    map.Fail("input.bad-value", "volume", "is a volume's name, not a path");
  if (!mount.path.empty() && !IsNormalAbsolute(mount.path))
    map.Fail("input.bad-value", "path", "must be an absolute, normal path");
  map.Done();
  return mount;
}

void ParseUser(YamlMap map, ContainerPolicy& container) {
  container.uid = Unsigned(map, "uid", 0, kMaxId);
  container.gid = Unsigned(map, "gid", 0, kMaxId);
  for (const std::string& text : map.Strings("additionalGids")) {
    char* end = nullptr;
    const unsigned long long gid = text.empty() || text[0] == '-' ? kMaxId + 1 : strtoull(text.c_str(), &end, 10);
    if (gid > static_cast<unsigned long long>(kMaxId) || end == nullptr || *end != '\0') {
      map.Fail("input.bad-value", "additionalGids", "\"" + text + "\" is not a group id");
      continue;
    }
    if (gid != container.gid) container.additional_gids.push_back(static_cast<uint32_t>(gid));
  }
  map.Done();
  std::sort(container.additional_gids.begin(), container.additional_gids.end());
  container.additional_gids.erase(std::unique(container.additional_gids.begin(), container.additional_gids.end()),
                                  container.additional_gids.end());
}

void ParseCapabilities(YamlMap& map, ContainerPolicy& container) {
  if (!map.Has("capabilities")) {
    container.capabilities = DefaultCapabilities();
    map.Strings("capabilities");
    return;
  }
  container.capabilities = map.Strings("capabilities");
  for (const std::string& capability : container.capabilities) {
    if (!capability.starts_with("CAP_") ||
        capability.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != std::string::npos) {
      map.Fail("input.bad-value", "capabilities",
               "\"" + capability + "\" is not a capability (CAP_...; \"ALL\" is not allowed here)");
    }
  }
  std::sort(container.capabilities.begin(), container.capabilities.end());
  container.capabilities.erase(std::unique(container.capabilities.begin(), container.capabilities.end()),
                               container.capabilities.end());
}

ContainerPolicy ParseContainer(YamlMap map) {
  ContainerPolicy container;
  container.name = map.String("name", true);
  if (container.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos) {
    map.Fail("input.bad-value", "name", "may hold a-z, 0-9 and \"-\" only");
  }
  container.init = map.Bool("init");
  container.restarts = map.OneOf("restartPolicy", {"", "Always"}) == "Always";
  container.image = map.String("image", true);
  container.rootfs_digest = map.String("rootfsDigest", true);
  if (!container.rootfs_digest.empty() && !IsDigest(container.rootfs_digest)) {
    map.Fail("input.bad-value", "rootfsDigest",
             "must be sha256: and 64 lower-case hex digits (`ccgpu policy generate` computes it)");
  }
  container.args = map.Strings("args", true);
  if (map.Has("args") && container.args.empty()) map.Fail("input.bad-value", "args", "must name a program");
  container.cwd = map.String("cwd", false, "/");
  if (!IsNormalAbsolute(container.cwd)) map.Fail("input.bad-value", "cwd", "must be an absolute, normal path");
  container.env = map.StringMap("env");
  container.allowed_env_patterns = map.Strings("allowedEnv");
  for (const std::string& pattern : container.allowed_env_patterns) {
    const size_t equals = pattern.find('=');
    if (equals == 0 || equals == std::string::npos || pattern.find_first_of("*?") < equals) {
      map.Fail("input.bad-value", "allowedEnv", "\"" + pattern + "\" must be NAME=pattern with a plain name");
    }
  }
  container.pod_name_env = map.Strings("podNameEnv");
  for (const std::string& name : container.pod_name_env) {
    if (name.empty() || name.find('=') != std::string::npos || container.env.contains(name))
      map.Fail("input.bad-value", "podNameEnv", "\"" + name + "\" must be the name of a variable that is not in env");
  }
  ParseUser(map.Map("user"), container);
  ParseCapabilities(map, container);
  container.no_new_privileges = map.Bool("noNewPrivileges");
  container.readonly_rootfs = map.Bool("readOnlyRootFilesystem");
  container.terminal = map.Bool("terminal");
  std::set<std::string> destinations;
  for (YamlMap& mount : map.Maps("mounts")) {
    container.mounts.push_back(ParseMount(mount));
    if (!destinations.insert(container.mounts.back().destination).second)
      mount.Fail("input.bad-value", "destination", "stands twice");
  }
  container.gpus = Unsigned(map, "gpus", 0, 64);
  container.allowed_exec = ArgumentVectors(map, "allowedExec");
  map.Done();
  return container;
}

}  // namespace

const std::vector<std::string>& DefaultCapabilities() {
  static const std::vector<std::string> kDefault = {
      "CAP_AUDIT_WRITE", "CAP_CHOWN",   "CAP_DAC_OVERRIDE",     "CAP_FOWNER",    "CAP_FSETID",
      "CAP_KILL",        "CAP_MKNOD",   "CAP_NET_BIND_SERVICE", "CAP_NET_RAW",   "CAP_SETFCAP",
      "CAP_SETGID",      "CAP_SETPCAP", "CAP_SETUID",           "CAP_SYS_CHROOT"};
  return kDefault;
}

const ContainerPolicy* PodPolicy::Find(std::string_view name) const {
  for (const ContainerPolicy& container : containers) {
    if (container.name == name) return &container;
  }
  return nullptr;
}

bool FitsPodName(const PodPolicy& policy, std::string_view name) {
  if (policy.generate_name.empty()) return !name.empty() && name == policy.pod_name;
  if (name.size() > 253 || !name.starts_with(policy.generate_name)) return false;
  const std::string_view rest = name.substr(policy.generate_name.size());
  return !rest.empty() && rest.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

std::string HostnameOf(std::string_view pod_name) {
  std::string out(pod_name.substr(0, 63));
  if (pod_name.size() > 63) out.erase(out.find_last_not_of("-.") + 1);
  return out;
}

Result<PodPolicy> ParsePodPolicy(const std::string& yaml, const std::string& file) {
  ASSIGN_OR_RETURN(YamlDocument document, YamlDocument::OfKind("PodPolicy", yaml, file));
  PodPolicy policy;
  YamlMap metadata = document->Map("metadata", true);
  policy.generate_name = metadata.String("generateName");
  policy.pod_name = metadata.String("name", policy.generate_name.empty());
  if (!policy.generate_name.empty() && !policy.pod_name.empty())
    metadata.Fail("input.bad-value", "generateName", "may not stand beside name: a policy is for one or the other");
  if (policy.generate_name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") != std::string::npos)
    metadata.Fail("input.bad-value", "generateName", "may hold a-z, 0-9, \"-\" and \".\" only");
  policy.pod_namespace = metadata.String("namespace", false, "default");
  metadata.Done();
  YamlMap spec = document->Map("spec", true);
  policy.hostname = spec.String("hostname");
  policy.restart_policy = spec.OneOf("restartPolicy", {"Never", "OnFailure", "Always"}, false, "Never");
  policy.host_network = spec.Bool("hostNetwork");
  policy.share_process_namespace = spec.Bool("shareProcessNamespace");
  policy.kubernetes_env = spec.Bool("kubernetesEnv");
  policy.sysctls = spec.StringMap("sysctls");
  YamlMap gpus = spec.Map("gpus");
  policy.gpus.count = Unsigned(gpus, "count", 0, 64);
  policy.gpus.mode = gpus.OneOf("mode", {"off", "devtools", "apm", "hopper-cc"}, false, "hopper-cc");
  policy.gpus.allow_set_ready = gpus.Bool("allowSetReady");
  gpus.Done();
  bool main_seen = false;
  uint32_t used = 0;
  std::set<std::string> names;
  for (YamlMap& map : spec.Maps("containers", true)) {
    ContainerPolicy container = ParseContainer(map);
    if (!names.insert(container.name).second) map.Fail("input.bad-value", "name", "stands twice");
    if (container.init && main_seen)
      map.Fail("input.bad-value", "init", "init containers must stand before the others");
    main_seen = main_seen || !container.init;
    used = std::max(used, container.gpus);
    if (container.gpus > policy.gpus.count) map.Fail("input.bad-value", "gpus", "is more than spec.gpus.count");
    if (policy.generate_name.empty() && !container.pod_name_env.empty())
      map.Fail("input.bad-value", "podNameEnv",
               "belongs to policies with metadata.generateName: env can hold the name");
    policy.containers.push_back(std::move(container));
  }
  if (spec.errors().empty() && !main_seen)
    spec.Fail("input.bad-value", "containers", "must name at least one container that is not init");
  if (spec.errors().empty() && policy.gpus.count > 0 && used == 0)
    spec.Fail("input.bad-value", "gpus", "no container may use the GPUs that the pod holds");
  spec.Done();
  RETURN_IF_ERROR(document.Done());
  return policy;
}

}  // namespace ccgpu::policy
