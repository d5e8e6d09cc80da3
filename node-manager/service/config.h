// What `ccgpu-node-manager run` can be told, by flags or by a file. docs/node-manager.md lists every key.
#pragma once

#include <string>

#include "base/result.h"

namespace ccgpu::nodemanager {

struct RunConfig {
  std::string node;                             // our Node's name; default $NODE_NAME
  std::string api_server, token_file, ca_file;  // empty: as in any pod
  std::string emulator_socket = "/run/ccgpu/emulator.sock";
  std::string resolver_socket = "/run/ccgpu/resolver.sock";  // the device plugin's; empty: not watched
  std::string events_dir = "/run/ccgpu/pods";
  std::string state_dir = "/run/ccgpu/node-manager";
  std::string http = "0.0.0.0:9420";  // empty: none
  std::string resource = "ccgpu.dev/cc-gpu";
  std::string default_mode;     // "": GPUs stay in the mode they are in
  int64_t drain_timeout = 300;  // seconds
  std::string log_level = "info";
};

// Fields of a YAML document {apiVersion: ccgpu.dev/v1alpha1, kind: NodeManagerConfig, spec: {...}} over `config`.
// Unknown fields are errors with file:line:column.
Status LoadConfig(const std::string& path, RunConfig& config);
Status CheckConfig(const RunConfig& config);

// Runs until SIGTERM or SIGINT. To be called while the program has no other thread.
Status Run(const RunConfig& config, const std::string& version);

}  // namespace ccgpu::nodemanager
