#include "gpu-emulator/identity/board_measurements.h"

#include "trust/evidence/h100_components.h"
#include "trust/evidence/rim.h"

namespace ccgpu::emulator {
namespace {

using evidence::RimKind;
namespace field = evidence::opaque_type;

constexpr size_t kDigestSize = 48;
constexpr uint8_t kBlockType = 0x01;  // mutable firmware: NVIDIA's firmware says so for every block
constexpr size_t kSwitchPdiSize = 18 * 8;

std::string ComponentVersion(const Profile& profile, uint8_t index) {
  auto found = profile.firmware.find(index);
  if (found != profile.firmware.end()) return found->second;
  return evidence::H100ComponentAt(index).rim == RimKind::kDriver ? profile.driver_version : profile.vbios_version;
}

Bytes LittleEndian(uint64_t value, size_t size) {
  Bytes bytes = std::move(Writer().U64(value)).Finish();
  bytes.resize(size);
  return bytes;
}

Bytes Padded(std::string_view text, size_t size) {
  Bytes bytes = ToBytes(AsBytes(text));
  bytes.resize(size);
  return bytes;
}

}  // namespace

MeasurementValues ShippedMeasurements(const Profile& profile, const std::string& mode) {
  MeasurementValues values;
  for (uint8_t index = 0; index < values.size(); ++index) {
    if (evidence::H100ComponentAt(index).rim == RimKind::kNone) {
      values[index] = Bytes(kDigestSize);
    } else if (index == evidence::kIndexCcMode) {
      values[index] = evidence::CcModeMeasurement(mode);
    } else if (index == evidence::kIndexDebugFuse) {
      values[index] = evidence::DebugFuseMeasurement(false);
    } else {
      values[index] = evidence::FirmwareMeasurement(index, ComponentVersion(profile, index));
    }
  }
  return values;
}

evidence::OpaqueData BoardOpaque(const Profile& profile, ByteView fwid) {
  evidence::OpaqueData opaque;
  Writer counts;
  for (uint8_t index = 0; index < 64; ++index)
    counts.U32(evidence::H100ComponentAt(index).rim == RimKind::kNone ? 0 : 1);
  // In the order that H100 firmware writes them.
  opaque.SetVbiosVersion(profile.vbios_version);
  opaque.Set(field::kBoardId, LittleEndian(profile.board_id, 4));
  opaque.Set(field::kChipSku, Padded(profile.chip_sku, 9));
  opaque.Set(field::kChipSkuMod, Padded("0", 5));
  opaque.Set(field::kProject, Padded(profile.project, 5));
  opaque.Set(field::kProjectSku, Padded(profile.project_sku, 5));
  opaque.Set(field::kProjectSkuMod, Padded("0", 2));
  opaque.SetText(field::kDriverVersion, profile.driver_version);
  opaque.Set(field::kGpuInfo, LittleEndian(profile.gpu_info, 8));
  opaque.Set(field::kMsrsCount, std::move(counts).Finish());
  opaque.Set(field::kCprInfo, {0x00, 0xc0, 0x01, 0x00});
  opaque.Set(field::kNvdec0Status, {evidence::kNvdecDisabled});
  opaque.Set(field::kFwid, ToBytes(fwid));
  opaque.Set(field::kProtectedPcieStatus, {evidence::kNvdecDisabled});
  opaque.Set(field::kSwitchPdi, Bytes(kSwitchPdiSize));
  opaque.Set(field::kVersion, LittleEndian(1, 2));
  opaque.Set(field::kFeatureFlag, LittleEndian(0, 2));  // SPT: one GPU passed through
  return opaque;
}

void BoardMeasurements::SetMode(const std::string& mode) {
  std::lock_guard lock(mutex_);
  mode_ = mode;
}

void BoardMeasurements::SetFirmwareChanged(bool changed) {
  std::lock_guard lock(mutex_);
  firmware_changed_ = changed;
}

void BoardMeasurements::SetDebugEnabled(bool enabled) {
  std::lock_guard lock(mutex_);
  debug_enabled_ = enabled;
}

std::vector<spdm::MeasurementBlock> BoardMeasurements::Blocks() {
  std::lock_guard lock(mutex_);
  MeasurementValues values = ShippedMeasurements(*profile_, mode_);
  if (firmware_changed_) {
    values[evidence::kIndexGspRm] =
        evidence::FirmwareMeasurement(evidence::kIndexGspRm, profile_->driver_version + " changed");
  }
  if (debug_enabled_) values[evidence::kIndexDebugFuse] = evidence::DebugFuseMeasurement(true);
  std::vector<spdm::MeasurementBlock> blocks;
  for (uint8_t index = 0; index < values.size(); ++index) {
    blocks.push_back({static_cast<uint8_t>(index + 1), kBlockType, std::move(values[index])});
  }
  return blocks;
}

Bytes BoardMeasurements::OpaqueData() {
  std::lock_guard lock(mutex_);
  return evidence::EncodeOpaque(BoardOpaque(*profile_, fwid_));
}

Result<std::map<std::string, std::string>> MakeReferenceManifests(const Profile& profile, const DevicePki& pki) {
  std::map<std::string, std::string> manifests;
  if (!profile.attestation) return manifests;
  const MeasurementValues healthy = ShippedMeasurements(profile, profile.AttestedMode());
  const evidence::OpaqueData opaque = BoardOpaque(profile, {});
  for (RimKind kind : {RimKind::kDriver, RimKind::kVbios}) {
    evidence::Rim rim;
    rim.name = rim.product = profile.chip;
    rim.edition = "GPU";
    rim.colloquial_version = kind == RimKind::kDriver ? profile.driver_version : profile.vbios_version;
    rim.manufacturer = "ccgpu emulator (EMULATED, NOT NVIDIA)";
    rim.manufacturer_id = "99999";
    for (uint8_t index = 0; index < healthy.size(); ++index) {
      if (evidence::H100ComponentAt(index).rim == kind) rim.measurements.push_back({index, true, {healthy[index]}, {}});
    }
    ASSIGN_OR_RETURN(std::string xml, evidence::MakeRim(rim, pki.rim_signer.key, pki.RimChain()));
    manifests[kind == RimKind::kDriver ? evidence::DriverRimId(opaque) : evidence::VbiosRimId(opaque)] = std::move(xml);
  }
  return manifests;
}

}  // namespace ccgpu::emulator
