// `policy generate`: an ordinary manifest in, the same with policies in its annotations out.
#include <sstream>

#include "base/file.h"
#include "base/json.h"
#include "cli/deployment/deployment.h"
#include "cli/node_commands.h"
#include "cli/policy_commands.h"
#include "cli/seal.h"
#include "node/manifest/workload.h"
#include "trust/kbs/initdata.h"

namespace ccgpu::cli {
namespace {

Result<std::map<std::string, images::ImageInfo>> Images(const Context& context, const GenerateOptions& options) {
  if (options.image_archives.empty() && !options.kubernetes) return ImagesOfNode(context);
  std::map<std::string, images::ImageInfo> out;
  for (const std::string& archive : options.image_archives) {
    ASSIGN_OR_RETURN(const std::vector<images::ImageInfo> list, images::ReadArchive(archive));
    for (const images::ImageInfo& info : list) out[info.reference] = info;
  }
  return out;
}

Result<std::vector<std::string>> ReadAll(const std::vector<std::string>& files) {
  std::vector<std::string> out;
  for (const std::string& file : files) {
    ASSIGN_OR_RETURN(std::string text, ReadFile(file, 1 << 20));
    out.push_back(std::move(text));
  }
  return out;
}

// Flags first; what they leave open comes from the cluster, if the caller looked there.
Result<TrustChoices> ClusterTrust(const GenerateOptions& options, TrustChoices out, std::string* gpu_mode) {
  if (gpu_mode->empty()) *gpu_mode = "hopper-cc";
  if (options.cluster) {
    if (out.kbs_url.empty()) {
      out.kbs_url = options.cluster->kbs_url;
      out.kbs_cert_pem = options.cluster->kbs_cert_pem;
    }
    out.insecure_accept_emulated = out.insecure_accept_emulated || options.cluster->insecure_accept_emulated;
    // A cluster's own roots sign emulated evidence only.
    if (out.insecure_accept_emulated && out.device_roots_pem.empty())
      out.device_roots_pem = options.cluster->device_roots_pem;
    if (out.insecure_accept_emulated && out.rim_roots_pem.empty()) out.rim_roots_pem = options.cluster->rim_roots_pem;
  }
  if (options.no_broker) {
    out.kbs_url.clear();
  } else if (out.kbs_url.empty()) {
    return Err("cli.no-broker", options.manifest,
               "nothing says which broker the pod's keys come from: give --kbs-url, --kbs-cert and the roots, or "
               "--no-broker");
  }
  return out;
}

// Flags first; what they leave open comes from the deployment, if there is one.
Result<TrustChoices> Trust(const Context& context, const GenerateOptions& options, std::string* gpu_mode) {
  TrustChoices out;
  out.insecure_accept_emulated = options.insecure_accept_emulated;
  out.kbs_url = options.kbs_url;
  ASSIGN_OR_RETURN(out.device_roots_pem, ReadAll(options.device_root_files));
  ASSIGN_OR_RETURN(out.rim_roots_pem, ReadAll(options.rim_root_files));
  if (!options.kbs_cert_file.empty()) {
    ASSIGN_OR_RETURN(out.kbs_cert_pem, ReadFile(options.kbs_cert_file, 1 << 20));
  }
  if (options.kubernetes) return ClusterTrust(options, std::move(out), gpu_mode);
  auto config = deployment::LoadConfig(context.layout);
  const bool need = !options.no_broker && options.kbs_url.empty();
  if (!config.ok() && need) {
    return Err("deployment.not-up", context.layout.state,
               "there is no deployment to take the broker's address and the evidence roots from: give --kbs-url, "
               "--kbs-cert and the roots, or --no-broker");
  }
  if (config.ok()) {
    if (need) {
      out.kbs_url = config->broker_url;
      out.kbs_cert_pem = config->broker_ca_pem;
    }
    out.insecure_accept_emulated = out.insecure_accept_emulated || config->insecure_accept_emulated;
    if (out.device_roots_pem.empty() && out.insecure_accept_emulated)
      out.device_roots_pem.push_back(config->device_root_pem);
    if (out.rim_roots_pem.empty() && out.insecure_accept_emulated) out.rim_roots_pem.push_back(config->rim_root_pem);
    if (gpu_mode->empty() && config->profile.starts_with("a100-ncc")) *gpu_mode = "apm";
    if (gpu_mode->empty() && config->profile.starts_with("a100-nc")) *gpu_mode = "off";
  }
  if (gpu_mode->empty()) *gpu_mode = "hopper-cc";
  if (options.no_broker) out.kbs_url.clear();
  return out;
}

Result<PolicyChoices> Choices(const GenerateOptions& options, std::string gpu_mode) {
  PolicyChoices out{.gpu_mode = std::move(gpu_mode), .allow_set_ready = options.allow_set_ready, .allowed_exec = {}};
  for (const std::string& text : options.allow_exec) {
    const size_t colon = text.find(':');
    std::vector<std::string> argv;
    std::istringstream words(colon == std::string::npos ? "" : text.substr(colon + 1));
    for (std::string word; words >> word;) argv.push_back(word);
    if (argv.empty()) return Err("cli.bad-option", "--allow-exec " + text, "must be CONTAINER:COMMAND ARGUMENTS");
    out.allowed_exec[text.substr(0, colon)].push_back(argv);
  }
  return out;
}

// Every error of the manifest, not only the first.
int ReportManifest(Context& context, const std::vector<Error>& all, const Error& first) {
  if (all.empty()) return Report(context, first, kUsage);
  for (size_t i = 0; i + 1 < all.size(); ++i) Report(context, all[i], kUsage);
  return Report(context, all.back(), kUsage);
}

void Warn(Context& context, const std::string& text) { context.err << "ccgpu: warning: " << text << "\n"; }

// What a kubelet would add unless the manifest says no; the policy is made for a manifest that says so.
std::vector<std::string> RefusalsOf(const node::PodSpec& pod) {
  std::vector<std::string> out;
  if (!pod.kubernetes) return out;
  if (!pod.service_links) out.push_back("enableServiceLinks");
  if (!pod.automount_token) out.push_back("automountServiceAccountToken");
  return out;
}

void WarnAbout(Context& context, const node::PodSpec& pod, const TrustChoices& trust) {
  if (pod.runtime_class != "ccgpu")
    Warn(context, "runtimeClassName is not \"ccgpu\": nothing would enforce this policy");
  if (trust.insecure_accept_emulated)
    Warn(context, "the agent will accept emulated devices (insecureAcceptEmulated): for tests only");
}

// The pods of the manifest. ccgpu-node knows one kind, a cluster several.
Result<std::vector<node::Workload>> Read(const GenerateOptions& options, const std::string& text,
                                         std::vector<Error>* all) {
  if (options.kubernetes) return node::ParseWorkloads(text, options.manifest, options.default_namespace, all);
  ASSIGN_OR_RETURN(node::PodSpec pod, node::ParsePod(text, options.manifest, all));
  node::Workload one;
  one.kind = "Pod";
  one.name = pod.name;
  one.pod = std::move(pod);
  return std::vector<node::Workload>{std::move(one)};
}

struct Made {
  std::string kind, name, digest, policy;
};

// Puts one pod's policy into the manifest's text.
Result<Made> SealOne(const GenerateOptions& options, const node::Workload& workload,
                     const std::map<std::string, images::ImageInfo>& images, const TrustChoices& trust,
                     const PolicyChoices& choices, std::string& manifest) {
  ASSIGN_OR_RETURN(const policy::PodPolicy policy, MakePodPolicy(workload.pod, images, choices));
  const std::string initdata = MakeInitData(policy, trust);
  const std::string annotation = kbs::EncodeInitDataAnnotation(initdata);
  if (annotation.size() > kbs::kMaxInitDataAnnotation) {
    return Err("cli.policy-too-large", options.manifest,
               "the policy takes " + std::to_string(annotation.size()) + " bytes, annotations may have 256 KiB");
  }
  std::vector<std::string> path = workload.pod_at;
  path.insert(path.end(), {"metadata", "annotations"});
  ASSIGN_OR_RETURN(manifest, SetField(manifest, options.manifest,
                                      {workload.document, path, std::string(kbs::kInitDataAnnotation)}, annotation));
  path = workload.pod_at;
  path.push_back("spec");
  for (const std::string& field : RefusalsOf(workload.pod)) {
    ASSIGN_OR_RETURN(manifest, SetField(manifest, options.manifest, {workload.document, path, field}, "false"));
  }
  return Made{workload.kind, workload.name, DigestOf(initdata), policy::WritePodPolicy(policy)};
}

int Print(Context& context, const GenerateOptions& options, const std::string& manifest,
          const std::vector<Made>& made) {
  if (options.output.empty() && !context.json) {
    context.out << manifest;
    return kOk;
  }
  if (!options.output.empty()) {
    if (Status written = WriteFileAtomic(options.output, manifest); !written.ok())
      return Report(context, written.error(), kFailed);
  }
  if (!context.json) {
    for (const Made& one : made) {
      context.err << "wrote " << options.output << ", HOST_DATA " << one.digest
                  << (made.size() > 1 ? " of " + one.kind + " " + one.name : "") << "\n";
    }
    return kOk;
  }
  Json body = {{"digest", made[0].digest}, {"policy", made[0].policy}, {"output", options.output}};
  if (made.size() > 1) {
    body = {{"output", options.output}, {"pods", Json::array()}};
    for (const Made& one : made)
      body["pods"].push_back({{"kind", one.kind}, {"name", one.name}, {"digest", one.digest}, {"policy", one.policy}});
  }
  if (options.output.empty()) body["manifest"] = manifest;
  context.out << body.dump(2) << "\n";
  return kOk;
}

}  // namespace

int GeneratePolicy(Context& context, const GenerateOptions& options) {
  auto text = ReadFile(options.manifest, 4 << 20);
  if (!text.ok()) return Report(context, text.error(), kUsage);
  std::vector<Error> all;
  auto workloads = Read(options, *text, &all);
  if (!workloads.ok()) return ReportManifest(context, all, workloads.error());
  if (workloads->size() > 1)  // beside pods of ours, others stay as they are
    std::erase_if(*workloads, [](const node::Workload& one) { return one.pod.runtime_class != "ccgpu"; });
  if (workloads->empty())
    return Report(context, Err("input.no-workload", options.manifest, "no pod in it has runtimeClassName ccgpu"),
                  kUsage);
  auto images = Images(context, options);
  if (!images.ok()) return Report(context, images.error());
  std::string gpu_mode = options.gpu_mode;
  auto trust = Trust(context, options, &gpu_mode);
  if (!trust.ok()) return Report(context, trust.error());
  auto choices = Choices(options, gpu_mode);
  if (!choices.ok()) return Report(context, choices.error(), kUsage);
  std::string manifest = *text;
  std::vector<Made> made;
  for (const node::Workload& workload : *workloads) {
    auto one = SealOne(options, workload, *images, *trust, *choices, manifest);
    if (!one.ok()) return Report(context, one.error(), kUsage);
    made.push_back(std::move(*one));
  }
  if (!context.json) {
    for (const node::Workload& workload : *workloads) WarnAbout(context, workload.pod, *trust);
  }
  return Print(context, options, manifest, made);
}

}  // namespace ccgpu::cli
