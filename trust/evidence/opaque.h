// OpaqueData of an NVIDIA attestation report: facts about board, firmware versions and links
// (docs/formats/gpu-report.md).
//
// Two wire forms: the old one is a row of type u16, size u16, data; the new one begins with "NVDAOD", a 12-byte header,
// and has a value type in each entry. Unknown types are kept as they are.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace ccgpu::evidence {

namespace opaque_type {
inline constexpr uint16_t kDriverVersion = 3, kGpuInfo = 4, kVbiosVersion = 6, kNvdec0Status = 11, kMsrsCount = 12,
                          kCprInfo = 13, kBoardId = 14, kChipSku = 15, kChipSkuMod = 16, kProject = 17,
                          kProjectSku = 18, kProjectSkuMod = 19, kFwid = 20, kProtectedPcieStatus = 21, kSwitchPdi = 22,
                          kFloorsweptPorts = 23, kPositionId = 24, kLockSwitchStatus = 25, kSwitchGpuPdis = 26,
                          kSysEnableStatus = 33, kVersion = 34, kChipInfo = 35, kFeatureFlag = 36, kFspUcodeSvn = 37;
inline constexpr uint16_t kDevicePdi = 22;  // on a switch: its own PDI; on a GPU the same number is kSwitchPdi
}  // namespace opaque_type
inline constexpr uint16_t kSvnValueType = 0x87;  // new form: security version numbers
inline constexpr size_t kPdiSize = 8;
inline constexpr uint8_t kNvdecEnabled = 0xaa, kNvdecDisabled = 0x55;

struct OpaqueField {
  uint16_t type = 0;
  Bytes data;
  uint16_t value_type = 0;  // only in the new form
};

struct OpaqueData {
  std::vector<OpaqueField> fields;  // in wire order
  bool versioned = false;           // the new form ("NVDAOD")
  uint8_t major = 0, minor = 0, patch = 0;

  const Bytes* Find(uint16_t type) const;  // nullptr when absent
  std::string Text(uint16_t type) const;   // without the closing NULs; empty when absent
  std::string DriverVersion() const { return Text(opaque_type::kDriverVersion); }  // "550.90.07"
  std::string VbiosVersion() const;                                                // "96.00.9F.00.01"
  std::string Project() const { return Text(opaque_type::kProject); }              // "1010"
  std::string ProjectSku() const { return Text(opaque_type::kProjectSku); }        // "0200"
  std::string ChipSku() const { return Text(opaque_type::kChipSku); }              // "882"
  std::optional<Bytes> Fwid() const;  // 48 bytes; drivers before 550 have none
  std::optional<uint8_t> Nvdec0() const;
  // "spt", "mpt" or "ppcie" (single, multi-GPU, protected PCIe), as far as the report says it; "mixed" when its two
  // fields contradict each other or hold unknown values; "" when it has neither.
  std::string ProtectionMode() const;
  // Whom a device's NVLinks lead to, each PDI once, ascending. A GPU names its switches (in reversed byte order, zero
  // for an unused link; turned round here), a switch its GPUs. Nothing when the field is absent or has another size.
  std::optional<std::vector<Bytes>> PeerSwitchPdis() const;
  std::optional<std::vector<Bytes>> PeerGpuPdis() const;
  // A security version number of the new form; nothing when it is absent, longer than 8 bytes or of another value type.
  std::optional<uint64_t> Svn(uint16_t type) const;

  // For who makes reports. SetText closes with one NUL, as NVIDIA's firmware does.
  void Set(uint16_t type, Bytes data);
  void SetText(uint16_t type, std::string_view text);
  void SetVbiosVersion(std::string_view dotted);  // "96.00.9F.00.01"; precondition: five hex bytes with dots
};

// Refuses duplicates of a type (two readers could see two values), fields past the end, unknown major versions.
Result<OpaqueData> ParseOpaque(ByteView bytes);
Bytes EncodeOpaque(const OpaqueData& data);

}  // namespace ccgpu::evidence
