// What a container gets into its environment and its file system, as part of its policy. Private to cli/.
#pragma once

#include <string>

#include "node/images/archive.h"
#include "node/manifest/pod_spec.h"
#include "trust/policy/pod_policy.h"

namespace ccgpu::cli {

// The runtime's variables, then the image's, then the pod's.
void SealEnv(const node::PodSpec& pod, const node::ContainerSpec& container, const images::ImageConfig& image,
             policy::ContainerPolicy& out);
// Volumes of the pod, of the image, and kubelet's token. Error: cli.cannot-seal.
Status SealMounts(const node::PodSpec& pod, const node::ContainerSpec& container, const images::ImageConfig& image,
                  const std::string& where, policy::ContainerPolicy& out);

}  // namespace ccgpu::cli
