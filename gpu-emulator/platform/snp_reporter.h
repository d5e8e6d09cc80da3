// SEV-SNP reports about one launched guest. Who holds a reporter speaks for that guest only.
#pragma once

#include "base/crypto/digest.h"
#include "gpu-emulator/identity/snp_identity.h"

namespace ccgpu::emulator {

struct LaunchFacts {
  Bytes measurement;  // 48 bytes
  Bytes host_data;    // 32 bytes
};

// Any thread. `identity` must outlive it.
class SnpReporter {
 public:
  SnpReporter(const SnpIdentity& identity, LaunchFacts launch, crypto::Random& random);
  // A version 3 report, 1184 bytes. `report_data` 64 bytes, `vmpl` 0..3: "platform.bad-report-request" otherwise.
  Result<Bytes> Report(ByteView report_data, uint32_t vmpl) const;
  const Bytes& cert_table() const { return identity_->cert_table; }

 private:
  const SnpIdentity* identity_;
  evidence::SnpReport base_;  // everything but REPORT_DATA, VMPL and the signature
};

}  // namespace ccgpu::emulator
