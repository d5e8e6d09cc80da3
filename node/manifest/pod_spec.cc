#include "node/manifest/pod_spec.h"

#include <set>

#include "base/yaml.h"
#include "node/manifest/container_fields.h"
#include "node/manifest/fields.h"
#include "node/manifest/pod_fields.h"
#include "node/manifest/quantity.h"

namespace ccgpu::node {
namespace {

// A field that tools write but that says nothing here: allowed with exactly this value.
void OnlyFalse(YamlMap& map, const char* key) {
  if (map.Bool(key))
    map.Fail("node.unsupported-field", key, "must not be true: neither ccgpu-node nor a policy can honour it");
}

}  // namespace

void ReadMetadata(YamlMap& root, PodSpec& pod) {
  YamlMap map = root.Map("metadata", true);
  OnlyHonoured(map, pod.kubernetes, {"name", "namespace", "labels", "annotations", "creationTimestamp"},
               {"generateName"});
  if (map.Has("creationTimestamp")) map.Fail("node.unsupported-field", "creationTimestamp", "must be empty");
  if (pod.kubernetes) pod.generate_name = map.String("generateName");
  pod.name = map.String("name", pod.generate_name.empty());
  if (!pod.name.empty()) pod.generate_name.clear();  // as the API server decides
  if (!pod.name.empty() && !IsDnsSubdomain(pod.name))
    map.Fail("input.bad-value", "name", "\"" + pod.name + "\" is not a DNS name (a-z, 0-9, -, .)");
  pod.pod_namespace = map.String("namespace", false, pod.pod_namespace.empty() ? "default" : pod.pod_namespace);
  if (!IsDnsLabel(pod.pod_namespace))
    map.Fail("input.bad-value", "namespace", "\"" + pod.pod_namespace + "\" is not a DNS label");
  ReadLabels(map, pod);
}

// What a template has too.
void ReadLabels(YamlMap& map, PodSpec& pod) {
  pod.labels = map.StringMap("labels");
  pod.annotations = map.StringMap("annotations");
  for (const auto& [key, value] : pod.labels) {
    if (key.starts_with("io.kubernetes.") || key.starts_with("ccgpu.dev/node-"))
      map.Fail("input.bad-value", "labels", key + " is reserved");
  }
}

namespace {

struct ClusterVolume {
  const char* field;
  Volume::Kind kind;
};
constexpr ClusterVolume kClusterVolumes[] = {
    {"configMap", Volume::Kind::kConfigMap},
    {"secret", Volume::Kind::kSecret},
    {"projected", Volume::Kind::kProjected},
    {"downwardAPI", Volume::Kind::kDownwardApi},
    {"persistentVolumeClaim", Volume::Kind::kPersistentVolumeClaim},
    {"ephemeral", Volume::Kind::kPersistentVolumeClaim},
};

// What is in such a volume is the cluster's business; nothing of it is read.
bool ReadClusterVolume(YamlMap& map, Volume& out) {
  int found = 0;
  for (const ClusterVolume& one : kClusterVolumes) {
    if (!map.Has(one.field)) continue;
    map.Raw(one.field);
    out.kind = one.kind;
    ++found;
  }
  if (found > 1 || (found == 1 && (map.Has("emptyDir") || map.Has("hostPath"))))
    map.Fail("input.bad-value", "name", "a volume has exactly one kind");
  return found > 0;
}

Volume ReadVolume(YamlMap& map, bool kubernetes) {
  OnlyHonoured(map, kubernetes, {"name", "emptyDir", "hostPath"},
               {"configMap", "secret", "projected", "downwardAPI", "persistentVolumeClaim", "ephemeral"});
  Volume out;
  out.name = map.String("name", true);
  if (!out.name.empty() && !IsDnsLabel(out.name))
    map.Fail("input.bad-value", "name", "\"" + out.name + "\" is not a DNS label");
  if (kubernetes && ReadClusterVolume(map, out)) return out;
  const bool empty_dir = map.node().IsMap() && map.node()["emptyDir"].IsDefined();
  if (empty_dir == map.Has("hostPath")) {
    map.Fail("input.bad-value", "name", "a volume has exactly one of emptyDir and hostPath");
  } else if (empty_dir) {
    YamlMap dir = map.Map("emptyDir");
    OnlyHonoured(dir, {"medium", "sizeLimit"});
    out.memory = dir.OneOf("medium", {"", "Memory"}) == "Memory";
    if (dir.Has("sizeLimit")) {
      const auto size = ParseQuantity(dir.String("sizeLimit"));
      if (!size || *size == 0) dir.Fail("input.bad-value", "sizeLimit", "is not a positive quantity such as 64Mi");
      if (!out.memory && !kubernetes)
        dir.Fail("node.unsupported-field", "sizeLimit", "is honoured with medium: Memory only");
      out.size_limit = size.value_or(0);
    }
  } else {
    out.kind = Volume::Kind::kHostPath;
    YamlMap host = map.Map("hostPath");
    OnlyHonoured(host, {"path", "type"});
    out.host_path = host.String("path", true);
    if (!out.host_path.empty() && !IsAbsoluteClean(out.host_path))
      host.Fail("input.bad-value", "path", "must be an absolute path without \"..\"");
    out.host_path_type = host.OneOf(
        "type", {"", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket", "CharDevice", "BlockDevice"});
  }
  return out;
}

void ReadKubernetesSecurity(YamlMap& map, PodSpec& pod) {
  map.OneOf("supplementalGroupsPolicy", {"", "Merge"});
  ReadAppArmor(map);
  if (map.Has("fsGroup")) {  // kubelet gives it to every container as one more group
    const int64_t group = map.Int("fsGroup");
    if (group < 0 || group > 0x7fffffff) map.Fail("input.bad-value", "fsGroup", "must be a group id");
    pod.supplemental_groups.push_back(group);
  }
  for (YamlMap& one : map.Maps("sysctls")) {
    OnlyHonoured(one, true, {"name", "value"}, {});
    const std::string name = one.String("name", true);
    pod.sysctls[name] = one.String("value", true);
  }
}

SecurityContext ReadPodSecurity(YamlMap& spec, PodSpec& pod) {
  YamlMap map = spec.Map("securityContext");
  OnlyHonoured(map, pod.kubernetes, {"runAsUser", "runAsGroup", "runAsNonRoot", "supplementalGroups", "seccompProfile"},
               {"fsGroup", "fsGroupChangePolicy", "supplementalGroupsPolicy", "sysctls", "appArmorProfile",
                "seLinuxChangePolicy"});
  if (pod.kubernetes) ReadKubernetesSecurity(map, pod);
  SecurityContext out;
  if (map.Has("runAsUser")) out.run_as_user = map.Int("runAsUser");
  if (map.Has("runAsGroup")) out.run_as_group = map.Int("runAsGroup");
  out.run_as_non_root = map.Bool("runAsNonRoot");
  out.seccomp = ReadSeccomp(map, {});
  const YAML::Node groups = map.Raw("supplementalGroups");
  if (groups.IsDefined() && groups.IsSequence()) {
    for (const auto& group : groups) {
      int64_t id = -1;
      if (!YAML::convert<int64_t>::decode(group, id) || id < 0 || id > 0x7fffffff)
        map.Fail("input.bad-value", "supplementalGroups", "must be group ids");
      pod.supplemental_groups.push_back(id);
    }
  } else if (groups.IsDefined()) {
    map.Fail("input.bad-yaml", "supplementalGroups", "must be a list of group ids");
  }
  return out;
}

void ReadDns(YamlMap& spec, PodSpec& pod) {
  if (pod.kubernetes) return;  // resolv.conf is the host's word
  pod.own_dns = spec.OneOf("dnsPolicy", {"Default", "None"}, false, "Default") == "None";
  YamlMap dns = spec.Map("dnsConfig");
  OnlyHonoured(dns, {"nameservers", "searches"});
  pod.nameservers = dns.Strings("nameservers");
  pod.searches = dns.Strings("searches");
  if (spec.Has("dnsConfig") && !pod.own_dns)
    spec.Fail("node.unsupported-field", "dnsConfig", "is honoured with dnsPolicy: None only");
}

// What only a cluster honours, and what of it the policy must know.
void ReadKubernetesSpec(YamlMap& map, PodSpec& pod) {
  if (map.Has("automountServiceAccountToken")) pod.automount_token = map.Bool("automountServiceAccountToken");
  if (map.Has("enableServiceLinks")) pod.service_links = map.Bool("enableServiceLinks");
  if (pod.service_links.value_or(false)) {
    map.Fail("node.unsupported-field", "enableServiceLinks",
             "must be false: the variables of other Services are not known when the pod is sealed");
  }
  pod.service_account = map.String("serviceAccountName", false, map.String("serviceAccount", false, "default"));
  pod.share_process_namespace = map.Bool("shareProcessNamespace");
  if (!map.Bool("hostUsers", true))
    map.Fail("node.unsupported-field", "hostUsers",
             "must not be false: sandboxes have no user namespace of the host's");
  OnlyFalse(map, "setHostnameAsFQDN");
}

}  // namespace

void ReadSpec(YamlMap& root, PodSpec& pod) {
  YamlMap map = root.Map("spec", true);
  OnlyHonoured(
      map, pod.kubernetes,
      {"containers", "initContainers", "runtimeClassName", "restartPolicy", "hostname", "hostNetwork", "volumes",
       "terminationGracePeriodSeconds", "activeDeadlineSeconds", "securityContext", "dnsPolicy", "dnsConfig",
       "automountServiceAccountToken", "enableServiceLinks", "hostPID", "hostIPC", "shareProcessNamespace", "os"},
      // Where and when the pod runs, not what: the scheduler's and kubelet's business.
      {"nodeSelector", "nodeName", "affinity", "tolerations", "topologySpreadConstraints", "priorityClassName",
       "priority", "preemptionPolicy", "schedulerName", "schedulingGates", "readinessGates", "overhead",
       "imagePullSecrets", "serviceAccountName", "serviceAccount", "subdomain", "hostAliases", "hostUsers",
       "setHostnameAsFQDN"});
  pod.runtime_class = map.String("runtimeClassName");
  if (!pod.runtime_class.empty() && !IsDnsSubdomain(pod.runtime_class))
    map.Fail("input.bad-value", "runtimeClassName", "is not a DNS name");
  const std::string restart = map.OneOf("restartPolicy", {"Always", "OnFailure", "Never"}, false, "Always");
  pod.restart_policy = restart == "Never"       ? RestartPolicy::kNever
                       : restart == "OnFailure" ? RestartPolicy::kOnFailure
                                                : RestartPolicy::kAlways;
  // A cluster's pod without one has its name, as kubelet cuts it: left to the policy.
  pod.hostname =
      map.String("hostname", false, pod.kubernetes ? "" : pod.name.substr(0, pod.name.find('.')).substr(0, 63));
  if (!pod.name.empty() && !IsDnsLabel(pod.hostname) && !(pod.kubernetes && pod.hostname.empty()))
    map.Fail("input.bad-value", "hostname", "\"" + pod.hostname + "\" is not a DNS label");
  pod.host_network = map.Bool("hostNetwork");
  if (pod.host_network && pod.runtime_class == "ccgpu") {
    map.Fail("node.unsupported-field", "hostNetwork",
             "must not be true with runtimeClassName ccgpu: the agent's address would be the host's");
  }
  for (const char* key : {"hostPID", "hostIPC"}) OnlyFalse(map, key);
  if (pod.kubernetes) {
    ReadKubernetesSpec(map, pod);
  } else {
    for (const char* key : {"automountServiceAccountToken", "enableServiceLinks", "shareProcessNamespace"})
      OnlyFalse(map, key);
  }
  YamlMap os = map.Map("os");
  OnlyHonoured(os, {"name"});
  os.OneOf("name", {"linux"});
  pod.termination_grace_seconds = map.Int("terminationGracePeriodSeconds", false, 30);
  if (pod.termination_grace_seconds < 0 || pod.termination_grace_seconds > 86400)
    map.Fail("input.bad-value", "terminationGracePeriodSeconds", "goes from 0 to 86400");
  if (map.Has("activeDeadlineSeconds")) {
    pod.active_deadline_seconds = map.Int("activeDeadlineSeconds");
    if (pod.active_deadline_seconds <= 0) map.Fail("input.bad-value", "activeDeadlineSeconds", "must be positive");
  }
  const SecurityContext security = ReadPodSecurity(map, pod);
  ReadDns(map, pod);
  std::set<std::string> volumes, names;
  for (auto& volume : map.Maps("volumes")) {
    pod.volumes.push_back(ReadVolume(volume, pod.kubernetes));
    if (!volumes.insert(pod.volumes.back().name).second) volume.Fail("input.bad-value", "name", "is used twice");
  }
  auto read_all = [&](const char* key, bool required, std::vector<ContainerSpec>& out) {
    for (auto& container : map.Maps(key, required)) {
      out.push_back(ReadContainer(container, pod, security));
      if (!names.insert(out.back().name).second)
        container.Fail("input.bad-value", "name", "\"" + out.back().name + "\" is used twice");
      for (const auto& mount : out.back().mounts) {
        if (volumes.count(mount.volume) == 0)
          container.Fail("input.bad-value", "volumeMounts", "there is no volume named \"" + mount.volume + "\"");
      }
    }
  };
  read_all("initContainers", false, pod.init_containers);
  read_all("containers", true, pod.containers);
  if (map.Has("containers") && pod.containers.empty())
    map.Fail("input.bad-value", "containers", "must have at least one container");
  for (const ContainerSpec& container : pod.containers) {
    if (container.restarts)
      map.Fail("node.unsupported-field", "containers", "only init containers may have a restartPolicy of their own");
  }
}

Result<PodSpec> ParsePod(const std::string& text, const std::string& file, std::vector<Error>* all) {
  auto documents = ParseYaml(text, file);
  if (!documents.ok()) {
    if (all != nullptr) all->push_back(documents.error());
    return documents.error();
  }
  YamlErrors errors(file);
  PodSpec pod;
  std::erase_if(*documents, [](const YAML::Node& document) { return document.IsNull(); });
  if (documents->size() != 1) {
    const YAML::Node at = documents->size() > 1 ? (*documents)[1] : YAML::Node();
    errors.Add("input.bad-yaml", at, "",
               "must hold exactly one document, a v1/Pod; found " + std::to_string(documents->size()));
  } else {
    YamlMap root((*documents)[0], "", errors);
    OnlyHonoured(root, {"apiVersion", "kind", "metadata", "spec", "status"});
    root.OneOf("apiVersion", {"v1"}, true);
    root.OneOf("kind", {"Pod"}, true);
    if (YAML::Node status = root.Raw("status"); status.IsDefined() && status.IsMap() && status.size() > 0) {
      root.Fail("node.unsupported-field", "status", "must be empty");
    }
    ReadMetadata(root, pod);
    ReadSpec(root, pod);
  }
  if (all != nullptr) *all = errors.errors();
  RETURN_IF_ERROR(errors.status());
  return pod;
}

}  // namespace ccgpu::node
