#include <algorithm>

#include "base/log.h"
#include "kube/names.h"
#include "kube/paths.h"
#include "node-manager/setup/setup.h"

namespace ccgpu::nodemanager {

Status EnableNodes(kube::Client& client, const std::vector<std::string>& names) {
  if (names.empty()) return Ok();
  ASSIGN_OR_RETURN(const auto nodes, client.List(kube::Core("", "nodes")));
  const auto name_of = [](const Json& node) { return node["metadata"].value("name", ""); };
  for (const auto& name : names) {
    if (name == kEveryNode) continue;
    const bool there = std::any_of(nodes.begin(), nodes.end(), [&](const Json& node) { return name_of(node) == name; });
    if (!there) return Err("manager.setup-no-node", name, "is no node of this cluster (the chart's enableNodes)");
  }
  for (const auto& node : nodes) {
    const std::string name = name_of(node);
    const bool wanted = std::any_of(names.begin(), names.end(),
                                    [&](const std::string& one) { return one == kEveryNode || one == name; });
    // Who labelled a node, with true or anything else, has decided.
    if (!wanted || node["metadata"].value("labels", Json::object()).contains(kube::kEnabledLabel)) continue;
    const Json marks = {{"labels", {{kube::kEnabledLabel, "true"}}},
                        {"annotations", {{kube::kEnabledBySetup, "true"}}}};
    auto patched = client.Patch(kube::NodePath(name), kube::PatchType::kMerge, {{"metadata", marks}});
    if (!patched.ok()) return patched.error();
    log::Info("enabled a node", {{"node", name}});
  }
  return Ok();
}

}  // namespace ccgpu::nodemanager
