// ccgpu-node: runs pods on one machine without Kubernetes, on a real containerd.
#include <signal.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>

#include "base/program.h"
#include "node/service/config.h"

using namespace ccgpu;

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  umask(0022);

  node::Config config;
  std::string state = DefaultStateFolder();
  // The file is the ground, flags go over it: so it is read before the flags are parsed.
  std::string config_file = ConfigArgument(argc, argv);
  CLI::App app("ccgpu-node: the kubelet's part for one machine without Kubernetes");
  app.set_version_flag("--version", "ccgpu-node " CCGPU_VERSION);
  if (!config_file.empty()) {
    if (auto loaded = node::LoadConfig(config_file, config); !loaded.ok()) {
      std::fprintf(stderr, "%s\n", loaded.error().ToString().c_str());
      return 2;
    }
  }
  app.add_option("--config", config_file, "YAML file (kind NodeConfig); flags go over it");
  app.add_option("--state", state, "state folder of the deployment; gives the defaults of all paths [$CCGPU_STATE]");
  app.add_option("--containerd-address", config.containerd_address, "containerd's socket");
  app.add_option("--device-plugin-dir", config.device_plugin_dir,
                 "folder of kubelet.sock, where device plugins register");
  app.add_option("--pod-resources-dir", config.pod_resources_dir, "folder of the PodResources socket");
  app.add_option("--node-socket", config.node_socket, "our own API, for the ccgpu command");
  app.add_option("--cgroup-parent", config.cgroup_parent, "cgroup that pods are put below; empty: the runtime's choice")
      ->capture_default_str();
  app.add_option("--log-level", config.log_level)->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_option("--log-format", config.log_format, "text or json [$CCGPU_LOG_FORMAT]")
      ->check(CLI::IsMember({"text", "json"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  config.FillFrom(state);
  log::Init("ccgpu-node", LogLevelNamed(config.log_level));
  log::SetFormat(config.log_format);
  if (auto served = node::Serve(config); !served.ok()) {
    log::Error("cannot run", {{"why", served.error().ToString()}});
    return served.error().code == "node.bad-config" ? 2 : 1;
  }
  return 0;
}
