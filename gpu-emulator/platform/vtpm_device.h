// A TPM 2.0: one swtpm process (Debian's package), and the few commands that a measured launch needs.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "base/fd.h"
#include "trust/evidence/tpm_quote.h"

namespace ccgpu::emulator {

// Owns the process and its state folder. swtpm ends when its connection closes, so also when we are killed. Not for
// several threads.
class VtpmDevice {
 public:
  // A new TPM, with seeds of its own, started up. `folder` is where it keeps its state: made here, removed at the end.
  // Errors: vtpm.start-failed (swtpm is not installed, or says why in its log), vtpm.command-failed.
  static Result<VtpmDevice> Start(const std::string& folder);
  VtpmDevice(VtpmDevice&& other) noexcept;
  VtpmDevice& operator=(VtpmDevice&&) = delete;
  ~VtpmDevice();

  struct Key {
    uint32_t handle = 0;
    evidence::TpmPublic area;
  };
  // A restricted signing key on P-256 under the endorsement hierarchy, that never leaves the TPM.
  Result<Key> MakeAttestationKey();
  Status Extend(uint32_t index, uint16_t bank, ByteView digest);
  Result<Bytes> ReadRegister(uint32_t index, uint16_t bank);

  struct Quoted {
    Bytes attest, signature;  // TPMS_ATTEST, TPMT_SIGNATURE
  };
  // `nonce` at most 64 bytes.
  Result<Quoted> Quote(const Key& key, ByteView nonce, const std::vector<evidence::TpmPcrSelection>& selections);

  // One command and its answer, as they lie on the wire. Errors: vtpm.command-failed with the TPM's response code.
  Result<Bytes> Transmit(ByteView command);

 private:
  VtpmDevice(pid_t pid, Fd connection, std::string folder)
      : pid_(pid), connection_(std::move(connection)), folder_(std::move(folder)) {}
  Result<Bytes> Exchange(ByteView command, uint32_t& code);
  pid_t pid_ = -1;
  Fd connection_;
  std::string folder_;
};

}  // namespace ccgpu::emulator
