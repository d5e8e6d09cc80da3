#include "node/devices/device_manager.h"

#include <algorithm>

#include "base/file.h"
#include "base/log.h"

namespace ccgpu::node {

const DeviceManager::Instance* DeviceManager::Resource::Active() const {
  for (auto it = instances.rbegin(); it != instances.rend(); ++it) {
    if ((*it)->live && (*it)->listed) return it->get();
  }
  return instances.empty() ? nullptr : instances.back().get();
}

Result<std::unique_ptr<DeviceManager>> DeviceManager::Open(const std::string& checkpoint_path) {
  std::unique_ptr<DeviceManager> manager(new DeviceManager(checkpoint_path));
  if (!Exists(checkpoint_path)) return manager;
  ASSIGN_OR_RETURN(const std::string text, ReadFile(checkpoint_path));
  ASSIGN_OR_RETURN(Checkpoint checkpoint, ReadCheckpoint(text, checkpoint_path));
  manager->entries_ = std::move(checkpoint.entries);
  // Known but without a plugin: shown with capacity 0 until the plugin comes back, and refused as unhealthy, not as
  // unknown.
  for (const auto& [resource, ids] : checkpoint.registered) manager->resources_[resource];
  return manager;
}

DeviceManager::~DeviceManager() { StopAll(); }

void DeviceManager::StopAll() {
  std::vector<std::shared_ptr<Endpoint>> all;
  {
    std::lock_guard lock(mutex_);
    all.swap(retired_);
    for (auto& [name, resource] : resources_) {
      for (auto& instance : resource.instances) all.push_back(instance->endpoint);
    }
  }
  for (auto& endpoint : all) endpoint->Stop();
}

Status DeviceManager::SaveLocked() {
  Checkpoint checkpoint;
  checkpoint.entries = entries_;
  for (const auto& [name, resource] : resources_) {
    auto& ids = checkpoint.registered[name];
    if (const Instance* active = resource.Active(); active != nullptr) {
      for (const auto& device : active->devices) {
        if (device.healthy) ids.push_back(device.id);
      }
    }
  }
  return WriteFileAtomic(path_, WriteCheckpoint(checkpoint), 0600);
}

Status DeviceManager::Register(const std::string& version, const std::string& resource, const std::string& socket) {
  if (version != "v1beta1")
    return Err("node.bad-registration", socket, "speaks \"" + version + "\"; this node speaks v1beta1");
  const auto slash = resource.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == resource.size() ||
      resource.find("kubernetes.io/") != std::string::npos || resource.starts_with("requests.")) {
    return Err("node.bad-registration", socket, "\"" + resource + "\" is not an extended resource name");
  }
  ASSIGN_OR_RETURN(auto endpoint, Endpoint::Connect(resource, socket));
  auto instance = std::make_shared<Instance>();
  instance->endpoint = endpoint;
  {
    std::lock_guard lock(mutex_);
    auto& instances = resources_[resource].instances;
    std::erase_if(instances, [&](const std::shared_ptr<Instance>& old) {
      if (old->live && old->endpoint->socket() != socket) return false;
      retired_.push_back(old->endpoint);  // its thread may be in the callback below: stopped later
      return true;
    });
    instances.push_back(instance);
  }
  log::Info("a device plugin registered", {{"resource", resource}, {"socket", socket}});
  endpoint->Watch([this, instance, resource](const std::vector<PluginDevice>* devices) {
    std::lock_guard lock(mutex_);
    if (devices != nullptr) {
      instance->devices = *devices;
      instance->listed = true;
    } else {
      instance->live = false;
      for (auto& device : instance->devices) device.healthy = false;
      log::Warning("a device plugin is gone; its devices are unhealthy until it registers again",
                   {{"resource", resource}});
    }
    if (auto saved = SaveLocked(); !saved.ok())
      log::Error("cannot save the checkpoint", {{"why", saved.error().ToString()}});
  });
  return Ok();
}

Status DeviceManager::RestorePods(const std::map<std::string, PodName>& pods) {
  std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&](const DeviceEntry& entry) { return pods.count(entry.pod_uid) == 0; });
  names_ = pods;
  return SaveLocked();
}

