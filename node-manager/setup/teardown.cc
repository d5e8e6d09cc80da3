#include <algorithm>

#include "base/log.h"
#include "kube/names.h"
#include "kube/paths.h"
#include "node-manager/cluster/node_state.h"
#include "node-manager/setup/setup.h"

namespace ccgpu::nodemanager {
namespace {

constexpr std::chrono::milliseconds kPoll{2000};
constexpr int kMostRounds = 10;  // of removing what a node manager wrote meanwhile

bool IsReady(const Json& node) {
  const Json::json_pointer at("/status/conditions");
  if (!node.contains(at)) return false;
  return std::any_of(node[at].begin(), node[at].end(), [](const Json& condition) {
    return condition.value("type", "") == "Ready" && condition.value("status", "") == "True";
  });
}

// True: the node carried nothing of ours.
Result<bool> CleanNode(kube::Client& client, const std::string& name) {
  SystemClock clock;
  NodeApi api(client, name, clock);
  bool clean = true;
  auto node = api.Update([&](const Json& present) {
    Json patch = CleanPatch(present);
    if (!AnnotationOf(present, kube::kEnabledBySetup).empty()) {
      patch["metadata"]["annotations"][kube::kEnabledBySetup] = nullptr;
      patch["metadata"]["labels"][kube::kEnabledLabel] = nullptr;
    }
    clean = clean && patch.is_null();
    return patch;
  });
  if (!node.ok()) return node.error();
  const Json::json_pointer at("/status/conditions");
  if (node->contains(at)) {
    for (const auto& condition : (*node)[at]) clean = clean && condition.value("type", "") != kube::kNodeCondition;
  }
  RETURN_IF_ERROR(api.RemoveCondition(*node, kube::kNodeCondition));
  return clean;
}

Status WaitForInstallers(kube::Client& client, const TeardownOptions& options, kube::Timer& timer) {
  const auto end = timer.Now() + options.timeout;
  kube::CallOptions installed;
  installed.query = "labelSelector=" + kube::Escape(kube::kInstalledLabel);
  while (true) {
    ASSIGN_OR_RETURN(const auto nodes, client.List(kube::Core("", "nodes"), installed));
    if (nodes.empty()) return Ok();
    if (timer.Now() >= end) {
      std::string ready;
      for (const auto& node : nodes) {
        const std::string name = node["metadata"].value("name", "");
        if (IsReady(node)) ready += (ready.empty() ? "" : ", ") + name;
        else log::Warning("a node that is not Ready still carries our runtime", {{"node", name}});
      }
      if (ready.empty()) return Ok();
      return Err("manager.teardown-timeout", ready,
                 "still carry the ccgpu runtime; look at the log of ccgpu-node-installer there");
    }
    if (!timer.Wait(kPoll)) return Err("kube.stopped", "nodes", "the program ends");
  }
}

Status DeleteOne(kube::Client& client, const std::string& path) {
  auto gone = client.Delete(path);
  if (gone.ok() || gone.error().code == "kube.not-found") return Ok();
  return gone.error();
}

}  // namespace

Status Teardown(kube::Client& client, const TeardownOptions& options, kube::Timer& timer) {
  const std::string installer = kube::Group("apps/v1", options.ns, "daemonsets", options.name + "-node-installer");
  auto told = client.Patch(installer, kube::PatchType::kMerge,
                           {{"metadata", {{"annotations", {{kube::kUninstallAnnotation, "true"}}}}}});
  if (!told.ok() && told.error().code != "kube.not-found") return told.error();
  if (told.ok()) RETURN_IF_ERROR(WaitForInstallers(client, options, timer));

  // The node managers still run: they take their labels off themselves once `installed` is gone, and until each has
  // seen that it may write one more time.
  for (int round = 0; round < kMostRounds; round++) {
    bool all_clean = true;
    ASSIGN_OR_RETURN(const auto nodes, client.List(kube::Core("", "nodes")));
    for (const auto& node : nodes) {
      auto clean = CleanNode(client, node["metadata"].value("name", ""));
      if (!clean.ok() && clean.error().code != "kube.not-found") return clean.error();
      all_clean = all_clean && (!clean.ok() || *clean);
    }
    if (all_clean) break;
    if (!timer.Wait(kPoll)) return Err("kube.stopped", "nodes", "the program ends");
  }
  RETURN_IF_ERROR(DeleteOne(client, kube::Core(options.ns, "secrets", options.name + "-identity")));
  RETURN_IF_ERROR(DeleteOne(client, kube::Core(options.ns, "secrets", options.name + "-broker")));
  return DeleteOne(client, kube::Core(options.ns, "configmaps", options.name + "-trust"));
}

}  // namespace ccgpu::nodemanager
