// What the 64 measurements of the (emulated) H100 stand for. The emulator measures by this table, the verifier names
// components by it. NVIDIA does not publish such a table for its hardware: for a real report the names are a guide
// only.
//
// The mode and the debug fuse are measured as published constants, so that a verifier can say *which* wrong mode it
// saw. On the emulator a RIM exists only for mode hopper-cc with the fuse intact: any other value differs from the RIM.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ccgpu::evidence {

enum class RimKind { kNone, kVbios, kDriver };

struct H100Component {
  uint8_t index;
  std::string_view name;
  RimKind rim;
};

inline constexpr uint8_t kIndexVbios = 2, kIndexGspFmc = 9, kIndexCcMode = 13, kIndexDebugFuse = 14, kIndexGspRm = 7,
                         kIndexNvdec = 35;

// Precondition: index < 64. Indexes that nothing uses are named "unused" and belong to no RIM.
const H100Component& H100ComponentAt(uint8_t index);
// "GSP firmware (driver) (index 7)"; also for indexes >= 64.
std::string H100ComponentName(uint8_t index);

// SHA-384("EMULATED CC mode: <mode>"), mode one of off, devtools, apm, hopper-cc.
Bytes CcModeMeasurement(std::string_view mode);
// SHA-384("EMULATED debug fuse: enabled") or "... disabled".
Bytes DebugFuseMeasurement(bool enabled);
// SHA-384("EMULATED firmware: <component> <version>"): what the emulator measures for a component as shipped.
Bytes FirmwareMeasurement(uint8_t index, std::string_view version);

}  // namespace ccgpu::evidence
