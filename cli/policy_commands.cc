#include "cli/policy_commands.h"

#include <sstream>

#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"
#include "cli/deployment/deployment.h"
#include "cli/node_commands.h"
#include "cli/seal.h"
#include "trust/kbs/initdata.h"
#include "trust/policy/key_release.h"

namespace ccgpu::cli {
namespace {

struct Sealed {
  node::PodSpec pod;
  std::string initdata;
  policy::PodPolicy policy;
};

Result<Sealed> ReadSealed(const std::string& file) {
  Sealed out;
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file, 4 << 20));
  ASSIGN_OR_RETURN(out.pod, node::ParsePod(text, file));
  ASSIGN_OR_RETURN(out.initdata, InitDataOf(out.pod, file));
  ASSIGN_OR_RETURN(const kbs::InitData init, kbs::ParseInitData(out.initdata));
  const auto entry = init.data.find(std::string(policy::kPodPolicyEntry));
  if (entry == init.data.end())
    return Err("cli.not-sealed", file, "its initdata holds no " + std::string(policy::kPodPolicyEntry));
  ASSIGN_OR_RETURN(out.policy, policy::ParsePodPolicy(entry->second, std::string(policy::kPodPolicyEntry)));
  return out;
}

Result<std::map<std::string, images::ImageInfo>> Images(const Context& context, const GenerateOptions& options) {
  if (options.image_archives.empty()) return ImagesOfNode(context);
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
int ReportManifest(Context& context, const std::vector<Error>& all) {
  for (size_t i = 0; i + 1 < all.size(); ++i) Report(context, all[i], kUsage);
  return Report(context, all.back(), kUsage);
}

void Warn(Context& context, const std::string& text) { context.err << "ccgpu: warning: " << text << "\n"; }

void WarnAbout(Context& context, const node::PodSpec& pod, const TrustChoices& trust) {
  if (pod.runtime_class != "ccgpu")
    Warn(context, "runtimeClassName is not \"ccgpu\": nothing would enforce this policy");
  if (trust.insecure_accept_emulated)
    Warn(context, "the agent will accept emulated devices (insecureAcceptEmulated): for tests only");
}

}  // namespace

int GeneratePolicy(Context& context, const GenerateOptions& options) {
  auto text = ReadFile(options.manifest, 4 << 20);
  if (!text.ok()) return Report(context, text.error(), kUsage);
  std::vector<Error> all;
  auto pod = node::ParsePod(*text, options.manifest, &all);
  if (!pod.ok()) return all.empty() ? Report(context, pod.error(), kUsage) : ReportManifest(context, all);
  auto images = Images(context, options);
  if (!images.ok()) return Report(context, images.error());
  std::string gpu_mode = options.gpu_mode;
  auto trust = Trust(context, options, &gpu_mode);
  if (!trust.ok()) return Report(context, trust.error());
  auto choices = Choices(options, gpu_mode);
  if (!choices.ok()) return Report(context, choices.error(), kUsage);
  auto made = MakePodPolicy(*pod, *images, *choices);
  if (!made.ok()) return Report(context, made.error(), kUsage);
  const std::string initdata = MakeInitData(*made, *trust);
  const std::string annotation = kbs::EncodeInitDataAnnotation(initdata);
  if (annotation.size() > kbs::kMaxInitDataAnnotation) {
    return Report(context,
                  Err("cli.policy-too-large", options.manifest,
                      "the policy takes " + std::to_string(annotation.size()) + " bytes, annotations may have 256 KiB"),
                  kUsage);
  }
  auto sealed = Annotate(*text, options.manifest, annotation);
  if (!sealed.ok()) return Report(context, sealed.error(), kUsage);
  if (!context.json) WarnAbout(context, *pod, *trust);
  if (options.output.empty() && !context.json) {
    context.out << *sealed;
    return kOk;
  }
  if (!options.output.empty()) {
    if (Status written = WriteFileAtomic(options.output, *sealed); !written.ok())
      return Report(context, written.error(), kFailed);
  }
  if (context.json) {
    Json body = {{"digest", DigestOf(initdata)}, {"policy", policy::WritePodPolicy(*made)}, {"output", options.output}};
    if (options.output.empty()) body["manifest"] = *sealed;
    context.out << body.dump(2) << "\n";
  } else {
    context.err << "wrote " << options.output << ", HOST_DATA " << DigestOf(initdata) << "\n";
  }
  return kOk;
}

int DigestPolicy(Context& context, const std::string& manifest) {
  auto sealed = ReadSealed(manifest);
  if (!sealed.ok()) return Report(context, sealed.error(), kUsage);
  const std::string digest = DigestOf(sealed->initdata);
  context.out << (context.json ? Json{{"digest", digest}}.dump() : digest) << "\n";
  return kOk;
}

