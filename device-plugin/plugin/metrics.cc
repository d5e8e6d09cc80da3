#include "device-plugin/plugin/metrics.h"

namespace ccgpu::deviceplugin {
namespace {

void Type(std::string& out, const char* name, const char* type, const char* help) {
  out += std::string("# HELP ") + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

void Line(std::string& out, const std::string& series, uint64_t value) {
  out += series + " " + std::to_string(value) + "\n";
}

}  // namespace

void Metrics::ObserveAllocate(std::chrono::nanoseconds took) {
  const double seconds = std::chrono::duration<double>(took).count();
  size_t bucket = 0;
  while (bucket < kBounds.size() && seconds > kBounds[bucket]) bucket++;
  buckets_[bucket]++;
  sum_ns_ += static_cast<uint64_t>(took.count());
}

std::string Metrics::NotReadyBecause() const {
  if (!emulator_connected) return "the emulator does not answer on its control socket";
  if (!registered) return "not registered with the kubelet";
  return "";
}

std::string Metrics::Text(const Snapshot& devices) const {
  std::string out;
  Type(out, "ccgpu_device_plugin_device_healthy", "gauge", "1 when the GPU can be allocated");
  uint64_t healthy = 0;
  for (const auto& gpu : devices.gpus) {
    healthy += gpu.healthy;
    Line(out,
         "ccgpu_device_plugin_device_healthy{uuid=\"" + gpu.id + "\",index=\"" + std::to_string(gpu.index) +
             "\",mode=\"" + gpu.mode + "\",reason=\"" + gpu.reason + "\"}",
         gpu.healthy);
  }
  Type(out, "ccgpu_device_plugin_devices", "gauge", "GPUs by health");
  Line(out, "ccgpu_device_plugin_devices{health=\"healthy\"}", healthy);
  Line(out, "ccgpu_device_plugin_devices{health=\"unhealthy\"}", devices.gpus.size() - healthy);
  Type(out, "ccgpu_device_plugin_allocations_total", "counter", "Allocate calls");
  Line(out, "ccgpu_device_plugin_allocations_total{result=\"ok\"}", allocations_ok);
  Line(out, "ccgpu_device_plugin_allocations_total{result=\"refused\"}", allocations_refused);
  Type(out, "ccgpu_device_plugin_allocate_seconds", "histogram", "time of one Allocate call");
  uint64_t count = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    count += buckets_[i];
    std::string bound = "+Inf";
    if (i < kBounds.size()) {
      bound = std::to_string(kBounds[i]);
      bound.erase(bound.find_last_not_of('0') + 1);
      if (bound.back() == '.') bound.pop_back();
    }
    Line(out, "ccgpu_device_plugin_allocate_seconds_bucket{le=\"" + bound + "\"}", count);
  }
  out += "ccgpu_device_plugin_allocate_seconds_sum " + std::to_string(static_cast<double>(sum_ns_) / 1e9) + "\n";
  Line(out, "ccgpu_device_plugin_allocate_seconds_count", count);
  Type(out, "ccgpu_device_plugin_registrations_total", "counter", "Register calls to the kubelet");
  Line(out, "ccgpu_device_plugin_registrations_total{result=\"ok\"}", registrations_ok);
  Line(out, "ccgpu_device_plugin_registrations_total{result=\"failed\"}", registrations_failed);
  Type(out, "ccgpu_device_plugin_resolver_requests_total", "counter",
       "questions of shims: which GPUs does this pod hold");
  Line(out, "ccgpu_device_plugin_resolver_requests_total{result=\"ok\"}", resolver_ok);
  Line(out, "ccgpu_device_plugin_resolver_requests_total{result=\"failed\"}", resolver_failed);
  Type(out, "ccgpu_device_plugin_cdi_writes_total", "counter", "CDI spec files written");
  Line(out, "ccgpu_device_plugin_cdi_writes_total{result=\"ok\"}", cdi_writes);
  Line(out, "ccgpu_device_plugin_cdi_writes_total{result=\"failed\"}", cdi_write_failures);
  Type(out, "ccgpu_device_plugin_registered", "gauge", "1 while registered with a kubelet");
  Line(out, "ccgpu_device_plugin_registered", registered);
  Type(out, "ccgpu_device_plugin_emulator_connected", "gauge", "1 while the GPUs are watched");
  Line(out, "ccgpu_device_plugin_emulator_connected", emulator_connected);
  return out;
}

}  // namespace ccgpu::deviceplugin
