#include "device-plugin/plugin/pod_resources.h"

#include "base/rpc/client.h"
#include "device-plugin/api/podresources.pb.h"

namespace ccgpu::deviceplugin {

Result<std::set<std::string>> DevicesOfKubelet(const std::string& socket, const std::string& resource) {
  ::v1::AllocatableResourcesResponse answer;
  const auto outcome = rpc::Client(socket, kMaxPodResources)
                           .Call("/v1.PodResourcesLister/GetAllocatableResources", ::v1::AllocatableResourcesRequest(),
                                 &answer, kPodResourcesTimeout);
  if (!outcome.ok()) {
    return Err("plugin.pod-resources-unavailable", socket,
               "GetAllocatableResources does not answer (" + outcome.message + "); is the kubelet running?");
  }
  std::set<std::string> ids;
  for (const auto& devices : answer.devices()) {
    if (devices.resource_name() == resource) ids.insert(devices.device_ids().begin(), devices.device_ids().end());
  }
  return ids;
}

}  // namespace ccgpu::deviceplugin