int ShowPolicy(Context& context, const std::string& manifest) {
  auto sealed = ReadSealed(manifest);
  if (!sealed.ok()) return Report(context, sealed.error(), kUsage);
  auto init = kbs::ParseInitData(sealed->initdata);
  if (!init.ok()) return Report(context, init.error(), kUsage);
  if (context.json) {
    context.out << Json{{"digest", DigestOf(sealed->initdata)}, {"data", init->data}}.dump(2) << "\n";
    return kOk;
  }
  for (const auto& [name, content] : init->data)
    context.out << "# ---- " << name << "\n" << content << (content.ends_with('\n') ? "" : "\n");
  return kOk;
}

int ExplainPolicy(Context& context, const std::string& manifest) {
  auto sealed = ReadSealed(manifest);
  if (!sealed.ok()) return Report(context, sealed.error(), kUsage);
  std::vector<std::string> lines = Explain(sealed->policy);
  auto init = kbs::ParseInitData(sealed->initdata);
  if (init.ok() && init->data.contains("aa.toml")) {
    if (auto broker = kbs::ParseAaToml(init->data["aa.toml"]); broker.ok()) {
      lines.push_back("Its keys come from " + broker->url +
                      (broker->cert_pem.empty() ? "" : ", known by its certificate") + ".");
    }
  } else {
    lines.push_back("It knows no broker: it can get no keys.");
  }
  if (init.ok() && init->data["ccgpu-trust.yaml"].find("insecureAcceptEmulated: true") != std::string::npos)
    lines.push_back("Its agent accepts EMULATED devices.");
  lines.push_back("Identity (HOST_DATA): " + DigestOf(sealed->initdata));
  if (context.json) {
    context.out << Json{{"digest", DigestOf(sealed->initdata)}, {"explanation", lines}}.dump(2) << "\n";
    return kOk;
  }
  for (const std::string& line : lines) context.out << line << "\n";
  return kOk;
}

int LintPolicy(Context& context, const std::string& file) {
  auto text = ReadFile(file, 4 << 20);
  if (!text.ok()) return Report(context, text.error(), kUsage);
  auto documents = ParseYaml(*text, file);
  if (!documents.ok()) return Report(context, documents.error(), kUsage);
  const std::string kind =
      documents->size() == 1 && (*documents)[0].IsMap() ? (*documents)[0]["kind"].as<std::string>("") : "";
  std::vector<Finding> findings;
  if (kind == "KeyReleasePolicy") {
    auto policy = policy::ParseKeyReleasePolicy(*text, file);
    if (!policy.ok()) return Report(context, policy.error(), kUsage);
    for (const std::string& environment : policy->environments) {
      if (environment == "emulated")
        findings.push_back({"lint.emulated", "spec.environment", "emulated evidence protects nothing: for tests only"});
    }
    if (policy->sandbox.any_pod)
      findings.push_back({"lint.any-pod", "spec.sandbox.anyPod", "every pod gets the resource, whatever it runs"});
    if (policy->sandbox.measurements.empty())
      findings.push_back({"lint.any-measurement", "spec.sandbox.measurements", "the sandbox's own code may be any"});
    if (policy->sandbox.allow_debug)
      findings.push_back({"lint.debug", "spec.sandbox.allowDebug", "the host can read a sandbox that it may debug"});
  } else if (kind == "PodPolicy") {
    auto policy = policy::ParsePodPolicy(*text, file);
    if (!policy.ok()) return Report(context, policy.error(), kUsage);
    findings = Lint(*policy);
  } else {
    auto sealed = ReadSealed(file);
    if (!sealed.ok()) return Report(context, sealed.error(), kUsage);
    findings = Lint(sealed->policy);
    if (sealed->pod.runtime_class != "ccgpu")
      findings.push_back(
          {"lint.runtime-class", "spec.runtimeClassName", "is not \"ccgpu\": nothing would enforce the policy"});
    if (sealed->initdata.find("insecureAcceptEmulated: true") != std::string::npos) {
      findings.push_back({"lint.emulated", "ccgpu-trust.yaml", "the agent accepts emulated devices: for tests only"});
    }
  }
  if (context.json) {
    Json list = Json::array();
    for (const Finding& one : findings)
      list.push_back({{"code", one.code}, {"subject", one.subject}, {"text", one.text}});
    context.out << Json{{"findings", list}}.dump(2) << "\n";
  } else {
    for (const Finding& one : findings)
      context.out << "warning: " << one.subject << ": " << one.text << " [" << one.code << "]\n";
    if (findings.empty()) context.out << "nothing to say\n";
  }
  return kOk;
}

}  // namespace ccgpu::cli
