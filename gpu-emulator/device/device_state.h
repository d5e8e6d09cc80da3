// The device's states and every move between them; TDISP's words (gpu-emulator/link/mode.h).
#pragma once

#include <optional>

#include "gpu-emulator/link/mode.h"

namespace ccgpu::device {

enum class Event {
  kLock,     // a sandbox takes the GPU
  kStart,    // START with the right nonce inside the session (at once in mode off)
  kStop,     // the guest ended its session: work and keys are gone, the lock stays but cannot be started again
  kFail,     // session lost, link down, hang
  kRelease,  // the sandbox is gone and the memory scrubbed
  kReset,    // reset or board swap
};

// The next state; nothing: the move is refused.
constexpr std::optional<link::DeviceState> Next(link::DeviceState state, Event event) {
  using enum link::DeviceState;
  struct Move {
    link::DeviceState from;
    Event event;
    link::DeviceState to;
  };
  constexpr Move kMoves[] = {
      {kUnlocked, Event::kLock, kLocked},
      {kUnlocked, Event::kFail, kError},
      {kUnlocked, Event::kRelease, kUnlocked},
      {kUnlocked, Event::kReset, kUnlocked},
      {kLocked, Event::kStart, kRun},
      {kLocked, Event::kStop, kLocked},
      {kLocked, Event::kFail, kError},
      {kLocked, Event::kRelease, kUnlocked},
      {kLocked, Event::kReset, kUnlocked},
      {kRun, Event::kStop, kLocked},
      {kRun, Event::kFail, kError},
      {kRun, Event::kRelease, kUnlocked},
      {kRun, Event::kReset, kUnlocked},
      {kError, Event::kFail, kError},
      {kError, Event::kRelease, kUnlocked},
      {kError, Event::kReset, kUnlocked},
  };
  for (const Move& move : kMoves) {
    if (move.from == state && move.event == event) return move.to;
  }
  return std::nullopt;
}

}  // namespace ccgpu::device
