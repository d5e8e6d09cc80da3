#include "gpu-emulator/control/emulator_metrics.h"

#include <map>

namespace ccgpu::emulator {
namespace {

// Paths are what clients make of them; services are few.
const char* ServiceOf(const std::string& path) {
  if (path.starts_with("/v1/rim/")) return "rim";
  if (path == "/" || path.starts_with("/ocsp")) return "ocsp";
  if (path.starts_with("/sgx/") || path.starts_with("/tdx/") || path.ends_with(".der")) return "pcs";
  if (path == "/metrics" || path == "/healthz") return "own";
  return "other";
}

}  // namespace

EmulatorMetrics::EmulatorMetrics(const Machine& machine, PlatformParts& parts, std::string platform,
                                 std::string version)
    : machine_(machine),
      parts_(parts),
      answers_(parts.metrics.AddCounters("ccgpu_emulator_http_requests_total",
                                         "Answers of the RIM, OCSP and PCS services.", {"service", "status"})) {
  parts.metrics.AddCollector([this, platform = std::move(platform), version = std::move(version)](metrics::Page& page) {
    metrics::WriteProcess(page, "ccgpu_emulator", version);
    page.Gauge("ccgpu_emulator_machine_info", "Always 1; the labels say what is emulated.", 1,
               {{"profile", machine_.profile().name}, {"platform", platform}});
    page.Gauge("ccgpu_emulator_sandboxes", "Sandboxes that run now.", parts_.running.load());
    WriteGpus(page);
  });
}

void EmulatorMetrics::Answered(const std::string& path, int status) {
  ++answers_.With({ServiceOf(path), std::to_string(status)});
}

void EmulatorMetrics::WriteGpus(metrics::Page& page) const {
  const auto gpus = machine_.List();
  std::map<std::string, std::map<std::string, int>> states;  // by mode
  std::map<std::string, int> faults;
  for (const auto& mode : machine_.profile().modes) states[mode];
  device::GpuCounters sum;
  int healthy = 0, in_session = 0;
  for (const GpuStatus& gpu : gpus) {
    ++states[gpu.mode][gpu.state];
    if (gpu.fault != "none") ++faults[gpu.fault];
    healthy += gpu.healthy;
    in_session += gpu.counters.in_session;
    sum.sessions += gpu.counters.sessions;
    sum.sessions_lost += gpu.counters.sessions_lost;
    sum.scrubs += gpu.counters.scrubs;
  }
  page.Head("ccgpu_emulator_gpus", "gauge", "GPUs by device state and mode.");
  for (const auto& [mode, by_state] : states) {
    for (const char* state : {"UNLOCKED", "LOCKED", "RUN", "ERROR"}) {
      const auto found = by_state.find(state);
      page.Sample({{"state", state}, {"mode", mode}}, found == by_state.end() ? 0 : found->second);
    }
  }
  page.Gauge("ccgpu_emulator_gpus_healthy", "GPUs that can be used.", healthy);
  page.Head("ccgpu_emulator_gpu_healthy", "gauge", "1 when the GPU can be used.");
  for (const GpuStatus& gpu : gpus)
    page.Sample({{"uuid", gpu.uuid}, {"index", std::to_string(gpu.index)}}, gpu.healthy);
  page.Head("ccgpu_emulator_gpu_held", "gauge", "1 while a sandbox holds the GPU.");
  for (const GpuStatus& gpu : gpus)
    page.Sample({{"uuid", gpu.uuid}, {"index", std::to_string(gpu.index)}}, !gpu.sandbox_id.empty());
  page.Head("ccgpu_emulator_gpu_faults", "gauge", "GPUs with an injected fault, by fault.");
  for (const FaultEffect& effect : FaultTable()) {
    if (effect.fault != Fault::kNone)
      page.Sample({{"fault", std::string(effect.name)}}, faults[std::string(effect.name)]);
  }
  page.Gauge("ccgpu_emulator_spdm_sessions", "GPUs that are in an SPDM session.", in_session);
  page.Counter("ccgpu_emulator_spdm_sessions_total", "SPDM sessions established.", static_cast<double>(sum.sessions));
  page.Counter("ccgpu_emulator_spdm_sessions_lost_total", "SPDM sessions that ended while work was running.",
               static_cast<double>(sum.sessions_lost));
  page.Counter("ccgpu_emulator_scrubs_total", "Times that a GPU's memory was overwritten with zeros.",
               static_cast<double>(sum.scrubs));
}

}  // namespace ccgpu::emulator
