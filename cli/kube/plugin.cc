#include "cli/kube/plugin.h"

#include <CLI/CLI.hpp>

#include "cli/commands_parts.h"
#include "cli/completion.h"
#include "cli/kube/explain_pod.h"
#include "cli/kube/secrets.h"
#include "cli/kube/status.h"
#include "cli/kube/verify_pod.h"
#include "cli/policy_commands.h"

namespace ccgpu::cli {
namespace {

constexpr const char* kFooter =
    "Exit codes:\n"
    "  0  done; status: nothing is wrong; verify: accepted; explain: the pod is well\n"
    "  1  status, explain: something is wrong; verify: refused; else: it could not be done\n"
    "  2  wrong arguments, or a file or pod that is not what it should be\n"
    "  4  no API server, agent or broker answers\n"
    " 10..20  verify with --exit-class: the kind of refusal (docs/cli.md)\n\n"
    "kubectl is found in PATH, or named by $KUBECTL. Documentation: docs/cli.md.";

// What the command line says of the cluster; read when the command runs.
struct Words {
  KubectlOptions kubectl;
  std::string system_namespace = "ccgpu-system";
  Cluster Open() const { return Cluster{Kubectl(kubectl), system_namespace}; }
};
using Shared = std::shared_ptr<Words>;

void AddStatus(CLI::App& app, const Shared& words, Action& action) {
  app.add_subcommand("status", "Nodes, components and pods, and what is wrong with them")->callback([=, &action] {
    action = [=](Context& context) { return ShowStatus(context, words->Open()); };
  });
}

void AddVerify(CLI::App& app, const Shared& words, Action& action, crypto::Random& random) {
  auto options = std::make_shared<VerifyPodOptions>();
  auto judge = std::make_shared<JudgeOptions>();
  auto* verify = app.add_subcommand("verify", "Fresh evidence of a pod, judged here and not in the cluster");
  verify->add_option("POD", options->pod, "[NAMESPACE/]NAME")->required();
  AddJudging(*verify, judge);
  verify->add_option("--sealed", options->sealed_file, "The sealed manifest that the pod must have been made from")
      ->check(CLI::ExistingFile);
  verify->add_flag("--trust-from-cluster", options->trust_from_cluster,
                   "Roots out of the cluster's ConfigMap ccgpu-trust: whoever writes it decides what is genuine");
  verify->add_option("--output,-o", options->output, "Keep the evidence there");
  verify->callback([=, &action, &random] {
    action = [=, &random](Context& context) {
      options->judge = *judge;
      return VerifyPod(context, words->Open(), *options, random);
    };
  });
}

void AddExplain(CLI::App& app, const Shared& words, Action& action) {
  auto pod = std::make_shared<std::string>();
  auto* explain = app.add_subcommand("explain", "Why a pod does not run or has no keys, and what to do");
  explain->add_option("POD", *pod, "[NAMESPACE/]NAME")->required();
  explain->callback(
      [=, &action] { action = [=](Context& context) { return ExplainPod(context, words->Open(), *pod); }; });
}

// Broker, CA and roots out of the cluster, unless the options name them all.
int Generate(Context& context, const Cluster& cluster, GenerateOptions options) {
  options.kubernetes = true;
  if (auto name = cluster.kubectl.Namespace(); name.ok()) options.default_namespace = *name;
  else if (name.error().code == "cli.no-kubectl") return Report(context, name.error());
  if (!options.no_broker && options.kbs_url.empty()) {
    auto map = ReadTrustMap(cluster);
    if (!map.ok()) return Report(context, map.error());
    options.cluster = map->choices;
    if (!context.json)
      context.err << "kubectl ccgpu: warning: the pod will believe the broker and roots that ConfigMap "
                  << cluster.system_namespace
                  << "/ccgpu-trust names; --kbs-url, --kbs-cert, --device-root and --rim-root "
                  << "make them yours\n";
  }
  return GeneratePolicy(context, options);
}

void AddPolicy(CLI::App& app, const Shared& words, Action& action) {
  auto* policy = app.add_subcommand("policy", "Policies of pods");
  policy->require_subcommand(1);
  auto options = std::make_shared<GenerateOptions>();
  AddGenerate(*policy, options)->callback([=, &action] {
    action = [=](Context& context) { return Generate(context, words->Open(), *options); };
  });
  AddPolicyReaders(*policy, action);
}

void AddSecret(CLI::App& app, const Shared& words, Action& action) {
  auto* secret = app.add_subcommand("secret", "Resources of the cluster's key broker");
  secret->require_subcommand(1);
  struct Names {
    ClusterBrokerOptions broker;
    std::string resource, file, release;
  };
  auto names = std::make_shared<Names>();
  secret->add_option("--broker-service", names->broker.service, "The broker's Service")->capture_default_str();
  secret->add_option("--broker-ca", names->broker.ca_file, "PEM of the broker's CA; default: ConfigMap ccgpu-trust")
      ->check(CLI::ExistingFile);
  secret->add_option("--token-file", names->broker.token_file, "Admin token; default: Secret ccgpu-broker")
      ->check(CLI::ExistingFile);
  const auto run = [=, &action](std::function<int(Context&, const BrokerOptions&)> act) {
    action = [=](Context& context) {
      return WithBroker(context, words->Open(), names->broker,
                        [&](const BrokerOptions& broker) { return act(context, broker); });
    };
  };
  auto* put = secret->add_subcommand("put", "Store a resource, with the policy that says who gets it");
  put->add_option("RESOURCE", names->resource, "repository/type/tag")->required();
  put->add_option("FILE", names->file, "Its content; - for standard input")->required();
  put->add_option("--release", names->release, "KeyReleasePolicy (YAML)")->check(CLI::ExistingFile);
  put->callback([=] {
    run([=](Context& context, const BrokerOptions& broker) {
      return PutSecret(context, broker, names->resource, names->file, names->release);
    });
  });
  secret->add_subcommand("list", "List resources (never their content)")->callback([=] { run(ListSecrets); });
  auto* remove = secret->add_subcommand("rm", "Delete a resource and its release policy")->alias("delete");
  remove->add_option("RESOURCE", names->resource, "repository/type/tag")->required();
  remove->callback([=] {
    run([=](Context& context, const BrokerOptions& broker) { return DeleteSecret(context, broker, names->resource); });
  });
  auto* decisions = secret->add_subcommand("decisions", "Who asked for what, and why it was given or not");
  decisions->callback([=] {
    run([](Context& context, const BrokerOptions& broker) { return ListDecisions(context, broker, 100, true); });
  });
}

}  // namespace

int PluginMain(int argc, const char* const* argv, const char* version, std::ostream& out, std::ostream& err,
               const Clock& clock, crypto::Random& random) {
  CLI::App app("Confidential-GPU pods of a Kubernetes cluster", "kubectl-ccgpu");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("kubectl-ccgpu ") + version);
  app.require_subcommand(1);
  app.fallthrough();  // kubectl's flags may stand anywhere
  auto words = std::make_shared<Words>();
  bool json = false;
  app.add_option("--kubeconfig", words->kubectl.kubeconfig, "As kubectl's");
  app.add_option("--context", words->kubectl.context, "As kubectl's");
  app.add_option("--cluster", words->kubectl.cluster, "As kubectl's");
  app.add_option("--user", words->kubectl.user, "As kubectl's");
  app.add_option("--namespace,-n", words->kubectl.pod_namespace, "As kubectl's");
  app.add_option("--system-namespace", words->system_namespace, "Where ccgpu is installed")->capture_default_str();
  app.add_flag("--json", json, "Answer in JSON");
  Action action;
  AddStatus(app, words, action);
  AddVerify(app, words, action, random);
  AddExplain(app, words, action);
  AddPolicy(app, words, action);
  AddSecret(app, words, action);
  auto shell = std::make_shared<std::string>();
  auto* completion = app.add_subcommand("completion", "A completion script: source <(kubectl ccgpu completion bash)");
  completion->add_option("SHELL", *shell, "bash or zsh")->required()->check(CLI::IsMember({"bash", "zsh"}));
  completion->callback([&] {
    action = [&, shell](Context& context) {
      return context.out << CompletionScript(app, *shell), static_cast<int>(kOk);
    };
  });
  // No deployment of `ccgpu up` on this machine has a say here.
  Context context{{"/nonexistent"}, false, out, err, clock};
  try {
    app.parse(argc, argv);
    context.json = json;
    return action(context);
  } catch (const CLI::ParseError& e) {
    return app.exit(e, out, err) == 0 ? kOk : kUsage;
  } catch (const std::exception& e) {
    return Report(context, Err("cli.internal", "kubectl-ccgpu", e.what()), kFailed);
  }
}

}  // namespace ccgpu::cli
