// The words that device, link, guest and control plane share: modes and device states.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ccgpu::link {

// Values are wire values (register window, GSP RPC, driver socket).
enum class Mode : uint32_t {
  kOff = 0,  // no session, everything crosses the link in clear
  kDevtools =
      1,     // session, attestation and ready state as in CC, but records in clear: for debugging, never for secrets
  kApm = 2,  // A100: data copies AES-256-CTR without integrity; commands and kernels in clear
  kHopperCc = 3,  // H100: every record AES-256-GCM
};
std::string_view ModeName(Mode mode);  // "off", "devtools", "apm", "hopper-cc"
std::optional<Mode> ParseMode(std::string_view name);
std::optional<Mode> ModeFromWire(uint32_t value);

// TDISP's words. The table of moves is gpu-emulator/device/device_state.h.
enum class DeviceState : uint32_t { kUnlocked = 0, kLocked = 1, kRun = 2, kError = 3 };
std::string_view StateName(DeviceState state);  // "UNLOCKED", ...

}  // namespace ccgpu::link
