#include "node/pods/cri_config.h"

#include <algorithm>

#include "node/pods/cri_log.h"

namespace ccgpu::node {

using namespace runtime::v1;

namespace {

void SetNamespaces(const PodSpec& pod, NamespaceOption* options) {
  options->set_network(pod.host_network ? NODE : POD);
  options->set_pid(CONTAINER);  // kubelet's choice for v1 pods; CRI's own default is another
  options->set_ipc(POD);
}

void SetSeccomp(const SeccompProfile& profile, SecurityProfile* out) {
  // As the kubelet does: a pod that says nothing runs unconfined.
  out->set_profile_type(profile.type == SeccompProfile::Type::kRuntimeDefault ? SecurityProfile::RuntimeDefault
                                                                              : SecurityProfile::Unconfined);
}

// The kubelet's formula: best effort dies first, guaranteed last.
int64_t OomScore(const Resources& resources, int64_t node_memory) {
  const bool guaranteed = resources.cpu_limit_milli > 0 && resources.memory_limit > 0 &&
                          resources.cpu_request_milli == resources.cpu_limit_milli &&
                          resources.memory_request == resources.memory_limit;
  if (guaranteed) return -997;
  if (resources.cpu_request_milli == 0 && resources.memory_request == 0) return 1000;
  if (node_memory <= 0) return 999;
  return std::clamp<int64_t>(1000 - (1000 * (resources.memory_request / 1024)) / (node_memory / 1024), 3, 999);
}

void SetResources(const Resources& resources, int64_t node_memory, LinuxContainerResources* out) {
  constexpr int64_t kPeriod = 100000;
  out->set_cpu_shares(std::max<int64_t>(2, resources.cpu_request_milli * 1024 / 1000));
  if (resources.cpu_limit_milli > 0) {
    out->set_cpu_period(kPeriod);
    out->set_cpu_quota(std::max<int64_t>(1000, resources.cpu_limit_milli * kPeriod / 1000));
  }
  out->set_memory_limit_in_bytes(resources.memory_limit);
  out->set_oom_score_adj(OomScore(resources, node_memory));
}

void SetSecurity(const PodSpec& pod, const ContainerSpec& container, LinuxContainerSecurityContext* out) {
  const SecurityContext& security = container.security;
  SetNamespaces(pod, out->mutable_namespace_options());
  for (const auto& name : security.add_capabilities) out->mutable_capabilities()->add_add_capabilities(name);
  for (const auto& name : security.drop_capabilities) out->mutable_capabilities()->add_drop_capabilities(name);
  if (security.run_as_user) out->mutable_run_as_user()->set_value(*security.run_as_user);
  if (security.run_as_group) out->mutable_run_as_group()->set_value(*security.run_as_group);
  for (int64_t group : pod.supplemental_groups) out->add_supplemental_groups(group);
  out->set_readonly_rootfs(security.read_only_root_filesystem);
  out->set_no_new_privs(!security.allow_privilege_escalation);
  SetSeccomp(security.seccomp, out->mutable_seccomp());
  // procMount: Default
  for (const char* path :
       {"/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"}) {
    out->add_masked_paths(path);
  }
  for (const char* path : {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"})
    out->add_readonly_paths(path);
}

template <typename Map>
void AddKubernetesLabels(const PodSpec& pod, const PodIdentity& identity, Map* labels) {
  (*labels)["io.kubernetes.pod.name"] = pod.name;
  (*labels)["io.kubernetes.pod.namespace"] = pod.pod_namespace;
  (*labels)["io.kubernetes.pod.uid"] = identity.uid;
}

std::string FieldValue(const PodSpec& pod, const PodIdentity& identity, const std::string& path,
                       const std::string& pod_ip) {
  if (path == "metadata.name") return pod.name;
  if (path == "metadata.namespace") return pod.pod_namespace;
  if (path == "metadata.uid") return identity.uid;
  return pod_ip;  // status.podIP: the parser admits no other
}

}  // namespace

PodSandboxConfig SandboxConfig(const PodSpec& pod, const PodIdentity& identity) {
  PodSandboxConfig out;
  out.mutable_metadata()->set_name(pod.name);
  out.mutable_metadata()->set_uid(identity.uid);
  out.mutable_metadata()->set_namespace_(pod.pod_namespace);
  out.mutable_metadata()->set_attempt(identity.attempt);
  if (!pod.host_network) out.set_hostname(pod.hostname);
  out.set_log_directory(identity.log_dir);
  if (pod.own_dns) {
    for (const auto& one : pod.nameservers) out.mutable_dns_config()->add_servers(one);
    for (const auto& one : pod.searches) out.mutable_dns_config()->add_searches(one);
  }
  for (const auto& [key, value] : pod.labels) (*out.mutable_labels())[key] = value;
  AddKubernetesLabels(pod, identity, out.mutable_labels());
  (*out.mutable_labels())[kManagedByLabel] = "true";
  for (const auto& [key, value] : pod.annotations) (*out.mutable_annotations())[key] = value;
  auto* linux_part = out.mutable_linux();
  linux_part->set_cgroup_parent(identity.cgroup_parent);
  SetNamespaces(pod, linux_part->mutable_security_context()->mutable_namespace_options());
  for (int64_t group : pod.supplemental_groups) linux_part->mutable_security_context()->add_supplemental_groups(group);
  return out;
}

ContainerConfig MakeContainerConfig(const PodSpec& pod, const PodIdentity& identity, const ContainerSpec& container,
                                    const ContainerInputs& inputs) {
  ContainerConfig out;
  out.mutable_metadata()->set_name(container.name);
  out.mutable_metadata()->set_attempt(inputs.attempt);
  out.mutable_image()->set_image(container.image);
  for (const auto& word : container.command) out.add_command(word);
  for (const auto& word : container.args) out.add_args(word);
  out.set_working_dir(container.working_dir);
  // The plugins' variables first, the pod's own after them, as the kubelet orders them.
  const std::map<std::string, std::string> device_env(inputs.devices.envs().begin(), inputs.devices.envs().end());
  for (const auto& [key, value] : device_env) {
    auto* env = out.add_envs();
    env->set_key(key);
    env->set_value(value);
  }
  for (const auto& one : container.env) {
    auto* env = out.add_envs();
    env->set_key(one.name);
    env->set_value(one.field_path.empty() ? one.value : FieldValue(pod, identity, one.field_path, inputs.pod_ip));
  }
  for (const auto& one : container.mounts) {
    auto* mount = out.add_mounts();
    mount->set_container_path(one.mount_path);
    mount->set_host_path(inputs.volumes.at(one.volume));
    mount->set_readonly(one.read_only);
  }
  for (const auto& one : inputs.devices.mounts()) {
    auto* mount = out.add_mounts();
    mount->set_container_path(one.container_path());
    mount->set_host_path(one.host_path());
    mount->set_readonly(one.read_only());
  }
  for (const auto& one : inputs.devices.devices()) {
    auto* device = out.add_devices();
    device->set_container_path(one.container_path());
    device->set_host_path(one.host_path());
    device->set_permissions(one.permissions());
  }
  for (const auto& one : inputs.devices.cdi_devices()) out.add_cdi_devices()->set_name(one.name());
  for (const auto& [key, value] : inputs.devices.annotations()) (*out.mutable_annotations())[key] = value;
  (*out.mutable_annotations())["io.kubernetes.container.restartCount"] = std::to_string(inputs.attempt);
  (*out.mutable_annotations())["io.kubernetes.pod.terminationGracePeriod"] =
      std::to_string(pod.termination_grace_seconds);
  AddKubernetesLabels(pod, identity, out.mutable_labels());
  (*out.mutable_labels())["io.kubernetes.container.name"] = container.name;
  out.set_log_path(ContainerLogPath(container.name, inputs.attempt));
  out.set_stdin(container.stdin);
  out.set_tty(container.tty);
  SetResources(container.resources, inputs.node_memory, out.mutable_linux()->mutable_resources());
  SetSecurity(pod, container, out.mutable_linux()->mutable_security_context());
  return out;
}

}  // namespace ccgpu::node
