// ccgpu-device-plugin: tells a kubelet about the node's confidential GPUs, and shims which pod holds which.
#include <signal.h>
#include <sys/stat.h>

#include <CLI/CLI.hpp>

#include "base/program.h"
#include "device-plugin/plugin/config.h"

using namespace ccgpu;

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  umask(0077);

  deviceplugin::Config config;
  std::string state = DefaultStateFolder();
  // The file is the ground, flags go over it: so it is read before the flags are parsed.
  std::string config_file = ConfigArgument(argc, argv);
  CLI::App app("ccgpu-device-plugin: the Kubernetes device plugin of " + config.resource);
  app.set_version_flag("--version", "ccgpu-device-plugin " CCGPU_VERSION);
  if (!config_file.empty()) {
    if (auto loaded = deviceplugin::LoadConfig(config_file, config); !loaded.ok()) {
      std::fprintf(stderr, "%s\n", loaded.error().ToString().c_str());
      return 2;
    }
  }
  app.add_option("--config", config_file, "YAML file (kind DevicePluginConfig); flags go over it");
  app.add_option("--state", state, "state folder of the deployment; gives the defaults of all paths [$CCGPU_STATE]");
  app.add_option("--emulator-socket", config.emulator_socket, "the emulator's control socket");
  app.add_option("--mode", config.mode, "register: call the kubelet; watcher: be found by its plugin watcher")
      ->check(CLI::IsMember({"register", "watcher"}));
  app.add_option("--kubelet-dir", config.kubelet_dir, "the kubelet's device-plugins folder (mode register)");
  app.add_option("--plugin-watcher-dir", config.plugin_watcher_dir,
                 "the kubelet's plugins_registry folder (mode watcher)");
  app.add_option("--pod-resources-socket", config.pod_resources_socket, "the kubelet's PodResources socket");
  app.add_option("--resolver-socket", config.resolver_socket, "where shims ask which GPUs a pod holds (ttrpc)");
  app.add_option("--cdi-dir", config.cdi_dir, "folder of CDI spec files");
  app.add_option("--http", config.http, "address of /metrics, /healthz, /readyz; empty: none")->capture_default_str();
  app.add_option("--resource", config.resource, "the extended resource's name")->capture_default_str();
  app.add_option("--allowed-modes", config.allowed_modes,
                 "GPUs in another CC mode are reported unhealthy (default: any)")
      ->delimiter(',');
  app.add_option("--log-level", config.log_level)->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_option("--log-format", config.log_format, "text or json [$CCGPU_LOG_FORMAT]")
      ->check(CLI::IsMember({"text", "json"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  config.FillFrom(state);
  config.version = CCGPU_VERSION;
  log::Init("ccgpu-device-plugin", LogLevelNamed(config.log_level));
  log::SetFormat(config.log_format);
  if (auto served = deviceplugin::Serve(config); !served.ok()) {
    log::Error("cannot run", {{"why", served.error().ToString()}});
    return served.error().code == "plugin.bad-config" ? 2 : 1;
  }
  return 0;
}
