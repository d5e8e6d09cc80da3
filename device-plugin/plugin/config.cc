#include "device-plugin/plugin/config.h"

#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "base/yaml.h"
#include "device-plugin/plugin/emulator_watch.h"
#include "device-plugin/plugin/http.h"
#include "device-plugin/plugin/kubelet_session.h"
#include "device-plugin/plugin/resolver.h"

namespace ccgpu::deviceplugin {

void Config::FillFrom(const std::string& state) {
  FillDefault(emulator_socket, state + "/run/emulator.sock");
  FillDefault(kubelet_dir, state + "/run/device-plugins");
  FillDefault(plugin_watcher_dir, state + "/run/plugins_registry");
  FillDefault(pod_resources_socket, state + "/run/pod-resources/kubelet.sock");
  FillDefault(resolver_socket, state + "/run/resolver.sock");
  FillDefault(cdi_dir, state + "/cdi");
}

Status LoadConfig(const std::string& path, Config& config) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 20));
  ASSIGN_OR_RETURN(YamlDocument document, YamlDocument::OfKind("DevicePluginConfig", text, path));
  YamlMap spec = document->Map("spec", true);
  config.emulator_socket = spec.String("emulatorSocket", false, config.emulator_socket);
  config.kubelet_dir = spec.String("kubeletDir", false, config.kubelet_dir);
  config.plugin_watcher_dir = spec.String("pluginWatcherDir", false, config.plugin_watcher_dir);
  config.pod_resources_socket = spec.String("podResourcesSocket", false, config.pod_resources_socket);
  config.resolver_socket = spec.String("resolverSocket", false, config.resolver_socket);
  config.cdi_dir = spec.String("cdiDir", false, config.cdi_dir);
  config.mode = spec.OneOf("mode", {"register", "watcher"}, false, config.mode);
  config.http = spec.String("http", false, config.http);
  config.resource = spec.String("resource", false, config.resource);
  config.log_level = spec.OneOf("logLevel", {"debug", "info", "warning", "error"}, false, config.log_level);
  config.log_format = spec.OneOf("logFormat", {"text", "json"}, false, config.log_format);
  if (spec.Has("allowedModes")) config.allowed_modes = spec.Strings("allowedModes");
  spec.Done();
  return document.Done();
}

Status CheckConfig(const Config& config) {
  if (config.mode != "register" && config.mode != "watcher") {
    return Err("plugin.bad-config", "mode", "\"" + config.mode + "\" is neither register nor watcher");
  }
  for (const auto& mode : config.allowed_modes) {
    if (mode != "off" && mode != "devtools" && mode != "apm" && mode != "hopper-cc") {
      return Err("plugin.bad-config", "allowedModes", "\"" + mode + "\" is not one of off, devtools, apm, hopper-cc");
    }
  }
  const auto slash = config.resource.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == config.resource.size() ||
      config.resource.find("kubernetes.io/") != std::string::npos) {
    return Err("plugin.bad-config", "resource",
               "\"" + config.resource + "\" is not an extended resource name (domain/name)");
  }
  // sun_path holds 107 characters; our longest name is ccgpu-<8 hex>.sock.
  for (const auto& dir : {config.kubelet_dir, config.plugin_watcher_dir}) {
    if (dir.size() > 87)
      return Err("plugin.bad-config", dir, "is too long for a unix socket path (87 characters at most)");
  }
  return Ok();
}

Status Serve(const Config& config) {
  const EndSignals ends;
  RETURN_IF_ERROR(CheckConfig(config));
  DeviceTable table;
  Metrics metrics(config.version);
  std::unique_ptr<http::ProbePort> http;
  if (!config.http.empty()) {
    ASSIGN_OR_RETURN(http, ServeHttp(config.http, table, metrics));
  }
  Resolver resolver(config.pod_resources_socket, config.resource, table, metrics);
  RETURN_IF_ERROR(resolver.Serve(config.resolver_socket));
  WatchOptions watch;
  watch.socket = config.emulator_socket;
  watch.cdi_dir = config.cdi_dir;
  watch.modes = {config.allowed_modes.begin(), config.allowed_modes.end()};
  EmulatorWatch emulator(watch, table, metrics);
  SessionOptions session;
  session.mode = config.mode == "watcher" ? RegistrationMode::kWatcher : RegistrationMode::kRegister;
  session.dir = config.mode == "watcher" ? config.plugin_watcher_dir : config.kubelet_dir;
  session.resource_name = config.resource;
  session.pod_resources_socket = config.pod_resources_socket;
  KubeletSession kubelet(session, table, metrics);
  emulator.Start();
  kubelet.Start();
  log::Info("stopping", {{"signal", std::to_string(ends.Wait())}});
  kubelet.Stop();
  emulator.Stop();
  return Ok();
}

}  // namespace ccgpu::deviceplugin
