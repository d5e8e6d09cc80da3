// `kubectl ccgpu explain POD`: why a pod does not run or has no keys, in words, and what to do.
#pragma once

#include <string>
#include <vector>

#include "cli/kube/cluster.h"

namespace ccgpu::cli {

// One thing that was found, most important first.
struct Cause {
  std::string code;     // a reason code; for what only Kubernetes names: "kubernetes.<reason>"
  std::string subject;  // a rule of the policy, a device, ...
  std::string found;    // the words of the part that said so
  std::string meaning, remedy;
};

struct PodStory {
  std::string summary;  // one sentence
  std::vector<Cause> causes;
  bool trouble = false;
};

// From the API's pod, the List of its Events, and the List of nodes (for pods that no node takes; may be null).
PodStory TellPod(const Json& pod, const Json& events, const Json& nodes);

// Exit code: 0 the pod is well, 1 something is wrong, 2 no such pod, 4 no API server answers.
int ExplainPod(Context& context, const Cluster& cluster, const std::string& pod);

}  // namespace ccgpu::cli
