// A pod as CRI calls want it. Pure: the same inputs give the same messages.
#pragma once

#include <map>
#include <string>

#include "device-plugin/api/v1beta1.pb.h"
#include "node/cri/cri.pb.h"
#include "node/manifest/pod_spec.h"

namespace ccgpu::node {

inline constexpr char kManagedByLabel[] = "ccgpu.dev/node-managed";  // on sandboxes that ccgpu-node made

struct PodIdentity {
  std::string uid;
  std::string log_dir;        // absolute
  std::string cgroup_parent;  // "/ccgpu/pod<uid>"
  uint32_t attempt = 0;
};

runtime::v1::PodSandboxConfig SandboxConfig(const PodSpec& pod, const PodIdentity& identity);

struct ContainerInputs {
  uint32_t attempt = 0;
  std::string pod_ip;
  std::map<std::string, std::string> volumes;  // name -> host path
  v1beta1::ContainerAllocateResponse devices;  // what the device plugins answered
  int64_t node_memory = 0;                     // bytes, for the OOM score of burstable containers
};

runtime::v1::ContainerConfig MakeContainerConfig(const PodSpec& pod, const PodIdentity& identity,
                                                 const ContainerSpec& container, const ContainerInputs& inputs);

}  // namespace ccgpu::node
