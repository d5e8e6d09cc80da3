// Our Node object: read, changed without overwriting what others changed, and its condition.
#pragma once

#include <functional>
#include <string>

#include "base/clock.h"
#include "kube/client.h"

namespace ccgpu::nodemanager {

struct Condition {
  std::string type;
  bool is_true = false;
  std::string reason, message;
};

// Labels, annotations; "" when it is not there.
std::string LabelOf(const Json& object, const std::string& name);
std::string AnnotationOf(const Json& object, const std::string& name);
// Whether status.conditions has this one already (times do not count).
bool HasCondition(const Json& object, const Condition& condition);
// A strategic-merge patch of a status with this condition. lastTransitionTime changes only with the status.
Json ConditionPatch(const Json& object, const Condition& condition, TimePoint now, bool heartbeat);

// Any thread.
class NodeApi {
 public:
  NodeApi(kube::Client& client, std::string name, const Clock& clock)
      : client_(client), name_(std::move(name)), clock_(clock) {}
  const std::string& name() const { return name_; }
  Result<Json> Get();
  // `make` gets the Node and gives a merge patch, null for none; called again with the newer Node when somebody else
  // changed it meanwhile. The Node as it is then.
  Result<Json> Update(const std::function<Json(const Json& node)>& make);
  Status SetCondition(const Json& node, const Condition& condition);
  Status RemoveCondition(const Json& node, const std::string& type);

 private:
  kube::Client& client_;
  const std::string name_;
  const Clock& clock_;
};

// The taints of `node` with or without the one of a mode switch; null when that changes nothing.
Json TaintsWith(const Json& node, bool switching);

}  // namespace ccgpu::nodemanager
