// What the emulator tells at /metrics: its GPUs, the sandboxes on them, and who asked its services.
#pragma once

#include <string>

#include "base/metrics.h"
#include "gpu-emulator/machine/machine.h"
#include "gpu-emulator/platform/sandbox.h"

namespace ccgpu::emulator {

// Any thread. Everything given must outlive it.
class EmulatorMetrics {
 public:
  EmulatorMetrics(const Machine& machine, PlatformParts& parts, std::string platform, std::string version);
  // One answer of the HTTP services.
  void Answered(const std::string& path, int status);
  std::string Text() const { return parts_.metrics.Text(); }

 private:
  void WriteGpus(metrics::Page& page) const;
  const Machine& machine_;
  PlatformParts& parts_;
  metrics::Family<metrics::Counter>& answers_;
};

}  // namespace ccgpu::emulator
