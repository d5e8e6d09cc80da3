// Which container holds which devices, on disk, in the kubelet's own format (kubelet_internal_checkpoint):
//   {"Data": {"PodDeviceEntries": [{PodUID, ContainerName, ResourceName, DeviceIDs: {"<numa>": [ids]}, AllocResp:
//   base64}],
//             "RegisteredDevices": {resource: [ids]}}, "Checksum": n}
// The checksum is ours (FNV-1a over the text of Data): the kubelet's own is over Go's in-memory form.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace ccgpu::node {

struct DeviceEntry {
  std::string pod_uid, container, resource;
  std::map<int64_t, std::vector<std::string>> ids_by_numa;  // -1: no NUMA node
  std::string alloc_response;                               // a serialized v1beta1.ContainerAllocateResponse

  std::vector<std::string> Ids() const;
  bool operator==(const DeviceEntry&) const = default;
};

struct Checkpoint {
  std::vector<DeviceEntry> entries;
  std::map<std::string, std::vector<std::string>> registered;
  bool operator==(const Checkpoint&) const = default;
};

std::string WriteCheckpoint(const Checkpoint& checkpoint);
// "node.bad-checkpoint" for anything that is not exactly what WriteCheckpoint makes: devices must not be given out
// twice because a file was damaged.
Result<Checkpoint> ReadCheckpoint(std::string_view text, const std::string& path);

}  // namespace ccgpu::node
