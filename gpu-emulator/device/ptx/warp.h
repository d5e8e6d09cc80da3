// What happens when threads that waited for each other have all arrived.
#pragma once

#include "gpu-emulator/device/ptx/thread.h"

namespace ccgpu::ptx {

enum class BarrierOp : uint8_t { kSync = 0, kPopc, kAnd, kOr };
enum class WarpOp : uint8_t {
  kSync = 1,
  kShuffleUp,
  kShuffleDown,
  kShuffleXor,
  kShuffleIndex,
  kVoteAll,
  kVoteAny,
  kVoteUni,
  kBallot,
  kMatchAny,
  kMatchAll,
  kReduceAdd,
  kReduceMin,
  kReduceMax,
  kReduceAnd,
  kReduceOr,
  kReduceXor
};

// Lets those lanes of the warp (threads [first, first+32)) go on whose partners have all arrived. True when any could.
bool ReleaseWarp(Block& block, size_t first);
// Lets the threads of one barrier go on when every running thread waits at it (or as many as it names). True when any
// could.
bool ReleaseBarriers(Block& block);

}  // namespace ccgpu::ptx
