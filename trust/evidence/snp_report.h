// AMD SEV-SNP attestation reports, 1184 bytes, versions 2, 3 and 5 (AMD 56860; docs/formats/snp-report.md).
//
// Encode(Parse(x)) is x for every report that Parse accepts. Parsing checks form only (size, reserved bytes); what the
// values must be is trust/verify's work.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/crypto/key.h"

namespace ccgpu::evidence {

inline constexpr size_t kSnpReportSize = 1184;
inline constexpr size_t kSnpSignedSize = 0x2a0;

namespace snp_offset {
inline constexpr size_t kVersion = 0x0, kGuestSvn = 0x4, kPolicy = 0x8, kFamilyId = 0x10, kImageId = 0x20, kVmpl = 0x30,
                        kSignatureAlgorithm = 0x34, kCurrentTcb = 0x38, kPlatformInfo = 0x40, kKeyInfo = 0x48,
                        kReportData = 0x50, kMeasurement = 0x90, kHostData = 0xc0, kIdKeyDigest = 0xe0,
                        kAuthorKeyDigest = 0x110, kReportId = 0x140, kReportIdMa = 0x160, kReportedTcb = 0x180,
                        kCpuid = 0x188, kChipId = 0x1a0, kCommittedTcb = 0x1e0, kCurrentVersion = 0x1e8,
                        kCommittedVersion = 0x1ec, kLaunchTcb = 0x1f0, kLaunchMit = 0x1f8, kCurrentMit = 0x200,
                        kSignature = 0x2a0;
}
namespace snp_policy {
inline constexpr uint64_t kSmtAllowed = 1ull << 16, kMustBeOne = 1ull << 17, kMigrationAgent = 1ull << 18,
                          kDebug = 1ull << 19, kSingleSocket = 1ull << 20, kCxlAllowed = 1ull << 21,
                          kMemAes256Xts = 1ull << 22, kRaplDisabled = 1ull << 23, kCiphertextHiding = 1ull << 24,
                          kPageSwapDisabled = 1ull << 25, kReserved = ~((1ull << 26) - 1);
}
namespace snp_platform {
inline constexpr uint64_t kSmt = 1 << 0, kTsme = 1 << 1, kEcc = 1 << 2, kRaplDisabled = 1 << 3,
                          kCiphertextHiding = 1 << 4, kAliasCheckComplete = 1 << 5, kTio = 1 << 7,
                          kReserved = ~(0xbfull);
}
namespace snp_key_info {
inline constexpr uint32_t kAuthorKey = 1u << 0, kMaskChipKey = 1u << 1, kReserved = ~0x1fu;
}

// The parts of a TCB_VERSION. Never compare the u64 as a number: a newer part does not make up for an older one.
struct TcbParts {
  std::optional<uint8_t> fmc;  // Turin and later only
  uint8_t bootloader = 0, tee = 0, snp = 0, microcode = 0;
  bool operator==(const TcbParts&) const = default;
  bool AtLeast(const TcbParts& floor) const;  // each part
  std::string ToString() const;               // "bootloader 3, tee 0, snp 8, microcode 115"
};
TcbParts SplitTcb(uint64_t tcb, bool turin);
uint64_t JoinTcb(const TcbParts& parts);  // Turin's layout when fmc is set

struct SnpVersion {
  uint8_t build = 0, minor = 0, major = 0;
  bool operator==(const SnpVersion&) const = default;
};

struct SnpReport {
  uint32_t version = 3;
  uint32_t guest_svn = 0;
  uint64_t policy = snp_policy::kMustBeOne;
  Bytes family_id = Bytes(16), image_id = Bytes(16);
  uint32_t vmpl = 0;
  uint32_t signature_algorithm = 1;  // 1: ECDSA P-384 with SHA-384
  uint64_t current_tcb = 0;
  uint64_t platform_info = 0;
  uint32_t key_info = 0;  // bit 0 author key, bit 1 masked chip key, bits 2-4 signing key (0 VCEK, 1 VLEK, 7 none)
  Bytes report_data = Bytes(64), measurement = Bytes(48), host_data = Bytes(32);
  Bytes id_key_digest = Bytes(48), author_key_digest = Bytes(48), report_id = Bytes(32);
  Bytes report_id_ma = Bytes(32, 0xff);  // all ones: there is no migration agent
  uint64_t reported_tcb = 0;
  uint8_t cpuid_family = 0, cpuid_model = 0, cpuid_stepping = 0;  // version 3 and later
  Bytes chip_id = Bytes(64);
  uint64_t committed_tcb = 0;
  SnpVersion current_version, committed_version;
  uint64_t launch_tcb = 0;
  uint64_t launch_mit_vector = 0, current_mit_vector = 0;  // version 5
  Bytes signature_r = Bytes(72), signature_s = Bytes(72);  // little-endian, as in the report

  // Whether TCB versions have the layout of Turin and later. Version 2 does not name the CPU: there the short chip id
  // says it.
  bool IsTurin() const;
  uint32_t SigningKey() const { return (key_info >> 2) & 7; }
  // r||s big-endian, 96 bytes; empty when a value does not fit 48 bytes.
  Bytes RawSignature() const;
};

// Errors: snp.report-malformed (size, version, reserved bytes that are not zero), with the offset in the text.
Result<SnpReport> ParseSnpReport(ByteView bytes);
Bytes EncodeSnpReport(const SnpReport& report);
// Fills in the signature and gives the 1184 bytes.
Bytes SignSnpReport(SnpReport& report, const crypto::PrivateKey& vcek);

// CoCo's JSON of the report alone: {"version":3,"guest_svn":0,...}. Exact: back and forth gives the same 1184 bytes.
std::string SnpReportToJson(const SnpReport& report);
Result<SnpReport> SnpReportFromJson(std::string_view json);

}  // namespace ccgpu::evidence
