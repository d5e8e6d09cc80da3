// A v1/Pod as ccgpu-node runs it: every field that it honours, with defaults filled in, and nothing else.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace ccgpu::node {

struct EnvVar {
  std::string name;
  std::string value;
  std::string field_path;  // metadata.name | metadata.namespace | metadata.uid | status.podIP instead of value
  bool late = false;       // only the cluster knows the value: out of a ConfigMap, a Secret, the node, ...
};

struct VolumeMount {
  std::string volume, mount_path;
  bool read_only = false;
  bool sub_path = false;
};

struct Volume {
  // Those after kHostPath only in manifests for a cluster.
  enum class Kind { kEmptyDir, kHostPath, kConfigMap, kSecret, kProjected, kDownwardApi, kPersistentVolumeClaim };
  std::string name;
  Kind kind = Kind::kEmptyDir;
  bool memory = false;     // emptyDir.medium: Memory
  int64_t size_limit = 0;  // emptyDir.sizeLimit in bytes; 0: none
  std::string host_path;
  std::string host_path_type;  // "", Directory, DirectoryOrCreate, File, FileOrCreate, Socket, CharDevice, BlockDevice
};

struct SeccompProfile {
  enum class Type { kUnset, kRuntimeDefault, kUnconfined } type = Type::kUnset;
};

struct SecurityContext {
  std::optional<int64_t> run_as_user, run_as_group;
  bool run_as_non_root = false;
  bool allow_privilege_escalation = true;
  bool read_only_root_filesystem = false;
  std::vector<std::string> add_capabilities, drop_capabilities;  // without "CAP_"
  SeccompProfile seccomp;
};

struct Resources {
  int64_t cpu_limit_milli = 0, cpu_request_milli = 0;  // 0: none
  int64_t memory_limit = 0, memory_request = 0;        // bytes, 0: none
  std::map<std::string, int64_t> extended;             // "ccgpu.dev/cc-gpu" -> count (limit == request)
};

enum class RestartPolicy { kAlways, kOnFailure, kNever };

struct ContainerSpec {
  std::string name, image;
  std::vector<std::string> command, args;  // $(NAME) expanded
  std::string working_dir;
  std::vector<EnvVar> env;
  std::vector<VolumeMount> mounts;
  Resources resources;
  SecurityContext security;
  bool tty = false, stdin = false;
  bool restarts = false;                             // an init container with restartPolicy Always: a sidecar
  std::vector<std::vector<std::string>> exec_hooks;  // commands of probes and lifecycle hooks
};

struct PodSpec {
  bool kubernetes = false;  // read for a cluster's kubelet (workload.h): fields that it alone honours may be set
  std::string name, pod_namespace;
  std::string generate_name;  // instead of name: how the names begin that a controller gives
  std::map<std::string, std::string> labels, annotations;
  std::string runtime_class;  // = CRI runtime handler
  RestartPolicy restart_policy = RestartPolicy::kAlways;
  std::string hostname;
  bool host_network = false;
  int64_t termination_grace_seconds = 30;
  int64_t active_deadline_seconds = 0;  // 0: none
  std::vector<int64_t> supplemental_groups;
  std::vector<std::string> nameservers, searches, dns_options;  // dnsPolicy: None
  bool own_dns = false;
  std::vector<Volume> volumes;
  std::vector<ContainerSpec> init_containers, containers;
  // For a cluster only.
  bool share_process_namespace = false;
  std::map<std::string, std::string> sysctls;
  std::optional<bool> automount_token, service_links;  // nothing: the manifest does not say
  std::string service_account = "default";
};

// The one v1/Pod in `text`. Every error carries file:line:column and the field's path; all of them are in `all` when it
// is given, the first one is returned. A field that this node cannot honour is "node.unsupported-field", never skipped.
Result<PodSpec> ParsePod(const std::string& text, const std::string& file, std::vector<Error>* all = nullptr);

}  // namespace ccgpu::node
