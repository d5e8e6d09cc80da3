#include "trust/evidence/h100_components.h"

#include <array>

#include "base/crypto/digest.h"

namespace ccgpu::evidence {
namespace {

constexpr RimKind kV = RimKind::kVbios, kD = RimKind::kDriver;

// VBIOS RIM: 0-6, 8-14. Driver RIM: 7, 21-40. The split is that of NVIDIA's RIMs, with mode and fuse at 13 and 14
// added.
constexpr std::array<H100Component, 36> kComponents = {{
    {0, "boot ROM", kV},
    {1, "boot ROM patches", kV},
    {2, "VBIOS image", kV},
    {3, "VBIOS configuration", kV},
    {4, "InfoROM", kV},
    {5, "PMU firmware", kV},
    {6, "FBFALCON firmware", kV},
    {7, "GSP-RM firmware (driver)", kD},
    {8, "FSP boot firmware", kV},
    {9, "GSP FMC", kV},
    {10, "SEC2 boot firmware", kV},
    {11, "NVLink firmware", kV},
    {12, "board straps", kV},
    {13, "CC mode", kV},
    {14, "debug fuse", kV},
    {21, "SEC2 runtime firmware", kD},
    {22, "SEC2 channel manager", kD},
    {23, "NVENC firmware", kD},
    {24, "OFA firmware", kD},
    {25, "GSP boot loader", kD},
    {26, "GSP heap layout", kD},
    {27, "copy engine firmware", kD},
    {28, "FECS firmware", kD},
    {29, "GPCCS firmware", kD},
    {30, "host scheduler firmware", kD},
    {31, "memory scrubber", kD},
    {32, "power tables", kD},
    {33, "clock tables", kD},
    {34, "thermal tables", kD},
    {35, "NVDEC firmware", kD},
    {36, "NVJPG firmware", kD},
    {37, "page table firmware", kD},
    {38, "key derivation firmware", kD},
    {39, "session firmware", kD},
    {40, "driver registry", kD},
    {255, "unused", RimKind::kNone},
}};

Bytes Published(std::string_view what, std::string_view value) {
  return crypto::Sha384(AsBytes("EMULATED " + std::string(what) + ": " + std::string(value)));
}

}  // namespace

const H100Component& H100ComponentAt(uint8_t index) {
  for (const H100Component& component : kComponents) {
    if (component.index == index) return component;
  }
  return kComponents.back();
}

std::string H100ComponentName(uint8_t index) {
  return std::string(H100ComponentAt(index).name) + " (index " + std::to_string(index) + ")";
}

Bytes CcModeMeasurement(std::string_view mode) { return Published("CC mode", mode); }
Bytes DebugFuseMeasurement(bool enabled) { return Published("debug fuse", enabled ? "enabled" : "disabled"); }

Bytes FirmwareMeasurement(uint8_t index, std::string_view version) {
  return Published("firmware", std::string(H100ComponentAt(index).name) + " " + std::string(version));
}

}  // namespace ccgpu::evidence
