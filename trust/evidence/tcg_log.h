// TCG event logs (TCG PC Client Platform Firmware Profile 1.06, section 10; also the CCEL of TDX guests): what was
// measured into which register, in order, and the register values that follow from it.
//
// A log is untrusted text. Replaying it and comparing with registers that a quote or a TD report vouches for shows that
// its *digests* are the measured ones; the event types and the event data stay claims of whoever wrote the log, unless
// DataIsMeasured says that a digest covers the data (go-attestation's docs/event-log-disclosure.md).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "trust/evidence/tpm_algorithms.h"

namespace ccgpu::evidence {

namespace tcg_event {
inline constexpr uint32_t kPostCode = 0x1, kNoAction = 0x3, kSeparator = 0x4, kAction = 0x5, kEventTag = 0x6,
                          kCrtmContents = 0x7, kCrtmVersion = 0x8, kPlatformConfigFlags = 0xa, kCompactHash = 0xc,
                          kIpl = 0xd, kNonhostInfo = 0x11, kEfiVariableDriverConfig = 0x80000001,
                          kEfiVariableBoot = 0x80000002, kEfiBootServicesApplication = 0x80000003,
                          kEfiGptEvent = 0x80000006, kEfiAction = 0x80000007, kEfiHcrtm = 0x80000010,
                          kEfiVariableBoot2 = 0x8000000c, kEfiVariableAuthority = 0x800000e0;
}

struct TcgDigest {
  uint16_t algorithm = 0;
  Bytes digest;
  bool operator==(const TcgDigest&) const = default;
};

struct TcgEvent {
  uint32_t index = 0;  // the PCR; in a CCEL 1..4 stand for RTMR 0..3 and 0 for MRTD
  uint32_t type = 0;   // tcg_event::*, not covered by any digest
  std::vector<TcgDigest> digests;
  Bytes data;
  size_t offset = 0, data_offset = 0;  // of the event and of its data in the log

  const Bytes* Digest(uint16_t algorithm) const;  // nullptr when the event has none
  bool Extends() const { return type != tcg_event::kNoAction; }
};

struct TcgLog {
  // The Spec ID event of a crypto-agile log; empty in a legacy log, whose events carry one SHA-1 digest each.
  bool crypto_agile = false;
  uint8_t spec_minor = 0, spec_major = 2, spec_errata = 0, uintn_size = 2;
  uint32_t platform_class = 0, spec_index = 0;            // the Spec ID event's register: 0, in a CCEL 1
  std::vector<std::pair<uint16_t, uint16_t>> algorithms;  // number, digest size, as declared
  Bytes vendor_info;
  std::vector<TcgEvent> events;  // without the Spec ID event
  size_t size = 0;               // bytes of the log proper; what follows is padding (all 0x00 or all 0xff)

  bool HasBank(uint16_t algorithm) const;
};

inline constexpr size_t kMaxTcgLogSize = 8 << 20, kMaxTcgEvents = 65536, kMaxTcgEventData = 1 << 20;

// Errors: tcg-log.malformed, with the offset in the text.
Result<TcgLog> ParseTcgLog(ByteView log);
// The log's bytes without padding: EncodeTcgLog(ParseTcgLog(x)) is the first `size` bytes of x.
Bytes EncodeTcgLog(const TcgLog& log);

// Register values that the log says, for each register that an event extends (a TPM's DRTM registers 17..22 start at
// zero, as after a dynamic launch; a StartupLocality event sets the last byte that PCR 0 starts with).
// Errors: tcg-log.bank-missing (the log has no digests of this algorithm, or an event lacks one),
// tcg-log.startup-locality.
Result<std::map<uint32_t, Bytes>> ReplayTcgLog(const TcgLog& log, uint16_t algorithm);

// Whether the digest of this algorithm is the hash of the event's whole data, for a type whose data is measured so.
// Only then does replaying vouch for the data.
bool DataIsMeasured(const TcgEvent& event, uint16_t algorithm);
// The text of a GRUB or kernel command line event ("grub_cmd: ", "kernel_cmdline: ", with or without the colon): what
// the digest covers, without prefix and NUL. Nothing when the digest does not cover it.
std::optional<std::string> MeasuredText(const TcgEvent& event, uint16_t algorithm);

std::string TcgEventName(uint32_t type);  // "EV_SEPARATOR"; "0x..." for an unknown one

}  // namespace ccgpu::evidence
