// Manifests for a Kubernetes cluster: pods, and the workloads whose controllers make pods from a template.
//
// Fields that say where and when a pod runs are passed over; fields that change what runs in it are read, or refused.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "node/manifest/pod_spec.h"

namespace ccgpu::node {

struct Workload {
  std::string kind, name;  // "Deployment", "digits"; of a pod without a name its generateName
  size_t document = 0;     // which of the file's documents, from 0
  // Keys from the document's root to the object that has the pod's metadata and spec: {}, {"spec", "template"}, ...
  std::vector<std::string> pod_at;
  PodSpec pod;  // pod.kubernetes is set; of a template: generate_name and no name
};

// Every pod, Deployment, StatefulSet, DaemonSet, ReplicaSet, Job and CronJob of the file, in its order; documents of
// other kinds are left out. `default_namespace` is that of documents which name none. Error "input.no-workload" when
// there is none; a document of an unknown kind that says runtimeClassName: ccgpu is refused, not overlooked.
Result<std::vector<Workload>> ParseWorkloads(const std::string& text, const std::string& file,
                                             const std::string& default_namespace, std::vector<Error>* all = nullptr);

}  // namespace ccgpu::node
