// A vTPM per guest (swtpm), into which the launch is measured, with an event log and a certified attestation key.
//
//   PCR 0  EV_S_CRTM_VERSION  the emulator's name
//   PCR 4  EV_EVENT_TAG       the launch measurement, tag 'ccgp'
//   PCR 7  EV_EFI_VARIABLE_DRIVER_CONFIG  SecureBoot = 0: nothing here checks who signed the image
//   PCR 8  EV_IPL             the initdata digest itself, as CoCo extends it
//   PCR 0..7 EV_SEPARATOR
// Only the SHA-256 bank is extended and quoted.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "gpu-emulator/identity/key_store.h"
#include "gpu-emulator/platform/vtpm_device.h"
#include "trust/evidence/tcg_log.h"
#include "trust/evidence/tpm_evidence.h"

namespace ccgpu::emulator {

// Who certifies the vTPMs' attestation keys.
struct VtpmIdentity {
  Authority root, attestation_ca;
};
// Loads it from `dir`, or makes it there. Errors: "identity.damaged".
Result<VtpmIdentity> LoadOrMakeVtpmIdentity(const std::string& dir, TimePoint now);

struct VtpmLaunch {
  Bytes measurement;  // 48 bytes, SHA-384 over the guest's image files
  Bytes host_data;    // 32 bytes: SHA-256 of the initdata document
};
// What is measured into a new guest's vTPM.
evidence::TcgLog MeasuredLaunch(const VtpmLaunch& launch);

// One guest's TPM. Any thread.
class VtpmGuest {
 public:
  // Starts a TPM with seeds of its own, measures the launch and has its attestation key certified. `folder`:
  // VtpmDevice.
  static Result<std::unique_ptr<VtpmGuest>> Start(const VtpmIdentity& identity, const std::string& folder,
                                                  const VtpmLaunch& launch, TimePoint now);
  // A quote over all 24 registers; `nonce` at most 64 bytes.
  Result<evidence::TpmEvidence> Evidence(ByteView nonce) const;

 private:
  explicit VtpmGuest(VtpmDevice device) : device_(std::move(device)) {}
  mutable std::mutex mutex_;
  mutable VtpmDevice device_;  // guarded by mutex_
  VtpmDevice::Key key_;
  evidence::TpmEvidence evidence_;  // what does not change
};

}  // namespace ccgpu::emulator
