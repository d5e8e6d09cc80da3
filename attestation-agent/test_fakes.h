// GPUs that answer as a test wants, for tests of the agent.
#pragma once

#include "attestation-agent/nvml.h"

namespace ccgpu::agent {

class FakeNvml final : public Nvml {
 public:
  struct Script {
    bool cc_enabled = true, devtools = false, report_fails = false;
    Bytes report = Bytes(100, 1);
    int times_set_ready = 0;
  };
  explicit FakeNvml(Script& script) : script_(script) {}

  Result<std::vector<GpuInfo>> Gpus() override { return std::vector<GpuInfo>{{0, "GPU-test", "HOPPER"}}; }
  Result<ConfidentialState> State() override { return ConfidentialState{script_.cc_enabled, script_.devtools}; }
  Result<Bytes> Report(unsigned, ByteView) override {
    if (script_.report_fails) return Err("gpu.nvml", "report", "failed with 15: GPU is lost");
    return script_.report;
  }
  Result<std::string> CertificateChain(unsigned) override { return std::string("no certificates"); }
  Status SetReady(bool ready) override {
    script_.times_set_ready += ready;
    return Ok();
  }

 private:
  Script& script_;
};

}  // namespace ccgpu::agent
