// Collects this sandbox's evidence: its GPUs by NVML, its CPU by configfs-tsm.
#pragma once

#include <memory>
#include <mutex>
#include <optional>

#include "attestation-agent/nvml.h"
#include "trust/evidence/composite.h"
#include "trust/kbs/jwe.h"

namespace ccgpu::agent {

// Any thread; one collection at a time.
class Collector {
 public:
  // `nvml` may be null: a sandbox without GPUs.
  Collector(std::unique_ptr<Nvml> nvml, std::string tsm_folder)
      : nvml_(std::move(nvml)), tsm_folder_(std::move(tsm_folder)) {}
  virtual ~Collector() = default;  // tests of the broker's side need no TEE

  // Evidence of each GPU in confidential mode over this 32-byte nonce. Empty without GPUs, or when their mode is off.
  Result<std::vector<evidence::GpuEvidence>> Gpus(ByteView nonce);
  Result<evidence::CpuEvidence> Cpu(ByteView report_data64);
  // The KBS protocol's word for the CPU's TEE.
  virtual Result<std::string> Tee();
  // Both, bound to the broker's nonce (its base64 text) and to the key as the KBS protocol says (trust/kbs/binding.h).
  virtual Result<evidence::CompositeEvidence> Composite(std::string_view nonce, const kbs::PublicJwk& key);

  bool has_gpus() const { return nvml_ != nullptr; }
  // No state when there are no GPUs.
  Result<std::optional<ConfidentialState>> State();
  Result<std::vector<GpuInfo>> GpuList();
  Status SetReady(bool ready);

 private:
  std::mutex mutex_;
  std::unique_ptr<Nvml> nvml_;
  std::string tsm_folder_;
};

}  // namespace ccgpu::agent