std::set<std::string> DeviceManager::InUseLocked(const std::string& resource) const {
  std::set<std::string> out;
  for (const auto& entry : entries_) {
    if (entry.resource != resource) continue;
    for (const auto& id : entry.Ids()) out.insert(id);
  }
  return out;
}

Status DeviceManager::AllocateLocked(std::unique_lock<std::mutex>& lock, const std::string& uid,
                                     const ContainerDemand& demand, const std::string& resource, int64_t count,
                                     std::map<std::string, std::set<std::string>>& reusable) {
  const auto found = resources_.find(resource);
  if (found == resources_.end()) {
    return Err("node.unknown-resource", resource,
               "container " + demand.container + " asks for " + std::to_string(count) +
                   ", but no device plugin has registered this resource; is ccgpu-device-plugin running?");
  }
  const Instance* active = found->second.Active();
  std::vector<std::string> available, must;
  size_t healthy = 0;
  const std::set<std::string> in_use = InUseLocked(resource);
  if (active != nullptr) {
    for (const auto& device : active->devices) {
      if (!device.healthy) continue;
      healthy++;
      const bool reuse = reusable[resource].count(device.id) != 0;
      if (in_use.count(device.id) != 0 && !reuse) continue;
      available.push_back(device.id);
      if (reuse && must.size() < static_cast<size_t>(count)) must.push_back(device.id);
    }
  }
  if (healthy == 0) {
    return Err("node.no-healthy-devices", resource,
               "no healthy devices present; cannot allocate unhealthy devices (container " + demand.container + ")");
  }
  if (available.size() < static_cast<size_t>(count)) {
    return Err("node.insufficient-devices", resource,
               "container " + demand.container + " asks for too many: requested " + std::to_string(count) +
                   ", available " + std::to_string(available.size()));
  }
  auto endpoint = active->endpoint;
  // Held back while the plugin is asked, so that nobody counts them as free.
  lock.unlock();
  auto preferred = endpoint->Preferred(available, must, static_cast<int>(count));
  std::vector<std::string> ids;
  if (preferred.ok()) {
    for (const auto& id : *preferred) {
      if (std::find(available.begin(), available.end(), id) != available.end() &&
          ids.size() < static_cast<size_t>(count))
        ids.push_back(id);
    }
  }
  for (const auto* list : {&must, &available}) {
    for (const auto& id : *list) {
      if (ids.size() < static_cast<size_t>(count) && std::find(ids.begin(), ids.end(), id) == ids.end())
        ids.push_back(id);
    }
  }
  auto answer = endpoint->Allocate(ids);
  lock.lock();
  if (!answer.ok()) return answer.error().In(demand.container);

  DeviceEntry entry{uid, demand.container, resource, {}, answer->SerializeAsString()};
  active = resources_[resource].Active();
  for (const auto& id : ids) {
    int64_t numa = -1;
    for (const auto& device : active->devices) {
      if (device.id == id && !device.numa_nodes.empty()) numa = device.numa_nodes.front();
    }
    entry.ids_by_numa[numa].push_back(id);
    if (demand.init) {
      reusable[resource].insert(id);
    } else {
      reusable[resource].erase(id);
    }
  }
  entries_.push_back(std::move(entry));
  return Ok();
}

Status DeviceManager::Admit(const std::string& pod_uid, const PodName& name,
                            const std::vector<ContainerDemand>& demands) {
  std::lock_guard admission(admission_);
  std::unique_lock lock(mutex_);
  names_[pod_uid] = name;
  std::map<std::string, std::set<std::string>> reusable;
  Status status = Ok();
  for (const auto& demand : demands) {
    for (const auto& [resource, count] : demand.resources) {
      if (status.ok() && count > 0) status = AllocateLocked(lock, pod_uid, demand, resource, count, reusable);
    }
  }
  if (status.ok()) status = SaveLocked();
  if (!status.ok()) {
    std::erase_if(entries_, [&](const DeviceEntry& entry) { return entry.pod_uid == pod_uid; });
    names_.erase(pod_uid);
  }
  return status;
}

