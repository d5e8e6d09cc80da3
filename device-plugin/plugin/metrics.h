// The plugin's counters, written as Prometheus text. Any thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "device-plugin/plugin/device_table.h"

namespace ccgpu::deviceplugin {

class Metrics {
 public:
  std::atomic<uint64_t> allocations_ok{0}, allocations_refused{0};
  std::atomic<uint64_t> registrations_ok{0}, registrations_failed{0};
  std::atomic<uint64_t> resolver_ok{0}, resolver_failed{0};
  std::atomic<uint64_t> cdi_writes{0}, cdi_write_failures{0};
  std::atomic<bool> registered{false}, emulator_connected{false};

  void ObserveAllocate(std::chrono::nanoseconds took);
  std::string Text(const Snapshot& devices) const;
  // Empty when the plugin is registered and sees the GPUs; else what is missing.
  std::string NotReadyBecause() const;

 private:
  static constexpr std::array<double, 7> kBounds = {0.0001, 0.00025, 0.0005, 0.001, 0.01, 0.1, 1};  // seconds
  std::array<std::atomic<uint64_t>, kBounds.size() + 1> buckets_{};
  std::atomic<uint64_t> sum_ns_{0};
};

}  // namespace ccgpu::deviceplugin
