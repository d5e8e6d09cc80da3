#include "device-plugin/plugin/device_table.h"

#include <algorithm>

namespace ccgpu::deviceplugin {

const GpuView* Snapshot::Find(const std::string& id) const {
  for (const auto& gpu : gpus) {
    if (gpu.id == id) return &gpu;
  }
  return nullptr;
}

DeviceTable::DeviceTable() : snapshot_(std::make_shared<Snapshot>()) {}

std::shared_ptr<const Snapshot> DeviceTable::Get() const {
  std::lock_guard lock(mutex_);
  return snapshot_;
}

void DeviceTable::Publish(std::vector<GpuView> gpus) {
  if (gpus == snapshot_->gpus) return;
  auto next = std::make_shared<Snapshot>();
  next->version = snapshot_->version + 1;
  next->gpus = std::move(gpus);
  snapshot_ = std::move(next);
  changed_.notify_all();
}

void DeviceTable::Replace(std::vector<GpuView> gpus) {
  std::sort(gpus.begin(), gpus.end(), [](const GpuView& a, const GpuView& b) { return a.index < b.index; });
  std::lock_guard lock(mutex_);
  Publish(std::move(gpus));
}

void DeviceTable::MarkAllUnhealthy(const std::string& reason) {
  std::lock_guard lock(mutex_);
  auto gpus = snapshot_->gpus;
  for (auto& gpu : gpus) {
    gpu.healthy = false;
    gpu.reason = reason;
  }
  Publish(std::move(gpus));
}

std::shared_ptr<const Snapshot> DeviceTable::WaitChange(uint64_t seen, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  const uint64_t wakes = wakes_;
  changed_.wait_for(lock, timeout, [&] { return snapshot_->version != seen || wakes_ != wakes; });
  return snapshot_;
}

void DeviceTable::Wake() {
  std::lock_guard lock(mutex_);
  wakes_++;
  changed_.notify_all();
}

}  // namespace ccgpu::deviceplugin
