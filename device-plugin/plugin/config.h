// What the device plugin can be told, by flags or by a file. docs/device-plugin.md lists every key.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/result.h"

namespace ccgpu::deviceplugin {

struct Config {
  std::string emulator_socket, kubelet_dir, plugin_watcher_dir, pod_resources_socket, resolver_socket, cdi_dir;
  std::string mode = "register";        // register | watcher
  std::string http = "127.0.0.1:9410";  // empty: no HTTP
  std::string resource = "ccgpu.dev/cc-gpu";
  std::vector<std::string> allowed_modes;  // empty: a GPU in any mode may be allocated
  std::string log_level = "info";
  std::string log_format;     // text, json; empty: the environment's
  std::string version = "0";  // told by /metrics; not a key

  // The sockets of a deployment whose state folder is `state` (ccgpu up), for those that are still empty.
  void FillFrom(const std::string& state);
};

// Fields of a YAML document {apiVersion: ccgpu.dev/v1alpha1, kind: DevicePluginConfig, spec: {...}} over `config`.
// Unknown fields are errors with file:line:column.
Status LoadConfig(const std::string& path, Config& config);
Status CheckConfig(const Config& config);

// Runs the plugin until SIGTERM or SIGINT. To be called while the program has no other thread.
Status Serve(const Config& config);

}  // namespace ccgpu::deviceplugin
