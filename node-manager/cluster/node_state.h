// What the node says about itself: labels for model, count and TEE kind, the condition ccgpu.dev/CCGPUReady, and Events
// when a GPU's health changes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "node-manager/cluster/emulator.h"
#include "node-manager/cluster/event_queue.h"
#include "node-manager/cluster/node_api.h"

namespace ccgpu::nodemanager {

// What is seen now.
struct NodeFacts {
  std::optional<std::vector<Gpu>> gpus;  // nothing: the emulator does not answer
  std::string tee;
  bool plugin_answers = true;
};

// CamelCase reasons: AllGpusHealthy, NoGpu, EmulatorGone, DevicePluginGone, GpuUnhealthy.
Condition NodeConditionOf(const NodeFacts& facts);

// One thread.
class NodeState {
 public:
  NodeState(NodeApi& node, NodeEvents& events) : node_(node), events_(events) {}
  // Writes what differs. An error: call again later.
  Status Write(const NodeFacts& facts);
  // Takes off the node all that we ever put there: labels, annotations, taint, condition.
  Status Remove();

 private:
  void TellHealth(const std::vector<Gpu>& gpus);
  NodeApi& node_;
  NodeEvents& events_;
  std::map<std::string, std::string> unhealthy_;  // uuid -> reason
};

// The merge patch that takes off `node` what Remove() does but the condition; null when there is nothing.
Json CleanPatch(const Json& node);

}  // namespace ccgpu::nodemanager
