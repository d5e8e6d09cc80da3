#include "cli/commands.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>

#include "cli/commands_parts.h"
#include "cli/completion.h"
#include "cli/context.h"
#include "cli/deployment/deployment.h"
#include "cli/gpu_commands.h"
#include "cli/node_commands.h"
#include "cli/policy_commands.h"
#include "cli/secret_commands.h"

namespace ccgpu::cli {
namespace {

constexpr const char* kFooter =
    "Exit codes:\n"
    "  0  done; run: every container exited 0; evidence verify: accepted\n"
    "  1  run: a container failed or the time was over; evidence verify: refused; else: it could not be done\n"
    "  2  wrong arguments, or a file that is not what it should be\n"
    "  3  run, exec: refused by a policy or an attestation\n"
    "  4  the deployment does not run or does not answer\n"
    " 10..20  evidence verify, explain with --exit-class: the kind of refusal (docs/cli.md)\n\n"
    "Start: ccgpu up --insecure-accept-emulated; ccgpu run POD.yaml. Documentation: docs/cli.md.";

void AddUpDown(CLI::App& app, Action& action) {
  auto* up = app.add_subcommand("up", "Bring up one node on this machine; returns when pods can run");
  auto options = std::make_shared<deployment::UpOptions>();
  up->add_option("--gpus", options->gpus, "Number of emulated GPUs")->check(CLI::Range(0, 8))->capture_default_str();
  up->add_option("--profile", options->profile, "GPU profile: h100-ncc-v5, a100-ncc-v4, a100-nc")
      ->capture_default_str();
  up->add_option("--platform", options->platform, "The CPU that pods run on: snp, tdx, tdx-v5 or vtpm")
      ->check(CLI::IsMember({"snp", "tdx", "tdx-v5", "vtpm"}))
      ->capture_default_str();
  up->add_option("--platform-fault", options->platform_fault, "A fault of a tdx platform (docs/formats/tdx-quote.md)")
      ->capture_default_str();
  up->add_flag("--insecure-accept-emulated", options->insecure_accept_emulated,
               "Broker and agents accept emulated evidence; for tests only");
  up->add_option("--image", options->image_archives, "Import this OCI or docker archive too (may be repeated)")
      ->check(CLI::ExistingFile);
  up->callback([options, &action] {
    action = [options](Context& context) {
      options->layout = context.layout;
      bool was_up = false;
      const Status done = deployment::Up(*options, [&](const std::string& line) {
        was_up = was_up || line == "already up";
        if (!context.json) context.err << line << std::endl;
      });
      if (!done.ok()) return Report(context, done.error());
      if (was_up && !options->image_archives.empty()) return ImportImages(context, options->image_archives);
      context.out << (context.json ? "{\"up\":true}" : "up") << "\n";
      return static_cast<int>(kOk);
    };
  });
  auto* down = app.add_subcommand("down", "Stop everything that `up` started; secrets and images stay");
  down->callback([&action] {
    action = [](Context& context) {
      const Status done = deployment::Down(context.layout, [&](const std::string& line) {
        if (!context.json) context.err << line << std::endl;
      });
      if (!done.ok()) return Report(context, done.error());
      context.out << (context.json ? "{\"up\":false}" : "down") << "\n";
      return static_cast<int>(kOk);
    };
  });
}

void AddPods(CLI::App& app, Action& action) {
  auto* run = app.add_subcommand("run", "Run a pod; stream its logs and events; end with its result");
  auto options = std::make_shared<RunOptions>();
  auto remove = std::make_shared<bool>(false), quiet = std::make_shared<bool>(false);
  run->add_option("POD.yaml", options->manifest, "A v1/Pod; - for standard input")->required();
  run->add_option("--timeout", options->timeout_seconds, "Give up after this long (60s, 5m)")->transform(Seconds());
  run->add_flag("--detach,-d", options->detach, "Return once every container runs");
  run->add_flag("--rm", *remove, "Remove the pod when it is finished");
  run->add_flag("--quiet,-q", *quiet, "No events, only the containers' output");
  run->callback([=, &action] {
    options->keep = !*remove;
    options->events = !*quiet;
    action = [options](Context& context) { return RunPod(context, *options); };
  });

  app.add_subcommand("ps", "List the pods")->callback([&action] { action = ListPods; });

  struct Names {
    std::vector<std::string> pods, command;
    std::string pod, container;
    bool follow = false, force = false;
    int timeout = 0;
  };
  auto names = std::make_shared<Names>();
  auto* logs = app.add_subcommand("logs", "What a pod's containers wrote");
  logs->add_option("POD", names->pod, "[NAMESPACE/]NAME")->required();
  logs->add_option("--container,-c", names->container, "Only this container");
  logs->add_flag("--follow,-f", names->follow, "Go on until the pod is finished");
  logs->callback([=, &action] {
    action = [names](Context& context) {
      return PodLogs(context, ParsePodName(names->pod), names->container, names->follow);
    };
  });
  auto* describe = app.add_subcommand("describe", "A pod's state, events, attestation and GPUs");
  describe->add_option("POD", names->pod, "[NAMESPACE/]NAME")->required();
  describe->callback(
      [=, &action] { action = [names](Context& context) { return DescribePod(context, ParsePodName(names->pod)); }; });
  auto* rm = app.add_subcommand("rm", "Stop and remove pods");
  rm->add_option("POD", names->pods, "[NAMESPACE/]NAME")->required();
  rm->add_flag("--force", names->force, "Kill at once");
  rm->callback([=, &action] {
    action = [names](Context& context) {
      std::vector<PodName> pods;
      for (const std::string& name : names->pods) pods.push_back(ParsePodName(name));
      return RemovePods(context, pods, names->force);
    };
  });
  auto* exec = app.add_subcommand("exec", "Run a command in a container, if its policy allows that command");
  exec->add_option("POD", names->pod, "[NAMESPACE/]NAME")->required();
  exec->add_option("--container,-c", names->container, "Which one; not needed when there is one");
  exec->add_option("--timeout", names->timeout, "Give up after this long")->transform(Seconds());
  exec->add_option("COMMAND", names->command, "Program and arguments, after --")->required();
  exec->callback([=, &action] {
    action = [names](Context& context) {
      return ExecInPod(context, ParsePodName(names->pod), names->container, names->command, names->timeout);
    };
  });
}

void AddImages(CLI::App& app, Action& action) {
  auto* image = app.add_subcommand("image", "Images of the node");
  image->require_subcommand(1);
  image->add_subcommand("list", "List them, with the digests that policies bind")->callback([&action] {
    action = ListImages;
  });
  auto archives = std::make_shared<std::vector<std::string>>();
  auto* import = image->add_subcommand("import", "Import OCI or docker archives");
  import->add_option("FILE", *archives, "Archives (docker save, skopeo copy ... oci-archive:)")->required();
  import->callback(
      [=, &action] { action = [archives](Context& context) { return ImportImages(context, *archives); }; });
  auto path = std::make_shared<std::string>();
  auto* digest = image->add_subcommand("digest", "The digest of all files of an archive's images, or of a folder");
  digest->add_option("PATH", *path, "Archive or folder")->required()->check(CLI::ExistingPath);
  digest->callback([=, &action] { action = [path](Context& context) { return DigestImage(context, *path); }; });
}

void AddGpus(CLI::App& app, Action& action) {
  auto* gpu = app.add_subcommand("gpu", "The emulated GPUs, as the host's administrator");
  gpu->require_subcommand(1);
  auto which = std::make_shared<std::string>(), word = std::make_shared<std::string>();
  gpu->add_subcommand("list", "List them")->callback([&action] { action = ListGpus; });
  auto* mode = gpu->add_subcommand("mode", "Set a GPU's confidential computing mode (resets it)");
  mode->add_option("GPU", *which, "Index or UUID")->required();
  mode->add_option("MODE", *word, "off, devtools, apm or hopper-cc")
      ->required()
      ->check(CLI::IsMember({"off", "devtools", "apm", "hopper-cc"}));
  mode->callback([=, &action] { action = [=](Context& context) { return SetGpuMode(context, *which, *word); }; });
  auto* fault = gpu->add_subcommand("fault", "Attack or break a GPU");
  fault->add_option("GPU", *which, "Index or UUID")->required();
  fault
      ->add_option("FAULT", *word,
                   "firmware, debug, revoke, hold, rim-revoke, rim-hold, swap, drop, hang, or none to end it")
      ->required()
      ->check(CLI::IsMember(
          {"none", "firmware", "debug", "revoke", "hold", "rim-revoke", "rim-hold", "swap", "drop", "hang"}));
  fault->callback([=, &action] { action = [=](Context& context) { return InjectGpuFault(context, *which, *word); }; });
  auto* reset = gpu->add_subcommand("reset", "Erase a GPU's memory and keys; a pod that holds it loses it");
  reset->add_option("GPU", *which, "Index or UUID")->required();
  reset->callback([=, &action] { action = [=](Context& context) { return ResetGpu(context, *which); }; });
}

void AddSecrets(CLI::App& app, Action& action) {
  auto* secret = app.add_subcommand("secret", "Resources of the key broker");
  secret->require_subcommand(1);
  struct Words {
    BrokerOptions broker;
    std::string resource, file, release;
    int limit = 100;
    bool verify = false;
  };
  auto words = std::make_shared<Words>();
  secret->add_option("--broker-url", words->broker.url, "https://HOST:PORT; default: the deployment's");
  secret->add_option("--broker-ca", words->broker.ca_file, "PEM of the broker's CA; default: the deployment's");
  secret->add_option("--token-file", words->broker.token_file, "Admin token; default: the deployment's");
  auto* put = secret->add_subcommand("put", "Store a resource, with the policy that says who gets it");
  put->add_option("RESOURCE", words->resource, "repository/type/tag")->required();
  put->add_option("FILE", words->file, "Its content; - for standard input")->required();
  put->add_option("--release", words->release, "KeyReleasePolicy (YAML)")->check(CLI::ExistingFile);
  put->callback([=, &action] {
    action = [=](Context& context) {
      return PutSecret(context, words->broker, words->resource, words->file, words->release);
    };
  });
  secret->add_subcommand("list", "List resources (never their content)")->callback([=, &action] {
    action = [=](Context& context) { return ListSecrets(context, words->broker); };
  });
  auto* remove = secret->add_subcommand("delete", "Delete a resource and its release policy");
  remove->add_option("RESOURCE", words->resource, "repository/type/tag")->required();
  remove->callback([=, &action] {
    action = [=](Context& context) { return DeleteSecret(context, words->broker, words->resource); };
  });
  auto* decisions =
      secret->add_subcommand("decisions", "The broker's record of who asked for what, and why it was given or not");
  decisions->add_option("--limit", words->limit, "At most so many")->check(CLI::Range(1, 1000))->capture_default_str();
  decisions->add_flag("--verify", words->verify, "Check the record's hash chain too");
  decisions->callback([=, &action] {
    action = [=](Context& context) { return ListDecisions(context, words->broker, words->limit, words->verify); };
  });
}

}  // namespace

CLI::AsNumberWithUnit Seconds() {
  return CLI::AsNumberWithUnit(std::map<std::string, int>{{"s", 1}, {"m", 60}, {"h", 3600}},
                               CLI::AsNumberWithUnit::CASE_SENSITIVE, "TIME");
}

int Main(int argc, const char* const* argv, const char* version, std::ostream& out, std::ostream& err,
         const Clock& clock, crypto::Random& random) {
  CLI::App app("Confidential-GPU pods on one machine", "ccgpu");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("ccgpu ") + version);
  app.require_subcommand(1);
  app.fallthrough();  // --state and --json may stand anywhere
  std::string state = "/var/lib/ccgpu";
  bool json = false;
  app.add_option("--state", state, "State directory of the deployment")->envname("CCGPU_STATE")->capture_default_str();
  app.add_flag("--json", json, "Answer in JSON");
  Action action;
  AddUpDown(app, action);
  AddPods(app, action);
  AddImages(app, action);
  AddGpus(app, action);
  AddSecrets(app, action);
  AddPolicies(app, action);
  AddEvidence(app, action, random);
  AddCollateral(app, action);
  auto shell = std::make_shared<std::string>();
  auto* completion = app.add_subcommand("completion", "A completion script: source <(ccgpu completion bash)");
  completion->add_option("SHELL", *shell, "bash or zsh")->required()->check(CLI::IsMember({"bash", "zsh"}));
  completion->callback([&] {
    action = [&, shell](Context& context) {
      return context.out << CompletionScript(app, *shell), static_cast<int>(kOk);
    };
  });

  Context context{{std::filesystem::absolute(state).string()}, false, out, err, clock};
  try {
    app.parse(argc, argv);
    context.layout.state = std::filesystem::absolute(state).lexically_normal().string();
    context.json = json;
    return action(context);
  } catch (const CLI::ParseError& e) {
    return app.exit(e, out, err) == 0 ? kOk : kUsage;
  } catch (const std::exception& e) {
    return Report(context, Err("cli.internal", "ccgpu", e.what()), kFailed);
  }
}

}  // namespace ccgpu::cli
