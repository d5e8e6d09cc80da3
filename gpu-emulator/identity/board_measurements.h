// What a board measures of itself, and the reference manifests that say what a healthy board measures.
#pragma once

#include <array>
#include <map>
#include <mutex>
#include <string>

#include "gpu-emulator/identity/device_pki.h"
#include "gpu-emulator/profiles/profile.h"
#include "trust/evidence/opaque.h"
#include "trust/spdm/measurements.h"

namespace ccgpu::emulator {

using MeasurementValues = std::array<Bytes, 64>;  // 48 bytes each, zeros where nothing is measured

// The values of a board with its firmware as shipped, in `mode`, with the debug fuse intact.
MeasurementValues ShippedMeasurements(const Profile& profile, const std::string& mode);
// The report's opaque data.
evidence::OpaqueData BoardOpaque(const Profile& profile, ByteView fwid);

// Asked by the SPDM responder for each GET_MEASUREMENTS; the faults change what it answers. Any thread.
class BoardMeasurements final : public spdm::MeasurementSource {
 public:
  BoardMeasurements(const Profile& profile, Bytes fwid, std::string mode)
      : profile_(&profile), fwid_(std::move(fwid)), mode_(std::move(mode)) {}

  void SetMode(const std::string& mode);
  void SetFirmwareChanged(bool changed);  // the GSP-RM firmware is not what was shipped
  void SetDebugEnabled(bool enabled);     // the debug fuse allows debugging

  std::vector<spdm::MeasurementBlock> Blocks() override;
  Bytes OpaqueData() override;

 private:
  const Profile* profile_;
  std::mutex mutex_;
  Bytes fwid_;
  std::string mode_;
  bool firmware_changed_ = false, debug_enabled_ = false;
};

// Driver and VBIOS RIM of the profile, signed, by id. They exist for Profile::AttestedMode() only; a profile without
// attestation has none.
Result<std::map<std::string, std::string>> MakeReferenceManifests(const Profile& profile, const DevicePki& pki);

}  // namespace ccgpu::emulator
