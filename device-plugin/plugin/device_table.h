// What the plugin knows about the node's GPUs right now: one immutable snapshot, replaced whole. Readers never wait for
// a writer, so Allocate cannot hang behind a sick device.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace ccgpu::deviceplugin {

struct GpuView {
  std::string id;  // the GPU's uuid; the kubelet's device id
  uint32_t index = 0;
  bool healthy = false;
  std::string reason;  // reason code when not healthy
  int32_t numa_node = -1;
  std::string mode;        // off | devtools | apm | hopper-cc
  std::string state;       // UNLOCKED | LOCKED | RUN | ERROR
  std::string sandbox_id;  // who holds it, empty: nobody

  bool operator==(const GpuView&) const = default;
};

struct Snapshot {
  uint64_t version = 0;       // grows by one with every change
  std::vector<GpuView> gpus;  // in the order of index

  const GpuView* Find(const std::string& id) const;
};

// Any thread may call anything.
class DeviceTable {
 public:
  DeviceTable();
  std::shared_ptr<const Snapshot> Get() const;
  // Publishes a new list; nothing happens when it equals the old one.
  void Replace(std::vector<GpuView> gpus);
  // Keeps the devices (the kubelet then shows capacity without allocatable) and calls all of them unhealthy.
  void MarkAllUnhealthy(const std::string& reason);
  // The snapshot as soon as its version differs from `seen`, else the current one after `timeout`.
  std::shared_ptr<const Snapshot> WaitChange(uint64_t seen, std::chrono::milliseconds timeout) const;
  // Wakes all waiters once, e.g. because a server stops.
  void Wake();

 private:
  void Publish(std::vector<GpuView> gpus);
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::shared_ptr<const Snapshot> snapshot_;
  uint64_t wakes_ = 0;
};

}  // namespace ccgpu::deviceplugin
