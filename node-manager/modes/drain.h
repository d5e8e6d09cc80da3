// Asks pods that hold GPUs of this node to leave, by the Eviction API: disruption budgets hold, nothing is deleted.
#pragma once

#include <string>

#include "kube/client.h"

namespace ccgpu::nodemanager {

struct Drained {
  size_t left = 0;         // pods that hold GPUs and are not gone yet
  size_t evicted = 0;      // whose eviction was accepted in this round
  std::string blocked_by;  // one that may not be evicted now, and the server's words
};

// One round. Errors: "manager.drain-static-pod" for a pod that cannot be evicted at all, else the API's own.
Result<Drained> DrainOnce(kube::Client& client, const std::string& node, const std::string& resource);

// Whether any container of the pod asks for the resource.
bool HoldsResource(const Json& pod, const std::string& resource);

}  // namespace ccgpu::nodemanager
