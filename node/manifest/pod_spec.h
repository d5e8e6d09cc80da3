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
};

struct VolumeMount {
  std::string volume, mount_path;
  bool read_only = false;
};

struct Volume {
  enum class Kind { kEmptyDir, kHostPath };
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
};

struct PodSpec {
  std::string name, pod_namespace;
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
};

// The one v1/Pod in `text`. Every error carries file:line:column and the field's path; all of them are in `all` when it
// is given, the first one is returned. A field that this node cannot honour is "node.unsupported-field", never skipped.
Result<PodSpec> ParsePod(const std::string& text, const std::string& file, std::vector<Error>* all = nullptr);

}  // namespace ccgpu::node
