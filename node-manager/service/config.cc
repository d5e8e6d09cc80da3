#include "node-manager/service/config.h"

#include "base/file.h"
#include "base/yaml.h"

namespace ccgpu::nodemanager {

Status LoadConfig(const std::string& path, RunConfig& config) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 20));
  ASSIGN_OR_RETURN(YamlDocument document, YamlDocument::OfKind("NodeManagerConfig", text, path));
  YamlMap spec = document->Map("spec", true);
  const auto text_of = [&](const char* key, std::string& field) { field = spec.String(key, false, field); };
  text_of("node", config.node);
  text_of("apiServer", config.api_server);
  text_of("tokenFile", config.token_file);
  text_of("caFile", config.ca_file);
  text_of("emulatorSocket", config.emulator_socket);
  text_of("resolverSocket", config.resolver_socket);
  text_of("eventsDir", config.events_dir);
  text_of("stateDir", config.state_dir);
  text_of("http", config.http);
  text_of("resource", config.resource);
  text_of("defaultMode", config.default_mode);
  config.drain_timeout = spec.Int("drainTimeout", false, config.drain_timeout);
  config.log_level = spec.OneOf("logLevel", {"debug", "info", "warning", "error"}, false, config.log_level);
  spec.Done();
  return document.Done();
}

Status CheckConfig(const RunConfig& config) {
  if (config.node.empty()) return Err("manager.bad-config", "node", "is not said; set NODE_NAME or --node");
  const std::string& mode = config.default_mode;
  if (!mode.empty() && mode != "on" && mode != "off" && mode != "devtools" && mode != "apm" && mode != "hopper-cc")
    return Err("manager.bad-config", "defaultMode", "\"" + mode + "\" is not one of on, off, devtools, apm, hopper-cc");
  if (config.drain_timeout < 1 || config.drain_timeout > 86400)
    return Err("manager.bad-config", "drainTimeout", "must be 1 to 86400 seconds");
  if (config.resource.find('/') == std::string::npos)
    return Err("manager.bad-config", "resource", "\"" + config.resource + "\" is not domain/name");
  return Ok();
}

}  // namespace ccgpu::nodemanager
