// Reports about launched guests, whatever the CPU: SEV-SNP reports or TDX quotes.
#pragma once

#include <memory>
#include <string>

#include "base/crypto/digest.h"
#include "gpu-emulator/platform/tsm_tree.h"

namespace ccgpu::emulator {

struct LaunchFacts {
  Bytes measurement;  // 48 bytes, SHA-384 over the guest's image files
  Bytes host_data;    // 32 bytes: SHA-256 of the initdata document
};

// Speaks for one launched guest; who holds it, speaks for that guest only. Any thread.
class Reporter {
 public:
  virtual ~Reporter() = default;
  // `report_data` 64 bytes, `privlevel` 0..3 where the CPU has such: "platform.bad-report-request" otherwise.
  virtual Result<TsmBlobs> Report(ByteView report_data, uint32_t privlevel) const = 0;
};

// The machine's CPU. Immutable, any thread.
class CpuPlatform {
 public:
  virtual ~CpuPlatform() = default;
  virtual std::string tsm_provider() const = 0;  // "sev_guest", as Linux's driver calls itself
  // `random` must outlive the call only; the platform outlives what it returns.
  virtual std::unique_ptr<Reporter> Launched(LaunchFacts facts, crypto::Random& random) const = 0;
};

}  // namespace ccgpu::emulator
