#include "gpu-emulator/link/mode.h"

#include "gpu-emulator/link/cipher.h"

namespace ccgpu::link {

std::string_view ModeName(Mode mode) {
  switch (mode) {
    case Mode::kOff: return "off";
    case Mode::kDevtools: return "devtools";
    case Mode::kApm: return "apm";
    case Mode::kHopperCc: return "hopper-cc";
  }
  return "unknown";
}

std::optional<Mode> ParseMode(std::string_view name) {
  for (const Mode mode : {Mode::kOff, Mode::kDevtools, Mode::kApm, Mode::kHopperCc}) {
    if (ModeName(mode) == name) return mode;
  }
  return std::nullopt;
}

std::optional<Mode> ModeFromWire(uint32_t value) {
  if (value > static_cast<uint32_t>(Mode::kHopperCc)) return std::nullopt;
  return static_cast<Mode>(value);
}

std::string_view StateName(DeviceState state) {
  switch (state) {
    case DeviceState::kUnlocked: return "UNLOCKED";
    case DeviceState::kLocked: return "LOCKED";
    case DeviceState::kRun: return "RUN";
    case DeviceState::kError: return "ERROR";
  }
  return "unknown";
}

Protection ProtectionOf(Mode mode) {
  switch (mode) {
    case Mode::kOff:
    case Mode::kDevtools: return Protection::kClear;
    case Mode::kApm: return Protection::kDataCtr;
    case Mode::kHopperCc: return Protection::kSealed;
  }
  return Protection::kSealed;
}

}  // namespace ccgpu::link
