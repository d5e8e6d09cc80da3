// The words of `ccgpu policy`, which `kubectl ccgpu policy` shares.
#include "cli/commands_parts.h"
#include "cli/policy_commands.h"

namespace ccgpu::cli {

CLI::App* AddGenerate(CLI::App& policy, const std::shared_ptr<GenerateOptions>& options) {
  auto* generate = policy.add_subcommand("generate", "Seal a pod: put its policy into its annotations");
  generate->add_option("POD.yaml", options->manifest, "A v1/Pod; for a cluster Deployments and other workloads too")
      ->required()
      ->check(CLI::ExistingFile);
  generate->add_option("--output,-o", options->output, "Where to write; default: standard output");
  generate
      ->add_option("--image-archive", options->image_archives,
                   "Read images from this archive instead of the node (may be repeated)")
      ->check(CLI::ExistingFile);
  generate->add_option("--kbs-url", options->kbs_url, "Broker, as pods reach it; default: the deployment's");
  generate->add_option("--kbs-cert", options->kbs_cert_file, "PEM of the broker's CA")->check(CLI::ExistingFile);
  generate
      ->add_option("--device-root", options->device_root_files,
                   "PEM of a GPU identity root the agent accepts besides NVIDIA's")
      ->check(CLI::ExistingFile);
  generate
      ->add_option("--rim-root", options->rim_root_files,
                   "PEM of a reference value root the agent accepts besides NVIDIA's")
      ->check(CLI::ExistingFile);
  generate->add_flag("--insecure-accept-emulated", options->insecure_accept_emulated,
                     "The agent accepts emulated GPUs; for tests only");
  generate->add_flag("--no-broker", options->no_broker, "Seal without a broker: the pod gets no keys");
  generate->add_option("--gpu-mode", options->gpu_mode, "Mode the GPUs must be in")
      ->check(CLI::IsMember({"off", "devtools", "apm", "hopper-cc"}));
  generate->add_flag("--allow-set-ready", options->allow_set_ready, "Containers may unlock the GPU themselves");
  generate->add_option("--allow-exec", options->allow_exec,
                       "CONTAINER:COMMAND ARGS that `exec` may run (may be repeated)");
  return generate;
}

void AddPolicyReaders(CLI::App& policy, Action& action) {
  auto file = std::make_shared<std::string>();
  const auto reader = [&](const char* name, const char* what, int (*call)(Context&, const std::string&)) {
    auto* sub = policy.add_subcommand(name, what);
    sub->add_option("FILE", *file, "A sealed manifest")->required()->check(CLI::ExistingFile);
    sub->callback([=, &action] { action = [=](Context& context) { return call(context, *file); }; });
  };
  reader("digest", "sha256:... = HOST_DATA of the pod, for release policies", DigestPolicy);
  reader("show", "The documents inside a sealed manifest", ShowPolicy);
  reader("explain", "In plain words: what may run, and what is refused", ExplainPolicy);
  reader("lint", "Warnings about a sealed manifest, PodPolicy or KeyReleasePolicy", LintPolicy);
}

void AddPolicies(CLI::App& app, Action& action) {
  auto* policy = app.add_subcommand("policy", "Policies of pods");
  policy->require_subcommand(1);
  auto options = std::make_shared<GenerateOptions>();
  auto* generate = AddGenerate(*policy, options);
  generate->add_flag("--kubernetes", options->kubernetes,
                     "For a cluster's kubelet: workloads too; images from --image-archive, the broker from --kbs-url");
  generate->callback([=, &action] { action = [=](Context& context) { return GeneratePolicy(context, *options); }; });
  AddPolicyReaders(*policy, action);
}

}  // namespace ccgpu::cli
