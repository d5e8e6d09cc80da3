// The states of a process that containerd sees, and the one table that says which call is right in which state.
#pragma once

#include "shim/api/containerd.pb.h"

namespace ccgpu::shim {

enum class ProcessState {
  kCreating,  // guestd has been asked; containerd does not know it yet
  kCreated,   // waits for Start (an exec: only registered)
  kStarting,  // guestd has been asked to start it
  kRunning,
  kPaused,
  kStopped,
};

enum class ProcessCall { kStart, kSignal, kDelete, kPause, kResume, kExec };

constexpr bool Allows(ProcessState state, ProcessCall call) {
  switch (state) {
    case ProcessState::kCreating: return false;
    case ProcessState::kCreated:
      return call == ProcessCall::kStart || call == ProcessCall::kSignal || call == ProcessCall::kDelete;
    case ProcessState::kStarting: return call == ProcessCall::kSignal;
    case ProcessState::kRunning:
      return call == ProcessCall::kSignal || call == ProcessCall::kPause || call == ProcessCall::kExec;
    case ProcessState::kPaused: return call == ProcessCall::kSignal || call == ProcessCall::kResume;
    case ProcessState::kStopped: return call == ProcessCall::kDelete;
  }
  return false;
}

constexpr containerd::TaskStatus ToContainerd(ProcessState state) {
  switch (state) {
    case ProcessState::kCreating:
    case ProcessState::kCreated: return containerd::CREATED;
    case ProcessState::kStarting:
    case ProcessState::kRunning: return containerd::RUNNING;
    case ProcessState::kPaused: return containerd::PAUSED;
    case ProcessState::kStopped: return containerd::STOPPED;
  }
  return containerd::UNKNOWN;
}

}  // namespace ccgpu::shim
