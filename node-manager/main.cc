// ccgpu-node-manager: what Kubernetes hears of a node's confidential GPUs, and what it asks of them; and the chart's
// hooks.
#include <signal.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "base/program.h"
#include "node-manager/service/config.h"
#include "node-manager/setup/setup.h"

using namespace ccgpu;

namespace {

// Exit codes: 0 done, 1 failed, 2 wrong usage.
int Ended(const Status& status) {
  if (status.ok()) return 0;
  log::Error("failed", {{"why", status.error().ToString()}, {"code", status.error().code}});
  return status.error().code == "manager.bad-config" ? 2 : 1;
}

Result<std::unique_ptr<kube::Client>> Connect(kube::Access access) {
  RETURN_IF_ERROR(access.FillInCluster());
  kube::Options options;
  options.user_agent = "ccgpu-node-manager/" CCGPU_VERSION;
  options.retry_for = std::chrono::seconds(120);
  return kube::Client::Make(access, options);
}

Status FillNamespace(std::string& ns) {
  if (!ns.empty()) return Ok();
  ASSIGN_OR_RETURN(ns, kube::PodNamespace());
  return Ok();
}

Status RunSetup(const kube::Access& access, nodemanager::SetupOptions options) {
  RETURN_IF_ERROR(FillNamespace(options.ns));
  ASSIGN_OR_RETURN(const auto client, Connect(access));
  return nodemanager::Setup(*client, options);
}

Status RunTeardown(const kube::Access& access, nodemanager::TeardownOptions options) {
  RETURN_IF_ERROR(FillNamespace(options.ns));
  ASSIGN_OR_RETURN(const auto client, Connect(access));
  const auto timer = kube::MakeSystemTimer();
  return nodemanager::Teardown(*client, options, *timer);
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  umask(0077);

  nodemanager::RunConfig config;
  nodemanager::SetupOptions setup;
  nodemanager::TeardownOptions teardown;
  std::string config_file = ConfigArgument(argc, argv);
  if (const char* node = std::getenv("NODE_NAME"); node != nullptr) config.node = node;
  CLI::App app("ccgpu-node-manager: a node's confidential GPUs as Kubernetes sees them");
  app.set_version_flag("--version", "ccgpu-node-manager " CCGPU_VERSION);
  if (!config_file.empty()) {
    if (auto loaded = nodemanager::LoadConfig(config_file, config); !loaded.ok()) {
      std::fprintf(stderr, "%s\n", loaded.error().ToString().c_str());
      return 2;
    }
  }
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--api-server", config.api_server, "https://HOST:PORT of the Kubernetes API [of the pod's cluster]");
  app.add_option("--token-file", config.token_file, "bearer token [of the pod's service account]");
  app.add_option("--ca-file", config.ca_file, "certificates of the API's CA [of the pod's service account]");
  app.add_option("--log-level", config.log_level)->check(CLI::IsMember({"debug", "info", "warning", "error"}));

  auto* run = app.add_subcommand("run", "labels, mode switches, pods' events and conditions of one node");
  run->add_option("--config", config_file, "YAML file (kind NodeManagerConfig); flags go over it");
  run->add_option("--node", config.node, "name of our Node [$NODE_NAME]");
  run->add_option("--emulator-socket", config.emulator_socket, "the emulator's control socket")->capture_default_str();
  run->add_option("--resolver-socket", config.resolver_socket, "the device plugin's socket; empty: not watched")
      ->capture_default_str();
  run->add_option("--events-dir", config.events_dir, "the shims' event files")->capture_default_str();
  run->add_option("--state-dir", config.state_dir, "how far pods' events were told")->capture_default_str();
  run->add_option("--http", config.http, "address of /metrics, /healthz, /readyz; empty: none")->capture_default_str();
  run->add_option("--resource", config.resource, "the extended resource's name")->capture_default_str();
  run->add_option("--default-mode", config.default_mode, "mode of nodes without the label ccgpu.dev/cc.mode");
  run->add_option("--drain-timeout", config.drain_timeout, "seconds that a mode switch may take")
      ->capture_default_str();

  auto* make = app.add_subcommand("setup", "chart hook: makes Secrets and the ConfigMap where there are none");
  make->add_option("--identity", setup.identity, "state folder of ccgpu-emulator --identities-only")->required();
  make->add_option("--broker", setup.broker, "state folder of ccgpu-broker --init-only")->required();
  make->add_option("--kbs-url", setup.kbs_url, "the broker as pods reach it")->required();
  make->add_option("--rim-url", setup.rim_url)->required();
  make->add_option("--ocsp-url", setup.ocsp_url)->required();
  make->add_option("--pcs-url", setup.pcs_url)->required();
  make->add_option("--enable-node", setup.enable_nodes, "label this node ccgpu.dev/enabled=true; *: every node");
  make->add_flag("--insecure-accept-emulated", setup.accept_emulated, "pods' owners may believe emulated evidence");
  auto* remove = app.add_subcommand("teardown", "chart hook: puts nodes back, removes what setup made");
  int64_t timeout = teardown.timeout.count();
  remove->add_option("--timeout", timeout, "seconds to wait for the nodes")->capture_default_str();
  for (auto* hook : {make, remove}) {
    hook->add_option("--namespace", setup.ns, "[the pod's own]");
    hook->add_option("--name", setup.name, "Secrets, ConfigMap and the installer's DaemonSet are called NAME-...")
        ->capture_default_str();
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  log::Init("ccgpu-node-manager", LogLevelNamed(config.log_level));
  const kube::Access access{config.api_server, config.token_file, config.ca_file};
  if (make->parsed()) return Ended(RunSetup(access, setup));
  if (remove->parsed()) {
    teardown.ns = setup.ns;
    teardown.name = setup.name;
    teardown.timeout = std::chrono::seconds(timeout);
    return Ended(RunTeardown(access, teardown));
  }
  log::AddContext("node", config.node);
  return Ended(nodemanager::Run(config, CCGPU_VERSION));
}
