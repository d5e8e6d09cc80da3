#include "cli/seal_parts.h"

#include <algorithm>

namespace ccgpu::cli {
namespace {

using policy::ContainerPolicy;
using policy::MountPolicy;

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr const char* kTokenFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

// Variables by what the policy says of them; the last word on a name counts.
class Variables {
 public:
  explicit Variables(ContainerPolicy& out) : out_(out) {}
  void Fixed(const std::string& name, const std::string& value) {
    Forget(name);
    out_.env[name] = value;
  }
  void PodName(const std::string& name) {
    Forget(name);
    out_.pod_name_env.push_back(name);
  }
  void Pattern(const std::string& name, const std::string& pattern) {
    Forget(name);
    out_.allowed_env_patterns.push_back(name + "=" + pattern);
  }

 private:
  void Forget(const std::string& name) {
    out_.env.erase(name);
    std::erase(out_.pod_name_env, name);
    std::erase_if(out_.allowed_env_patterns, [&](const std::string& one) { return one.starts_with(name + "="); });
  }
  ContainerPolicy& out_;
};

// What a volume of the pod is in a policy. What kubelet fills, it mounts read-only, whatever the manifest says.
MountPolicy MountOf(const node::Volume& volume, const node::VolumeMount& mount) {
  using Kind = node::Volume::Kind;
  using Source = MountPolicy::Source;
  MountPolicy out;
  out.destination = mount.mount_path;
  out.sub_path = mount.sub_path;
  switch (volume.kind) {
    case Kind::kEmptyDir: out.source = Source::kEmptyDir; break;
    case Kind::kHostPath: out.source = Source::kHostPath; break;
    case Kind::kConfigMap: out.source = Source::kConfigMap; break;
    case Kind::kSecret: out.source = Source::kSecret; break;
    case Kind::kProjected: out.source = Source::kProjected; break;
    case Kind::kDownwardApi: out.source = Source::kDownwardApi; break;
    case Kind::kPersistentVolumeClaim: out.source = Source::kPersistentVolumeClaim; break;
  }
  const bool filled = out.source == Source::kConfigMap || out.source == Source::kSecret ||
                      out.source == Source::kProjected || out.source == Source::kDownwardApi;
  out.read_only = mount.read_only || filled;
  if (out.source == Source::kHostPath) out.path = volume.host_path;
  else out.volume = volume.name;
  return out;
}

}  // namespace

void SealEnv(const node::PodSpec& pod, const node::ContainerSpec& container, const images::ImageConfig& image,
             ContainerPolicy& out) {
  Variables variables(out);
  variables.Fixed("PATH", kDefaultPath);
  if (container.tty) variables.Fixed("TERM", "xterm");
  if (!pod.hostname.empty()) variables.Fixed("HOSTNAME", pod.hostname);
  else if (!pod.generate_name.empty()) variables.PodName("HOSTNAME");
  else variables.Fixed("HOSTNAME", policy::HostnameOf(pod.name));
  for (const std::string& item : image.env) {
    const size_t equals = item.find('=');
    if (equals != std::string::npos && equals > 0) variables.Fixed(item.substr(0, equals), item.substr(equals + 1));
  }
  for (const node::EnvVar& variable : container.env) {
    const std::string& field = variable.field_path;
    if (variable.late) variables.Pattern(variable.name, "*");
    else if (field == "metadata.name" && !pod.generate_name.empty()) variables.PodName(variable.name);
    else if (field == "metadata.name") variables.Fixed(variable.name, pod.name);
    else if (field == "metadata.namespace") variables.Fixed(variable.name, pod.pod_namespace);
    else if (field.empty()) variables.Fixed(variable.name, variable.value);
    else  // known only when the pod runs: its UID, its address
      variables.Pattern(variable.name, field == "status.podIP" ? "*.*.*.*" : "*-*-*-*-*");
  }
}

Status SealMounts(const node::PodSpec& pod, const node::ContainerSpec& container, const images::ImageConfig& image,
                  const std::string& where, ContainerPolicy& out) {
  for (const node::VolumeMount& mount : container.mounts) {
    const auto volume = std::find_if(pod.volumes.begin(), pod.volumes.end(),
                                     [&](const node::Volume& v) { return v.name == mount.volume; });
    if (volume == pod.volumes.end())
      return Err("cli.cannot-seal", where + ".volumeMounts", "names no volume of the pod: " + mount.volume);
    if (volume->kind == node::Volume::Kind::kHostPath && mount.sub_path)
      return Err("cli.cannot-seal", where + ".volumeMounts",
                 "subPath of a hostPath volume: name the whole path in the volume");
    out.mounts.push_back(MountOf(*volume, mount));
  }
  const auto add = [&](const std::string& path, MountPolicy::Source source, bool read_only) {
    const bool taken =
        std::any_of(out.mounts.begin(), out.mounts.end(), [&](const MountPolicy& m) { return m.destination == path; });
    if (!taken)
      out.mounts.push_back({.destination = path, .source = source, .volume = {}, .path = {}, .read_only = read_only});
  };
  for (const std::string& path : image.volumes) add(path, MountPolicy::Source::kImageVolume, false);
  if (pod.automount_token.value_or(false)) add(kTokenFolder, MountPolicy::Source::kServiceAccount, true);
  return Ok();
}

}  // namespace ccgpu::cli
