#include "node-manager/modes/drain.h"

#include "kube/paths.h"
#include "node-manager/cluster/node_api.h"

namespace ccgpu::nodemanager {

bool HoldsResource(const Json& pod, const std::string& resource) {
  for (const char* list : {"/spec/containers", "/spec/initContainers"}) {
    const Json::json_pointer at(list);
    if (!pod.contains(at) || !pod[at].is_array()) continue;
    for (const auto& container : pod[at]) {
      for (const char* kind : {"limits", "requests"}) {
        const Json::json_pointer amount("/resources/" + std::string(kind));
        if (container.is_object() && container.contains(amount) && container[amount].contains(resource)) return true;
      }
    }
  }
  return false;
}

Result<Drained> DrainOnce(kube::Client& client, const std::string& node, const std::string& resource) {
  kube::CallOptions call;
  call.retry_for = std::chrono::milliseconds(0);
  call.query = "fieldSelector=spec.nodeName%3D" + kube::Escape(node);
  ASSIGN_OR_RETURN(const auto pods, client.List(kube::Core("", "pods"), call));
  Drained out;
  for (const auto& pod : pods) {
    const std::string phase = pod.value("/status/phase"_json_pointer, "");
    if (phase == "Succeeded" || phase == "Failed" || !HoldsResource(pod, resource)) continue;
    const std::string name = pod.value("/metadata/name"_json_pointer, "");
    const std::string ns = pod.value("/metadata/namespace"_json_pointer, "");
    if (!AnnotationOf(pod, "kubernetes.io/config.mirror").empty())
      return Err("manager.drain-static-pod", ns + "/" + name,
                 "is a static pod with a GPU, which cannot be evicted; remove its manifest from the node");
    out.left++;
    if (pod["metadata"].contains("deletionTimestamp")) continue;
    const Json eviction = {{"apiVersion", "policy/v1"},
                           {"kind", "Eviction"},
                           {"metadata", {{"name", name}, {"namespace", ns}}},
                           {"deleteOptions", {{"preconditions", {{"uid", pod["metadata"].value("uid", "")}}}}}};
    kube::CallOptions once;
    once.retry_for = std::chrono::milliseconds(0);
    auto done = client.Create(kube::Core(ns, "pods", name, "eviction"), eviction, once);
    if (done.ok()) {
      out.evicted++;
    } else if (done.error().code == "kube.throttled") {
      out.blocked_by = ns + "/" + name + ": " + done.error().text;
    } else if (done.error().code != "kube.not-found" && done.error().code != "kube.conflict") {
      return done.error();
    }
  }
  return out;
}

}  // namespace ccgpu::nodemanager
