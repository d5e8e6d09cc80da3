// The report that Azure's paravisor (HCL) leaves in the vTPM's NV index 0x01400001: the hardware's own report, and the
// runtime data that its REPORT_DATA is the hash of. The runtime data names the vTPM's attestation key.
//
//   0x000  "HCLA", version u32, report size u32, request type u32, status u32, 3 x u32 reserved
//   0x020  hardware report in an area of 1184 bytes: an SNP report, or a TDREPORT of 1024 bytes and zeros
//   0x4c0  runtime data: size u32, version u32, report type u32 (2 SNP, 4 TDX), hash type u32, JSON size u32, JSON
// The report is made when the machine boots, so it says nothing about now: freshness is the vTPM quote's.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/crypto/key.h"

namespace ccgpu::evidence {

inline constexpr size_t kHclHardwareOffset = 0x20, kHclHardwareSize = 1184, kHclRuntimeOffset = 0x4c0,
                        kHclJsonOffset = 0x4d4, kTdReportSize = 1024, kTdReportDataOffset = 128;

enum class HclReportType : uint32_t { kSnp = 2, kTdx = 4 };
enum class HclHash : uint32_t { kSha256 = 1, kSha384 = 2, kSha512 = 3 };

struct HclReport {
  uint32_t version = 2, request_type = 2, status = 0;
  Bytes hardware;  // the area's 1184 bytes
  uint32_t runtime_version = 1;
  HclReportType type = HclReportType::kSnp;
  HclHash hash = HclHash::kSha256;
  std::string runtime_json;  // exactly the bytes that are hashed

  ByteView SnpReport() const { return hardware; }
  ByteView TdReport() const { return ByteView(hardware).first(kTdReportSize); }
  Bytes RuntimeDigest() const;  // under `hash`
};
// What follows the JSON must be zeros (the NV index has a fixed size). Errors: azure.hcl-malformed.
Result<HclReport> ParseHclReport(ByteView bytes);
Bytes EncodeHclReport(const HclReport& report);

// What the runtime data says. The caller has compared its digest with the hardware report's REPORT_DATA.
struct HclRuntime {
  crypto::PublicKey ak;  // "HCLAkPub", RSA with exponent 65537
  Bytes user_data;       // 64 bytes that the guest chose; empty when absent
  bool secure_boot = false, console_enabled = false, tpm_enabled = false, tpm_persisted = false;
  std::string vm_id;             // vmUniqueId
  std::string vm_configuration;  // JSON text of the member, "" when absent
};
// Errors: azure.runtime-malformed: no or several keys named HCLAkPub, a key that is not RSA or not for signing.
Result<HclRuntime> ParseHclRuntime(std::string_view json);

}  // namespace ccgpu::evidence
