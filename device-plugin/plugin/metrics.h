// The plugin's counters, written as Prometheus text. Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "base/metrics.h"
#include "device-plugin/plugin/device_table.h"

namespace ccgpu::deviceplugin {

class Metrics {
 public:
  explicit Metrics(std::string version = "0") : version_(std::move(version)) {}
  std::atomic<uint64_t> allocations_ok{0}, allocations_refused{0};
  std::atomic<uint64_t> registrations_ok{0}, registrations_failed{0};
  std::atomic<uint64_t> forgotten{0};
  std::atomic<uint64_t> resolver_ok{0}, resolver_failed{0};
  std::atomic<uint64_t> cdi_writes{0}, cdi_write_failures{0};
  std::atomic<bool> registered{false}, emulator_connected{false};

  void ObserveAllocate(std::chrono::duration<double> took) { allocate_seconds_.Observe(took.count()); }
  std::string Text(const Snapshot& devices) const;
  // Empty when the plugin is registered and sees the GPUs; else what is missing.
  std::string NotReadyBecause() const;

 private:
  static constexpr double kBounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.01, 0.1, 1};
  const std::string version_;
  metrics::Histogram allocate_seconds_{kBounds};
};

}  // namespace ccgpu::deviceplugin
