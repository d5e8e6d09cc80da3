// The third platform: guests with a vTPM, and no memory encryption that anything could report about.
#pragma once

#include <string>

#include "gpu-emulator/platform/reporter.h"
#include "gpu-emulator/platform/vtpm_guest.h"

namespace ccgpu::emulator {

// Linux has no configfs-tsm provider for TPMs: the report is the evidence's JSON (tee "tpm", docs/formats/tpm.md),
// under a provider name of our own.
inline constexpr char kVtpmProvider[] = "ccgpu_vtpm";

// `identity` and `clock` must outlive it. Each guest's TPM keeps its state in a folder of its own below `folder` (what
// a killed emulator left there is removed).
class VtpmPlatform final : public CpuPlatform {
 public:
  VtpmPlatform(const VtpmIdentity& identity, std::string folder, const Clock& clock);
  std::string tsm_provider() const override { return kVtpmProvider; }
  // When the TPM cannot be started, every Report says why.
  std::unique_ptr<Reporter> Launched(LaunchFacts facts, crypto::Random& random) const override;

 private:
  const VtpmIdentity& identity_;
  std::string folder_;
  const Clock& clock_;
};

}  // namespace ccgpu::emulator
