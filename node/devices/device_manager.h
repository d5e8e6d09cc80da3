// Kubelet's device manager for one node: who registered, which devices there are, who holds them.
//
// Differences on purpose: a pod that asks for a resource nobody has registered is refused (the kubelet lets it run
// without the device), and Allocate has a time limit.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "node/devices/checkpoint.h"
#include "node/devices/endpoint.h"

namespace ccgpu::node {

struct PodName {
  std::string pod_namespace, name;
  bool operator==(const PodName&) const = default;
};

// What one container asks for, in the order of admission (init containers first).
struct ContainerDemand {
  std::string container;
  bool init = false;  // its devices are used again by those that come after
  std::map<std::string, int64_t> resources;
};

struct HeldDevices {
  PodName pod;
  std::string pod_uid;
  DeviceEntry entry;
};

// Any thread.
class DeviceManager {
 public:
  // Reads the checkpoint if there is one. Pods in it hold their devices until Release or RestorePods.
  static Result<std::unique_ptr<DeviceManager>> Open(const std::string& checkpoint_path);
  ~DeviceManager();

  // A plugin's Register call; `socket` is absolute. An older instance of the same resource stays as a spare.
  Status Register(const std::string& version, const std::string& resource, const std::string& socket);

  // After a restart: the pods that still exist, by uid. Devices of all others are given back.
  Status RestorePods(const std::map<std::string, PodName>& pods);

  // All demands of a pod or none. Errors: node.unknown-resource, node.no-healthy-devices, node.insufficient-devices, or
  // what the plugin says. Admissions run one after another.
  Status Admit(const std::string& pod_uid, const PodName& name, const std::vector<ContainerDemand>& demands);
  void Release(const std::string& pod_uid);
  // What the plugins answered for this container, all resources together; empty when it holds nothing.
  Result<v1beta1::ContainerAllocateResponse> Answer(const std::string& pod_uid, const std::string& container) const;
  // To be called before each start of a container.
  Status PreStart(const std::string& pod_uid, const std::string& container);

  std::vector<HeldDevices> Held() const;
  std::map<std::string, int64_t> Capacity() const;
  std::map<std::string, int64_t> Allocatable() const;  // healthy ones, held or not
  // Every known device with its health, by resource.
  std::map<std::string, std::vector<PluginDevice>> Devices() const;
  // Devices of running pods that are not healthy now: (pod uid, device id).
  std::set<std::pair<std::string, std::string>> UnhealthyHeld() const;
  void StopAll();  // ends all streams, e.g. before the process ends

 private:
  struct Instance {
    std::shared_ptr<Endpoint> endpoint;
    std::vector<PluginDevice> devices;
    bool live = true, listed = false;
  };
  struct Resource {
    std::vector<std::shared_ptr<Instance>> instances;  // the last live one counts
    const Instance* Active() const;
  };
  explicit DeviceManager(std::string path) : path_(std::move(path)) {}
  Status SaveLocked();
  Status AllocateLocked(std::unique_lock<std::mutex>& lock, const std::string& uid, const ContainerDemand& demand,
                        const std::string& resource, int64_t count,
                        std::map<std::string, std::set<std::string>>& reusable);
  std::set<std::string> InUseLocked(const std::string& resource) const;

  const std::string path_;
  std::mutex admission_;      // one admission at a time, held over calls to plugins
  mutable std::mutex mutex_;  // never held over such calls
  std::map<std::string, Resource> resources_;
  std::vector<DeviceEntry> entries_;
  std::map<std::string, PodName> names_;
  std::vector<std::shared_ptr<Endpoint>> retired_;
};

}  // namespace ccgpu::node
