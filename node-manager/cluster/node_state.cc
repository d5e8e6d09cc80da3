#include "node-manager/cluster/node_state.h"

#include "kube/names.h"
#include "node-manager/cluster/names.h"

namespace ccgpu::nodemanager {
namespace {

bool Has(const Json& node, const char* pointer, const char* name) {
  const Json::json_pointer at(pointer);
  return node.contains(at) && node[at].is_object() && node[at].contains(name);
}

}  // namespace

Condition NodeConditionOf(const NodeFacts& facts) {
  Condition out{kube::kNodeCondition, false, "EmulatorGone", "the emulator does not answer on its control socket"};
  if (!facts.gpus) return out;
  if (facts.gpus->empty()) return {kube::kNodeCondition, false, "NoGpu", "the emulator has no GPU"};
  std::string sick;
  size_t count = 0;
  for (const auto& gpu : *facts.gpus) {
    if (gpu.healthy) continue;
    count++;
    if (sick.size() < 400) sick += (sick.empty() ? "" : ", ") + gpu.uuid + " (" + gpu.health_reason + ")";
  }
  const std::string of = " of " + std::to_string(facts.gpus->size()) + " GPUs";
  if (count > 0)
    return {kube::kNodeCondition, false, "GpuUnhealthy", std::to_string(count) + of + " unhealthy: " + sick};
  if (!facts.plugin_answers)
    return {kube::kNodeCondition, false, "DevicePluginGone",
            "the device plugin does not answer; shims cannot resolve GPUs"};
  return {kube::kNodeCondition, true, "AllGpusHealthy", std::to_string(facts.gpus->size()) + of + " are healthy"};
}

Json CleanPatch(const Json& node) {
  Json patch;
  for (const char* label : kube::kNodeManagerLabels) {
    if (Has(node, "/metadata/labels", label)) patch["metadata"]["labels"][label] = nullptr;
  }
  for (const char* annotation : {kube::kSwitchAnnotation, kube::kFailureAnnotation}) {
    if (Has(node, "/metadata/annotations", annotation)) patch["metadata"]["annotations"][annotation] = nullptr;
  }
  if (const Json taints = TaintsWith(node, false); !taints.is_null()) patch["spec"]["taints"] = taints;
  return patch;
}

Status NodeState::Write(const NodeFacts& facts) {
  if (facts.gpus) TellHealth(*facts.gpus);
  auto node = node_.Update([&](const Json& present) {
    Json patch;
    auto set = [&](const char* label, const std::string& value) {
      if (value.empty() ? Has(present, "/metadata/labels", label) : LabelOf(present, label) != value)
        patch["metadata"]["labels"][label] = value.empty() ? Json(nullptr) : Json(value);
    };
    // GPUs that cannot be seen now are still built in: labels stay.
    if (facts.gpus) {
      set(kube::kModelLabel, facts.gpus->empty() ? "" : LabelSafe(facts.gpus->front().model));
      set(kube::kCountLabel, std::to_string(facts.gpus->size()));
    }
    if (!facts.tee.empty()) set(kube::kTeeLabel, LabelSafe(facts.tee));
    return patch;
  });
  if (!node.ok()) return node.error();
  return node_.SetCondition(*node, NodeConditionOf(facts));
}

Status NodeState::Remove() {
  auto node = node_.Update(CleanPatch);
  if (!node.ok()) return node.error();
  return node_.RemoveCondition(*node, kube::kNodeCondition);
}

void NodeState::TellHealth(const std::vector<Gpu>& gpus) {
  for (const auto& gpu : gpus) {
    const auto known = unhealthy_.find(gpu.uuid);
    if (!gpu.healthy && (known == unhealthy_.end() || known->second != gpu.health_reason)) {
      unhealthy_[gpu.uuid] = gpu.health_reason;
      events_.Add({true, "GpuUnhealthy", "WatchGpus", gpu.uuid + " is unhealthy [" + gpu.health_reason + "]"});
    } else if (gpu.healthy && known != unhealthy_.end()) {
      unhealthy_.erase(known);
      events_.Add({false, "GpuHealthy", "WatchGpus", gpu.uuid + " is healthy again"});
    }
  }
}

}  // namespace ccgpu::nodemanager
