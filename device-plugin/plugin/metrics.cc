#include "device-plugin/plugin/metrics.h"

namespace ccgpu::deviceplugin {

std::string Metrics::NotReadyBecause() const {
  if (!emulator_connected) return "the emulator does not answer on its control socket";
  if (!registered) return "not registered with the kubelet";
  return "";
}

std::string Metrics::Text(const Snapshot& devices) const {
  metrics::Page page;
  metrics::WriteProcess(page, "ccgpu_device_plugin", version_);
  page.Head("ccgpu_device_plugin_device_healthy", "gauge", "1 when the GPU can be allocated.");
  uint64_t healthy = 0;
  for (const auto& gpu : devices.gpus) {
    healthy += gpu.healthy;
    page.Sample({{"uuid", gpu.id}, {"index", std::to_string(gpu.index)}, {"mode", gpu.mode}, {"reason", gpu.reason}},
                gpu.healthy);
  }
  page.Head("ccgpu_device_plugin_devices", "gauge", "GPUs by health.");
  page.Sample({{"health", "healthy"}}, static_cast<double>(healthy));
  page.Sample({{"health", "unhealthy"}}, static_cast<double>(devices.gpus.size() - healthy));
  auto results = [&](const char* name, const char* help, const char* bad, uint64_t ok_count, uint64_t bad_count) {
    page.Head(name, "counter", help);
    page.Sample({{"result", "ok"}}, static_cast<double>(ok_count));
    page.Sample({{"result", bad}}, static_cast<double>(bad_count));
  };
  results("ccgpu_device_plugin_allocations_total", "Allocate calls.", "refused", allocations_ok, allocations_refused);
  page.Head("ccgpu_device_plugin_allocate_seconds", "histogram", "Time of one Allocate call.");
  allocate_seconds_.Write(page, {});
  results("ccgpu_device_plugin_registrations_total", "Register calls to the kubelet.", "failed", registrations_ok,
          registrations_failed);
  page.Head("ccgpu_device_plugin_forgotten_total", "counter",
            "Times that the kubelet no longer knew healthy GPUs of ours.");
  page.Sample({}, static_cast<double>(forgotten));
  results("ccgpu_device_plugin_resolver_requests_total", "Questions of shims: which GPUs does this pod hold.", "failed",
          resolver_ok, resolver_failed);
  results("ccgpu_device_plugin_cdi_writes_total", "CDI spec files written.", "failed", cdi_writes, cdi_write_failures);
  page.Gauge("ccgpu_device_plugin_registered", "1 while registered with a kubelet.", registered);
  page.Gauge("ccgpu_device_plugin_emulator_connected", "1 while the GPUs are watched.", emulator_connected);
  return page.Take();
}

}  // namespace ccgpu::deviceplugin
