// The three questions that guestd asks, each as a list of steps. The order decides which difference a person is told
// first: what people edit (image, command, environment) before what hosts forge.
#include <algorithm>

#include "trust/policy/image_name.h"
#include "trust/policy/spec_check.h"

namespace ccgpu::policy {
namespace {

using namespace internal;  // NOLINT: the steps, private to this folder

std::string Rule(std::string_view container) { return "containers[" + std::string(container.substr(0, 80)) + "]"; }

Error NotInPolicy(const PodPolicy& policy, std::string_view name) {
  std::string known;
  for (const ContainerPolicy& container : policy.containers) known += (known.empty() ? "" : ", ") + container.name;
  return Differs("policy.container", Rule(name), "one of the policy's containers (" + known + ")", Show(name));
}

// A container is created once, unless the pod may restart it; init containers come before all others.
Status CheckOrder(const PodPolicy& policy, const ContainerPolicy& container, const PodState& state) {
  const auto count = [&](const std::string& name) {
    const auto it = state.created.find(name);
    return it == state.created.end() ? 0u : it->second;
  };
  if (policy.restart_policy == "Never" && !container.restarts && count(container.name) > 0) {
    return Differs("policy.container-again", Rule(container.name), "one start (restartPolicy Never)", "another one");
  }
  for (const ContainerPolicy& other : policy.containers) {
    if (!other.init || &other == &container) break;
    if (count(other.name) == 0)
      return Differs("policy.order", Rule(container.name), "the init container " + other.name + " before it",
                     "it was never started");
  }
  return Ok();
}

Status CheckRoot(const ContainerPolicy& container, const Json& spec, const std::string& rule) {
  ASSIGN_OR_RETURN(const Json root, Object(spec, "root", "spec"));
  RETURN_IF_ERROR(OnlyKnown(root, {"path", "readonly"}, "root"));
  ASSIGN_OR_RETURN(const std::string path, Text(root, "path", "root"));
  if (path != "rootfs" && !(path.starts_with('/') && path.ends_with("/rootfs")))
    return Differs("policy.rootfs", rule + ".root.path", "\"rootfs\"", Show(path));
  ASSIGN_OR_RETURN(const bool read_only, Flag(root, "readonly", "root"));
  if (read_only != container.readonly_rootfs) {
    return Differs("policy.rootfs-mode", rule + ".readOnlyRootFilesystem", container.readonly_rootfs ? "true" : "false",
                   read_only ? "true" : "false");
  }
  return Ok();
}

}  // namespace

Status CheckCreateSpec(const PodPolicy& policy, const ContainerRequest& request, const PodState& state) {
  const ContainerPolicy* container = policy.Find(request.name);
  if (container == nullptr) return NotInPolicy(policy, request.name);
  const std::string rule = Rule(container->name);
  if (!request.image_name.empty() && !MayNameImage(request.image_name, container->image)) {
    return Differs("policy.image", rule + ".image", Show(container->image), Show(request.image_name));
  }
  auto parsed = ParseJson(request.oci_spec_json, rule + ".spec");
  if (!parsed.ok()) return Err("policy.bad-spec", rule + ".spec", parsed.error().text);
  const Json& spec = *parsed;
  if (!spec.is_object()) return Err("policy.bad-spec", rule + ".spec", "must be an object");
  ASSIGN_OR_RETURN(const Json process, Object(spec, "process", "spec"));
  RETURN_IF_ERROR(CheckArgs(*container, process, rule));
  RETURN_IF_ERROR(CheckProcess(policy, *container, process, rule, /*exec=*/false));
  RETURN_IF_ERROR(CheckMounts(*container, spec, rule));
  if (request.gpus != container->gpus) {
    return Differs("policy.gpu-count", rule + ".gpus", std::to_string(container->gpus), std::to_string(request.gpus));
  }
  RETURN_IF_ERROR(RefuseHooks(spec, rule));
  RETURN_IF_ERROR(OnlyKnown(spec, {"ociVersion", "process", "root", "mounts", "annotations", "linux", "hooks"}, rule));
  RETURN_IF_ERROR(CheckRoot(*container, spec, rule));
  RETURN_IF_ERROR(CheckLinux(policy, spec, rule));
  RETURN_IF_ERROR(CheckAnnotations(policy, container, spec, rule));
  return CheckOrder(policy, *container, state);
}

Status CheckRootfs(const PodPolicy& policy, std::string_view name, std::string_view rootfs_digest) {
  const ContainerPolicy* container = policy.Find(name);
  if (container == nullptr) return NotInPolicy(policy, name);
  if (container->rootfs_digest.empty() || rootfs_digest != container->rootfs_digest) {
    return Differs("policy.rootfs", Rule(name) + ".rootfsDigest", container->rootfs_digest,
                   rootfs_digest.empty() ? "none" : std::string(rootfs_digest));
  }
  return Ok();
}

Status CheckCreate(const PodPolicy& policy, const ContainerRequest& request, const PodState& state) {
  RETURN_IF_ERROR(CheckCreateSpec(policy, request, state));
  return CheckRootfs(policy, request.name, request.rootfs_digest);
}

Status CheckExec(const PodPolicy& policy, const std::string& name, const std::string& oci_process_json) {
  const ContainerPolicy* container = policy.Find(name);
  if (container == nullptr) return NotInPolicy(policy, name);
  const std::string rule = Rule(name);
  auto parsed = ParseJson(oci_process_json, rule + ".exec");
  if (!parsed.ok()) return Err("policy.bad-spec", rule + ".exec", parsed.error().text);
  if (!parsed->is_object()) return Err("policy.bad-spec", rule + ".exec", "must be an object");
  ASSIGN_OR_RETURN(const std::vector<std::string> args, Strings(*parsed, "args", "process"));
  const auto& allowed = container->allowed_exec;
  if (std::find(allowed.begin(), allowed.end(), args) == allowed.end()) {
    std::string list;
    for (const auto& argv : allowed) list += (list.empty() ? "" : " or ") + Show(Json(argv));
    return Differs("policy.exec", rule + ".allowedExec", list.empty() ? "no exec in this container" : list,
                   Show(Json(args)));
  }
  return CheckProcess(policy, *container, *parsed, rule, /*exec=*/true);
}

Status CheckSandbox(const PodPolicy& policy, const std::string& sandbox_oci_spec_json,
                    const std::vector<AttachedGpu>& gpus) {
  if (!sandbox_oci_spec_json.empty()) {
    auto parsed = ParseJson(sandbox_oci_spec_json, "pod.spec");
    if (!parsed.ok()) return Err("policy.bad-spec", "pod.spec", parsed.error().text);
    if (!parsed->is_object()) return Err("policy.bad-spec", "pod.spec", "must be an object");
    RETURN_IF_ERROR(CheckSandboxSpec(policy, *parsed));
  }
  if (policy.gpus.count > 0 && gpus.empty()) {
    return Differs("gpu.not-bound", "pod.gpus", std::to_string(policy.gpus.count) + " GPU(s)",
                   "none bound to this pod: did it ask for ccgpu.dev/cc-gpu, and does the device plugin run?");
  }
  if (gpus.size() != policy.gpus.count) {
    return Differs("policy.gpu-count", "pod.gpus.count", std::to_string(policy.gpus.count),
                   std::to_string(gpus.size()));
  }
  for (size_t i = 0; i < gpus.size(); ++i) {
    if (gpus[i].mode.empty() || gpus[i].mode == policy.gpus.mode) continue;
    return Differs("policy.gpu-mode", "pod.gpus[" + std::to_string(i) + "].mode", Show(policy.gpus.mode),
                   Show(gpus[i].mode));
  }
  return Ok();
}

}  // namespace ccgpu::policy
