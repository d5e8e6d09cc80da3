#include "node-manager/cluster/node_api.h"

#include "kube/names.h"
#include "kube/paths.h"

namespace ccgpu::nodemanager {
namespace {

constexpr int kMostConflicts = 8;

// One quick try again; whoever calls us comes again anyway.
kube::CallOptions Quick() {
  kube::CallOptions call;
  call.retry_for = std::chrono::milliseconds(2000);
  return call;
}

std::string TextAt(const Json& object, const char* pointer, const std::string& name) {
  const Json::json_pointer at(pointer);
  if (!object.contains(at)) return "";
  const Json& map = object[at];
  const auto found = map.is_object() ? map.find(name) : map.end();
  return map.is_object() && found != map.end() && found->is_string() ? found->get<std::string>() : "";
}

const Json* FindCondition(const Json& object, const std::string& type) {
  const Json::json_pointer at("/status/conditions");
  if (!object.contains(at) || !object[at].is_array()) return nullptr;
  for (const auto& one : object[at]) {
    if (one.is_object() && one.value("type", "") == type) return &one;
  }
  return nullptr;
}

}  // namespace

std::string LabelOf(const Json& object, const std::string& name) { return TextAt(object, "/metadata/labels", name); }
std::string AnnotationOf(const Json& object, const std::string& name) {
  return TextAt(object, "/metadata/annotations", name);
}

bool HasCondition(const Json& object, const Condition& condition) {
  const Json* now = FindCondition(object, condition.type);
  return now != nullptr && now->value("status", "") == (condition.is_true ? "True" : "False") &&
         now->value("reason", "") == condition.reason && now->value("message", "") == condition.message;
}

Json ConditionPatch(const Json& object, const Condition& condition, TimePoint now, bool heartbeat) {
  const std::string status = condition.is_true ? "True" : "False";
  Json one = {{"type", condition.type},
              {"status", status},
              {"reason", condition.reason},
              {"message", condition.message},
              {"lastTransitionTime", FormatTime(now)}};
  if (const Json* old = FindCondition(object, condition.type); old != nullptr && old->value("status", "") == status)
    one["lastTransitionTime"] = old->value("lastTransitionTime", FormatTime(now));
  if (heartbeat) one["lastHeartbeatTime"] = FormatTime(now);
  return {{"status", {{"conditions", Json::array({one})}}}};
}

Result<Json> NodeApi::Get() { return client_.Get(kube::NodePath(name_), Quick()); }

Result<Json> NodeApi::Update(const std::function<Json(const Json& node)>& make) {
  for (int tries = 0;; tries++) {
    ASSIGN_OR_RETURN(Json node, Get());
    Json patch = make(node);
    if (patch.is_null() || patch.empty()) return node;
    patch["metadata"]["resourceVersion"] = node["metadata"].value("resourceVersion", "");
    auto patched = client_.Patch(kube::NodePath(name_), kube::PatchType::kMerge, patch, Quick());
    if (patched.ok() || patched.error().code != "kube.conflict" || tries >= kMostConflicts) return patched;
  }
}

Status NodeApi::SetCondition(const Json& node, const Condition& condition) {
  if (HasCondition(node, condition)) return Ok();
  auto patched = client_.Patch(kube::NodePath(name_) + "/status", kube::PatchType::kStrategic,
                               ConditionPatch(node, condition, clock_.Now(), true), Quick());
  return patched.ok() ? Ok() : Status(patched.error());
}

Status NodeApi::RemoveCondition(const Json& node, const std::string& type) {
  if (FindCondition(node, type) == nullptr) return Ok();
  const Json gone = {{"status", {{"conditions", Json::array({{{"type", type}, {"$patch", "delete"}}})}}}};
  auto patched = client_.Patch(kube::NodePath(name_) + "/status", kube::PatchType::kStrategic, gone, Quick());
  return patched.ok() ? Ok() : Status(patched.error());
}

Json TaintsWith(const Json& node, bool switching) {
  const Json::json_pointer at("/spec/taints");
  const Json taints = node.contains(at) && node[at].is_array() ? node[at] : Json::array();
  Json out = Json::array();
  bool there = false;
  for (const auto& taint : taints) {
    const bool ours = taint.value("key", "") == kube::kSwitchTaint;
    there |= ours;
    if (!ours) out.push_back(taint);
  }
  if (there == switching) return nullptr;
  if (switching) out.push_back({{"key", kube::kSwitchTaint}, {"effect", "NoSchedule"}});
  return out;
}

}  // namespace ccgpu::nodemanager
