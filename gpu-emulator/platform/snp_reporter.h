// SEV-SNP reports about launched guests.
#pragma once

#include "gpu-emulator/identity/snp_identity.h"
#include "gpu-emulator/platform/reporter.h"

namespace ccgpu::emulator {

// Any thread. `identity` must outlive it.
class SnpReporter final : public Reporter {
 public:
  SnpReporter(const SnpIdentity& identity, LaunchFacts launch, crypto::Random& random);
  // A version 3 report, 1184 bytes, and the certificate table. `privlevel` is the VMPL.
  Result<TsmBlobs> Report(ByteView report_data, uint32_t privlevel) const override;

 private:
  const SnpIdentity* identity_;
  evidence::SnpReport base_;  // everything but REPORT_DATA, VMPL and the signature
};

// `identity` must outlive it.
class SnpPlatform final : public CpuPlatform {
 public:
  explicit SnpPlatform(const SnpIdentity& identity) : identity_(identity) {}
  std::string tsm_provider() const override { return "sev_guest"; }
  std::unique_ptr<Reporter> Launched(LaunchFacts facts, crypto::Random& random) const override;

 private:
  const SnpIdentity& identity_;
};

}  // namespace ccgpu::emulator
