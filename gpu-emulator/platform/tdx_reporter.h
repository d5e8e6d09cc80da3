// TDX quotes about launched guests.
#pragma once

#include "gpu-emulator/identity/tdx_fault.h"
#include "gpu-emulator/identity/tdx_identity.h"
#include "gpu-emulator/platform/reporter.h"

namespace ccgpu::emulator {

// MRTD is the launch digest over the guest's image files, MRCONFIGID the initdata's digest filled with zeros (as
// Confidential Containers has it), the RTMRs are zero: nothing is measured after the launch. Any thread. `identity`
// must outlive it.
class TdxReporter final : public Reporter {
 public:
  TdxReporter(const TdxIdentity& identity, uint16_t quote_version, TdxFault fault, const LaunchFacts& launch);
  // A quote; no auxiliary blob. TDX has no privilege levels: anything but 0 is refused.
  Result<TsmBlobs> Report(ByteView report_data, uint32_t privlevel) const override;

 private:
  const TdxIdentity* identity_;
  evidence::TdxQuote base_;  // everything but REPORTDATA and the signatures
  evidence::QeReport qe_;
};

// `identity` must outlive it. `quote_version`: 4, or 5 (with the TDX 1.5 body).
class TdxPlatform final : public CpuPlatform {
 public:
  TdxPlatform(const TdxIdentity& identity, uint16_t quote_version, TdxFault fault = TdxFault::kNone)
      : identity_(identity), quote_version_(quote_version), fault_(fault) {}
  std::string tsm_provider() const override { return "tdx_guest"; }
  std::unique_ptr<Reporter> Launched(LaunchFacts facts, crypto::Random& random) const override;

 private:
  const TdxIdentity& identity_;
  uint16_t quote_version_;
  TdxFault fault_;
};

}  // namespace ccgpu::emulator
