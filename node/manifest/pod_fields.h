// The parts of a pod's manifest, for readers of pods and of the templates in workloads. Private to node/manifest.
#pragma once

#include "base/yaml.h"
#include "node/manifest/pod_spec.h"

namespace ccgpu::node {

// `root` holds "metadata" and "spec". Errors go into its list. pod.kubernetes is set before; pod_namespace may be, as
// the namespace of manifests that name none.
void ReadMetadata(YamlMap& root, PodSpec& pod);
void ReadSpec(YamlMap& root, PodSpec& pod);
// Labels and annotations of a metadata map.
void ReadLabels(YamlMap& metadata, PodSpec& pod);

}  // namespace ccgpu::node
