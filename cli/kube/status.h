// `kubectl ccgpu status`: is this cluster able to run confidential GPU pods, and if not, what is wrong where.
#pragma once

#include <string>
#include <vector>

#include "cli/kube/cluster.h"

namespace ccgpu::cli {

// Something that keeps pods from running, or from being attested.
struct Problem {
  std::string code, subject, text;
};

struct NodeRow {
  std::string name, enabled, installed, model, tee, mode, wanted_mode, health;
  int64_t gpus = 0, allocatable = 0;
  bool ready = false;  // label ccgpu.dev/ready
};
struct PartRow {
  std::string kind, name, version;
  int64_t desired = 0, ready = 0;
};
struct PodRow {
  std::string pod_namespace, name, node, phase, attested, reason;
  int64_t gpus = 0;
};

struct ClusterStatus {
  std::vector<NodeRow> nodes;  // those with a ccgpu.dev label
  std::vector<PartRow> parts;
  std::vector<PodRow> pods;  // that ask for GPUs or run under ccgpu
  std::vector<Problem> problems;
};

// From lists of the API (kind List).
ClusterStatus Summarize(const Json& nodes, const Json& workloads, const Json& pods);

// Exit code: 0 nothing is wrong, 1 something is (and named), 4 no API server answers.
int ShowStatus(Context& context, const Cluster& cluster);

}  // namespace ccgpu::cli
