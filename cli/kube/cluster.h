// What the commands of `kubectl ccgpu` share: the cluster as kubectl shows it, and what it says of itself.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "cli/context.h"
#include "cli/kube/kubectl.h"
#include "cli/seal.h"

namespace ccgpu::cli {

struct Cluster {
  Kubectl kubectl;
  std::string system_namespace = "ccgpu-system";  // where the chart is installed
};

// ConfigMap ccgpu-trust of the chart: what the cluster's administrator says of broker and roots. Whoever takes it from
// there trusts them.
struct TrustMap {
  TrustChoices choices;                // what pods are sealed with
  std::vector<std::string> roots_pem;  // every root of it, for judging evidence
};
Result<TrustMap> ReadTrustMap(const Cluster& cluster);

// Objects of the API are others' words: a member that is missing or of another type is "" or nothing.
std::string TextAt(const Json& object, const char* pointer);
const Json& ListAt(const Json& object, const char* pointer);
std::string LabelOf(const Json& object, const std::string& name);
std::string AnnotationOf(const Json& object, const std::string& name);
// The condition of this type; null when there is none.
const Json& ConditionOf(const Json& object, const std::string& type);
// GPUs that the node offers to pods.
int64_t AllocatableGpusOf(const Json& node);
// GPUs that the pod's containers ask for.
int64_t GpusOf(const Json& pod);

// "demo" or "namespace/demo", with kubectl's namespace where none is named.
struct PodReference {
  std::string name, pod_namespace;
};
Result<PodReference> FindPod(const Cluster& cluster, const std::string& text);
Result<Json> GetPod(const Cluster& cluster, const PodReference& pod);

}  // namespace ccgpu::cli
