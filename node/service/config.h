// What ccgpu-node can be told, by flags or by a file (docs/node.md lists every key), and the program itself.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace ccgpu::node {

struct Config {
  std::string containerd_address, device_plugin_dir, pod_resources_dir, node_socket;
  std::string work_dir, logs_dir, events_dir, checkpoint;
  std::string cgroup_parent = "/ccgpu";
  std::string ctr = "ctr";
  int64_t restart_backoff_ms = 1000;
  std::string log_level = "info";
  std::string log_format;  // text, json; empty: the environment's

  void FillFrom(const std::string& state);  // defaults of what is still empty
};

// Fields of {apiVersion: ccgpu.dev/v1alpha1, kind: NodeConfig, spec: {...}} over `config`.
Status LoadConfig(const std::string& path, Config& config);
Status CheckConfig(const Config& config);

// Runs until SIGTERM or SIGINT; pods go on without it. To be called while the program has no
// other thread.
Status Serve(const Config& config);

}  // namespace ccgpu::node
