// What the kubelet says about devices (PodResources v1, pod-resources/kubelet.sock).
#pragma once

#include <chrono>
#include <cstddef>
#include <set>
#include <string>

#include "base/result.h"

namespace ccgpu::deviceplugin {

inline constexpr size_t kMaxPodResources = 16u << 20;  // an answer about a full node is larger than gRPC's 4 MiB
inline constexpr std::chrono::milliseconds kPodResourcesTimeout{5000};

// Ids of the healthy devices of `resource` that the kubelet gives to pods. "plugin.pod-resources-unavailable" when
// nobody answers. Blocks for kPodResourcesTimeout at most; any thread.
Result<std::set<std::string>> DevicesOfKubelet(const std::string& socket, const std::string& resource);

}  // namespace ccgpu::deviceplugin
