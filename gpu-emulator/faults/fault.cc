#include "gpu-emulator/faults/fault.h"

namespace ccgpu::emulator {

const std::vector<FaultEffect>& FaultTable() {
  static const std::vector<FaultEffect> kTable = {
      {.fault = Fault::kNone, .name = "none", .meaning = "the board is as it was made"},
      {.fault = Fault::kFirmware,
       .name = "firmware",
       .meaning = "GSP-RM firmware that nobody published",
       .changes_firmware = true},
      {.fault = Fault::kDebug, .name = "debug", .meaning = "the debug fuse is enabled", .enables_debug = true},
      {.fault = Fault::kRevoke,
       .name = "revoke",
       .meaning = "the vendor revoked the board's identity",
       .of_board = Revocation::kKeyCompromise},
      {.fault = Fault::kHold,
       .name = "hold",
       .meaning = "the vendor suspended the board's identity",
       .of_board = Revocation::kCertificateHold},
      {.fault = Fault::kRimRevoke,
       .name = "rim-revoke",
       .meaning = "the vendor revoked the signer of the reference values",
       .of_rim_signer = Revocation::kKeyCompromise},
      {.fault = Fault::kRimHold,
       .name = "rim-hold",
       .meaning = "the vendor suspended the signer of the reference values",
       .of_rim_signer = Revocation::kCertificateHold},
      {.fault = Fault::kSwap, .name = "swap", .meaning = "another genuine board sits in the slot", .swaps_board = true},
      {.fault = Fault::kDrop, .name = "drop", .meaning = "the link is down", .drops_link = true},
      {.fault = Fault::kHang, .name = "hang", .meaning = "the device does not answer", .hangs = true},
  };
  return kTable;
}

const FaultEffect& EffectOf(Fault fault) {
  for (const FaultEffect& effect : FaultTable()) {
    if (effect.fault == fault) return effect;
  }
  return FaultTable().front();
}

std::optional<Fault> ParseFault(std::string_view name) {
  for (const FaultEffect& effect : FaultTable()) {
    if (effect.name == name) return effect.fault;
  }
  return std::nullopt;
}

std::string FaultNames() {
  std::string names;
  for (const FaultEffect& effect : FaultTable()) names += (names.empty() ? "" : ", ") + std::string(effect.name);
  return names;
}

}  // namespace ccgpu::emulator
