// PodPolicy: what one sandbox may run, as a YAML document that people can review (docs/policy.md, manifests/schemas).
//
// The document travels in the pod's initdata, so its digest is HOST_DATA of the sandbox's evidence: who may have the
// keys and what may run are one decision. guestd asks the three Check functions below before it acts; each of them
// denies by default and names the first field that differs. Nothing here keeps state or does I/O; everything may be
// called from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ccgpu::policy {

inline constexpr std::string_view kApiVersion = "ccgpu.dev/v1alpha1";
// Entry of the initdata's [data] table that holds the document.
inline constexpr std::string_view kPodPolicyEntry = "ccgpu-policy.yaml";
// The capabilities that containerd's CRI gives a container that asks for nothing (14, sorted).
const std::vector<std::string>& DefaultCapabilities();

// One mount that the pod's author asked for. What CRI mounts by itself (/proc, /dev, /etc/hosts, ...) is not listed.
struct MountPolicy {
  enum class Source {
    kEmptyDir,     // `volume` names the pod's volume
    kHostPath,     // `path` on the host: its content is the host's, whatever the policy says
    kImageVolume,  // a VOLUME of the image, filled from the image by containerd
    // Volumes that kubelet fills from what the cluster says; `volume` names the pod's volume. Their content is the
    // cluster's and the host's, whatever the policy says: nothing that must be true, nothing that must stay secret.
    kConfigMap,
    kSecret,
    kProjected,
    kDownwardApi,
    kPersistentVolumeClaim,  // a disk of the cluster's; `volume` is the pod's name for it, its content is the host's
    kServiceAccount,         // the token that kubelet puts into every pod that does not refuse it
  };
  std::string destination;  // absolute, normal
  Source source = Source::kEmptyDir;
  std::string volume;
  std::string path;
  bool read_only = false;
  bool sub_path = false;  // a part of the volume that kubelet looks up; which part is the host's word
  bool operator==(const MountPolicy&) const = default;
};

struct ContainerPolicy {
  std::string name;
  bool init = false;          // must have been created before any that stands behind it
  bool restarts = false;      // may be created again whatever the pod's restart policy says (a sidecar: init as well)
  std::string image;          // the reference of the manifest; says nothing about the content
  std::string rootfs_digest;  // "sha256:<64 hex>", the tree digest of rootfs_digest.h: this binds the content
  std::vector<std::string> args;
  std::string cwd = "/";
  std::map<std::string, std::string> env;         // exactly these, plus what the next field allows
  std::vector<std::string> allowed_env_patterns;  // "NAME=glob", * and ? only; for values that nobody knows beforehand
  std::vector<std::string> pod_name_env;          // hold the name of a pod that fits generate_name
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> additional_gids;  // a set, without gid
  std::vector<std::string> capabilities;  // "CAP_..", a set: bounding = effective = permitted; ambient is always empty
  bool no_new_privileges = false;
  bool readonly_rootfs = false;
  bool terminal = false;
  std::vector<MountPolicy> mounts;
  uint32_t gpus = 0;                                   // exactly so many
  std::vector<std::vector<std::string>> allowed_exec;  // whole argument vectors; empty: no exec at all
  bool operator==(const ContainerPolicy&) const = default;
};

struct GpuPolicy {
  uint32_t count = 0;
  std::string mode = "hopper-cc";  // off | devtools | apm | hopper-cc; what each attached GPU must be in
  bool allow_set_ready = false;    // containers may call nvmlSystemSetConfComputeGpusReadyState themselves
  bool operator==(const GpuPolicy&) const = default;
};

struct PodPolicy {
  // Exactly one of the two names is set. generate_name is the beginning of the names that a controller makes: the pod's
  // is that and at least one more of a-z, 0-9 and "-" (FitsPodName). One policy, one identity, many pods.
  std::string pod_name, generate_name, pod_namespace = "default";
  std::string hostname;                  // empty: HostnameOf(the pod's name)
  std::string restart_policy = "Never";  // Never: each container is created once | OnFailure | Always
  bool host_network = false;
  bool share_process_namespace = false;
  // The eight variables in which kubelet tells every container where the cluster's API is may be there, with addresses
  // and ports in them. They are the host's word.
  bool kubernetes_env = false;
  std::map<std::string, std::string> sysctls;
  GpuPolicy gpus;
  std::vector<ContainerPolicy> containers;  // init containers first
  bool operator==(const PodPolicy&) const = default;

  const ContainerPolicy* Find(std::string_view name) const;  // nullptr: not in the policy
};

// Whether a pod of this name is one that the policy is for.
bool FitsPodName(const PodPolicy& policy, std::string_view name);
// The host name that kubelet gives a pod of this name: at most 63 characters, without "-" and "." at the end.
std::string HostnameOf(std::string_view pod_name);

// `file` names the document in errors ("file:line:column: field"). Unknown fields and versions are errors.
Result<PodPolicy> ParsePodPolicy(const std::string& yaml, const std::string& file);
// One text for one policy: ParsePodPolicy(WritePodPolicy(p)) == p, and equal policies give equal bytes.
std::string WritePodPolicy(const PodPolicy& policy);

// What the host asks for when it creates a container. All of it is the host's word, except rootfs_digest and gpus,
// which guestd found out by itself.
struct ContainerRequest {
  std::string name;           // io.kubernetes.cri.container-name
  std::string image_name;     // io.kubernetes.cri.image-name; may be empty when the annotation is absent
  std::string oci_spec_json;  // config.json as containerd wrote it, before guestd rewrites namespaces and injects GPUs
  std::string rootfs_digest;  // of the mounted rootfs
  uint32_t gpus = 0;          // that would be injected into this container
};

// How often a container of each name was created in this sandbox so far (guestd counts).
struct PodState {
  std::map<std::string, uint32_t> created;
};

// Ok, or the first difference: code "policy.*", subject the rule ("containers[app].args[1]"), text "expected X, found
// Y".
Status CheckCreate(const PodPolicy& policy, const ContainerRequest& request, const PodState& state);

// The same in two steps for guestd, which should not read a whole image to find out that the command differs:
// CheckCreate = CheckCreateSpec (all but the rootfs digest), then CheckRootfs.
Status CheckCreateSpec(const PodPolicy& policy, const ContainerRequest& request, const PodState& state);
Status CheckRootfs(const PodPolicy& policy, std::string_view container, std::string_view rootfs_digest);

// A process in a running container (the OCI `process` object of an exec). Code "policy.exec", or that of the differing
// field.
Status CheckExec(const PodPolicy& policy, const std::string& container, const std::string& oci_process_json);

// A GPU that the platform attached to this sandbox. `mode` as the guest itself learnt it; empty when it is not known
// yet: then only the count is checked.
struct AttachedGpu {
  std::string uuid;
  std::string mode;
};

// The sandbox as a whole, once, before anything runs: pod name, namespaces, sysctls, hooks, and the GPUs.
// Codes: gpu.not-bound (policy wants GPUs, none is attached), policy.gpu-count, policy.gpu-mode, policy.sysctl, ...
// `sandbox_oci_spec_json` empty: only the GPUs are checked.
Status CheckSandbox(const PodPolicy& policy, const std::string& sandbox_oci_spec_json,
                    const std::vector<AttachedGpu>& gpus);

}  // namespace ccgpu::policy
