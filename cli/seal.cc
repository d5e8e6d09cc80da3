#include "cli/seal.h"

#include <algorithm>
#include <set>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "cli/image_user.h"
#include "cli/seal_parts.h"
#include "trust/kbs/initdata.h"
#include "trust/policy/image_name.h"

namespace ccgpu::cli {
namespace {

using policy::ContainerPolicy;

std::string RestartWord(node::RestartPolicy restart) {
  switch (restart) {
    case node::RestartPolicy::kAlways: return "Always";
    case node::RestartPolicy::kOnFailure: return "OnFailure";
    case node::RestartPolicy::kNever: return "Never";
  }
  return "Never";
}

const images::ImageInfo* FindImage(const std::map<std::string, images::ImageInfo>& images, const std::string& name) {
  if (const auto found = images.find(name); found != images.end()) return &found->second;
  for (const auto& [reference, info] : images) {
    if (policy::FullImageName(reference) == policy::FullImageName(name)) return &info;
  }
  return nullptr;
}

uint32_t GpusOf(const node::ContainerSpec& container) {
  const auto it = container.resources.extended.find(kGpuResource);
  return it == container.resources.extended.end() ? 0 : static_cast<uint32_t>(it->second);
}

Result<std::vector<std::string>> Capabilities(const node::SecurityContext& security, const std::string& where) {
  const auto has = [](const std::vector<std::string>& list, const char* name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  if (has(security.add_capabilities, "ALL")) {
    return Err("cli.cannot-seal", where + ".capabilities.add",
               "\"ALL\" means another set on each kernel: name the capabilities");
  }
  std::set<std::string> out;
  if (!has(security.drop_capabilities, "ALL"))
    out.insert(policy::DefaultCapabilities().begin(), policy::DefaultCapabilities().end());
  for (const std::string& name : security.add_capabilities) out.insert("CAP_" + name);
  for (const std::string& name : security.drop_capabilities) out.erase("CAP_" + name);
  return std::vector<std::string>(out.begin(), out.end());
}

Result<ContainerPolicy> MakeContainer(const node::PodSpec& pod, const node::ContainerSpec& container, bool init,
                                      const std::map<std::string, images::ImageInfo>& images,
                                      const PolicyChoices& choices) {
  const std::string where = (init ? "spec.initContainers[" : "spec.containers[") + container.name + "]";
  const images::ImageInfo* info = FindImage(images, container.image);
  if (info == nullptr) {
    return Err("cli.unknown-image", where + ".image",
               pod.kubernetes
                   ? container.image +
                         " is in no --image-archive: `skopeo copy docker://IMAGE oci-archive:FILE:IMAGE` "
                         "makes one of an image in a registry"
                   : container.image + " is not on this node: `ccgpu image import FILE`, or --image-archive FILE");
  }
  ASSIGN_OR_RETURN(const images::ImageConfig image, images::ParseImageConfig(info->config_json));
  ContainerPolicy out;
  out.name = container.name;
  out.init = init;
  out.restarts = container.restarts;
  out.image = container.image;
  out.rootfs_digest = info->rootfs_digest;
  out.args = container.command.empty() ? image.entrypoint : container.command;
  const std::vector<std::string>& rest = !container.args.empty()     ? container.args
                                         : container.command.empty() ? image.cmd
                                                                     : container.args;
  out.args.insert(out.args.end(), rest.begin(), rest.end());
  if (out.args.empty())
    return Err("cli.cannot-seal", where + ".command", "neither the pod nor the image names a program to run");
  out.cwd = !container.working_dir.empty() ? container.working_dir
            : !image.working_dir.empty()   ? image.working_dir
                                           : "/";
  SealEnv(pod, container, image, out);
  ASSIGN_OR_RETURN(const ProcessUser user, ResolveUser({.run_as_user = container.security.run_as_user,
                                                        .run_as_group = container.security.run_as_group,
                                                        .image_user = image.user,
                                                        .supplemental_groups = pod.supplemental_groups,
                                                        .kubelet = pod.kubernetes},
                                                       info->etc_passwd, info->etc_group));
  if (container.security.run_as_non_root && user.uid == 0)
    return Err("cli.cannot-seal", where + ".securityContext.runAsNonRoot", "the container would run as root");
  out.uid = user.uid;
  out.gid = user.gid;
  out.additional_gids = user.additional_gids;
  ASSIGN_OR_RETURN(out.capabilities, Capabilities(container.security, where + ".securityContext"));
  out.no_new_privileges = !container.security.allow_privilege_escalation;
  out.readonly_rootfs = container.security.read_only_root_filesystem;
  if (container.security.seccomp.type == node::SeccompProfile::Type::kRuntimeDefault) {
    return Err("cli.cannot-seal", where + ".securityContext.seccompProfile",
               "a filter that the host sets cannot be trusted inside the sandbox: leave it out");
  }
  out.terminal = container.tty;
  RETURN_IF_ERROR(SealMounts(pod, container, image, where, out));
  out.gpus = GpusOf(container);
  if (const auto exec = choices.allowed_exec.find(container.name); exec != choices.allowed_exec.end())
    out.allowed_exec = exec->second;
  for (const auto& command : container.exec_hooks) {
    if (std::find(out.allowed_exec.begin(), out.allowed_exec.end(), command) == out.allowed_exec.end())
      out.allowed_exec.push_back(command);
  }
  return out;
}

}  // namespace

Result<policy::PodPolicy> MakePodPolicy(const node::PodSpec& pod,
                                        const std::map<std::string, images::ImageInfo>& images,
                                        const PolicyChoices& choices) {
  policy::PodPolicy out;
  out.pod_name = pod.name;
  out.generate_name = pod.generate_name;
  out.pod_namespace = pod.pod_namespace;
  out.hostname = pod.hostname;
  out.restart_policy = RestartWord(pod.restart_policy);
  out.host_network = pod.host_network;
  out.share_process_namespace = pod.share_process_namespace;
  out.kubernetes_env = pod.kubernetes;
  out.sysctls = pod.sysctls;
  uint32_t together = 0, most = 0;  // init containers give their GPUs back before the others start, sidecars do not
  for (const auto& container : pod.init_containers) {
    if (container.restarts) together += GpusOf(container);
    most = std::max(most, container.restarts ? together : together + GpusOf(container));
  }
  for (const auto& container : pod.containers) together += GpusOf(container);
  out.gpus.count = std::max(together, most);
  out.gpus.mode = choices.gpu_mode;
  out.gpus.allow_set_ready = choices.allow_set_ready;
  for (const auto& [name, commands] : choices.allowed_exec) {
    const auto named = [&](const node::ContainerSpec& c) { return c.name == name; };
    if (std::none_of(pod.containers.begin(), pod.containers.end(), named) &&
        std::none_of(pod.init_containers.begin(), pod.init_containers.end(), named))
      return Err("cli.cannot-seal", name, "--allow-exec names no container of the pod");
  }
  for (const auto& container : pod.init_containers) {
    ASSIGN_OR_RETURN(ContainerPolicy one, MakeContainer(pod, container, true, images, choices));
    out.containers.push_back(std::move(one));
  }
  for (const auto& container : pod.containers) {
    ASSIGN_OR_RETURN(ContainerPolicy one, MakeContainer(pod, container, false, images, choices));
    out.containers.push_back(std::move(one));
  }
  return out;
}

std::string WriteTrust(const TrustChoices& trust) {
  std::string out = "apiVersion: ccgpu.dev/v1alpha1\nkind: EvidenceTrust\nspec:\n";
  const auto list = [&](const char* key, const std::vector<std::string>& pems) {
    if (pems.empty()) return;
    out += std::string("  ") + key + ":\n";
    for (const std::string& pem : pems) {
      out += "  - |\n";
      for (size_t at = 0; at < pem.size();) {
        const size_t end = std::min(pem.find('\n', at), pem.size());
        if (end > at) out += "    " + pem.substr(at, end - at) + "\n";
        at = end + 1;
      }
    }
  };
  list("deviceRoots", trust.device_roots_pem);
  list("rimRoots", trust.rim_roots_pem);
  return out + "  insecureAcceptEmulated: " + (trust.insecure_accept_emulated ? "true" : "false") + "\n";
}

std::string MakeInitData(const policy::PodPolicy& policy, const TrustChoices& trust) {
  kbs::InitData init;
  init.data[std::string(policy::kPodPolicyEntry)] = policy::WritePodPolicy(policy);
  init.data["ccgpu-trust.yaml"] = WriteTrust(trust);
  if (!trust.kbs_url.empty()) {
    const kbs::BrokerAddress broker{trust.kbs_url, trust.kbs_cert_pem};
    init.data["aa.toml"] = kbs::WriteAaToml(broker);
    init.data["cdh.toml"] = kbs::WriteCdhToml(broker);
  }
  return kbs::WriteInitData(init);
}

std::string DigestOf(const std::string& initdata) { return "sha256:" + HexEncode(crypto::Sha256(AsBytes(initdata))); }

}  // namespace ccgpu::cli