void DeviceManager::Release(const std::string& pod_uid) {
  std::lock_guard lock(mutex_);
  const auto gone = std::erase_if(entries_, [&](const DeviceEntry& entry) { return entry.pod_uid == pod_uid; });
  names_.erase(pod_uid);
  if (gone == 0) return;
  if (auto saved = SaveLocked(); !saved.ok())
    log::Error("cannot save the checkpoint", {{"why", saved.error().ToString()}});
}

Result<v1beta1::ContainerAllocateResponse> DeviceManager::Answer(const std::string& pod_uid,
                                                                 const std::string& container) const {
  std::lock_guard lock(mutex_);
  v1beta1::ContainerAllocateResponse out;
  for (const auto& entry : entries_) {
    if (entry.pod_uid != pod_uid || entry.container != container) continue;
    v1beta1::ContainerAllocateResponse one;
    if (!one.ParseFromString(entry.alloc_response)) {
      return Err("node.bad-checkpoint", container, "the saved answer of the device plugin is damaged");
    }
    out.MergeFrom(one);
  }
  return out;
}

Status DeviceManager::PreStart(const std::string& pod_uid, const std::string& container) {
  std::vector<std::pair<std::shared_ptr<Endpoint>, std::vector<std::string>>> calls;
  {
    std::lock_guard lock(mutex_);
    for (const auto& entry : entries_) {
      if (entry.pod_uid != pod_uid || entry.container != container) continue;
      const auto found = resources_.find(entry.resource);
      const Instance* active = found == resources_.end() ? nullptr : found->second.Active();
      if (active == nullptr || !active->live) {
        return Err("node.no-healthy-devices", entry.resource,
                   "the device plugin is gone; cannot start container " + container);
      }
      calls.emplace_back(active->endpoint, entry.Ids());
    }
  }
  for (auto& [endpoint, ids] : calls) RETURN_IF_ERROR(endpoint->PreStart(ids));
  return Ok();
}

std::vector<HeldDevices> DeviceManager::Held() const {
  std::lock_guard lock(mutex_);
  std::vector<HeldDevices> out;
  for (const auto& entry : entries_) {
    const auto name = names_.find(entry.pod_uid);
    out.push_back({name == names_.end() ? PodName() : name->second, entry.pod_uid, entry});
  }
  return out;
}

std::map<std::string, std::vector<PluginDevice>> DeviceManager::Devices() const {
  std::lock_guard lock(mutex_);
  std::map<std::string, std::vector<PluginDevice>> out;
  for (const auto& [name, resource] : resources_) {
    const Instance* active = resource.Active();
    out[name] = active == nullptr ? std::vector<PluginDevice>() : active->devices;
  }
  return out;
}

std::map<std::string, int64_t> DeviceManager::Capacity() const {
  std::map<std::string, int64_t> out;
  for (const auto& [name, devices] : Devices()) out[name] = static_cast<int64_t>(devices.size());
  return out;
}

std::map<std::string, int64_t> DeviceManager::Allocatable() const {
  std::map<std::string, int64_t> out;
  for (const auto& [name, devices] : Devices()) {
    out[name] = std::count_if(devices.begin(), devices.end(), [](const PluginDevice& d) { return d.healthy; });
  }
  return out;
}

std::set<std::pair<std::string, std::string>> DeviceManager::UnhealthyHeld() const {
  std::set<std::pair<std::string, std::string>> out;
  std::lock_guard lock(mutex_);
  for (const auto& entry : entries_) {
    const auto found = resources_.find(entry.resource);
    const Instance* active = found == resources_.end() ? nullptr : found->second.Active();
    for (const auto& id : entry.Ids()) {
      bool healthy = false;
      if (active != nullptr) {
        for (const auto& device : active->devices) healthy = healthy || (device.id == id && device.healthy);
      }
      if (!healthy) out.insert({entry.pod_uid, id});
    }
  }
  return out;
}

}  // namespace ccgpu::node
