// The faults that can be put into an emulated board, and what each of them does. One table; the machine carries it out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ccgpu::emulator {

enum class Fault { kNone, kFirmware, kDebug, kRevoke, kHold, kRimRevoke, kRimHold, kSwap, kDrop, kHang };

// What OCSP says about a certificate, as RFC 5280 numbers the reasons.
enum class Revocation { kNone = 0, kKeyCompromise = 1, kCertificateHold = 6 };

struct FaultEffect {
  Fault fault;
  std::string_view name;                         // in the control API and `ccgpu gpu fault`
  std::string_view meaning;                      // for people
  bool changes_firmware = false;                 // a measurement differs from the driver RIM
  bool enables_debug = false;                    // the debug fuse measures as enabled
  Revocation of_board = Revocation::kNone;       // of the board's identity certificate
  Revocation of_rim_signer = Revocation::kNone;  // of the certificate that the RIMs are signed with: it is the
                                                 // vendor's, so it is felt by every board
  bool swaps_board = false;  // another board (same roots, other identity) sits in the slot
  bool drops_link = false;   // the link is down: unhealthy
  bool hangs = false;        // the device answers nothing: unhealthy
};

const std::vector<FaultEffect>& FaultTable();
const FaultEffect& EffectOf(Fault fault);
std::optional<Fault> ParseFault(std::string_view name);
std::string FaultNames();  // "none, firmware, ..."

}  // namespace ccgpu::emulator
