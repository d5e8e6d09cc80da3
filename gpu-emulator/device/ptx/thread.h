// One thread of a running block, as the instruction handlers see it.
#pragma once

#include <bit>
#include <cstring>

#include "gpu-emulator/device/ptx/ir.h"

namespace ccgpu::ptx {

struct Block;

enum class ThreadState : uint8_t { kRun, kBarrier, kWarp, kExited, kFailed };

struct Frame {
  const Function* function;
  uint32_t return_pc;
  uint32_t register_base, local_base;
  const CallSite* call;
};

struct Thread {
  uint64_t* r = nullptr;  // registers of the running frame
  const Instruction* code = nullptr;
  uint32_t pc = 0;
  bool carry = false;
  ThreadState state = ThreadState::kRun;
  uint32_t local_base = 0;
  const Function* function = nullptr;
  Block* block = nullptr;
  uint32_t lane = 0;
  uint64_t waiting_mask = 0;  // kWarp: the lanes it waits for
  const Instruction* waiting_at = nullptr;
  std::vector<uint64_t> registers;
  std::vector<uint8_t> local;
  std::vector<Frame> frames;
  uint64_t special[kSpecialCount] = {};

  // Typed views of a register. The value sits in the low bits, zero-extended.
  template <class T>
  T Get(int32_t index) const {
    T value;
    std::memcpy(&value, &r[index], sizeof value);
    return value;
  }
  template <class T>
  void Put(int32_t index, T value) {
    if (index < 0) return;  // "_"
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    r[index] = bits;
  }

  // Memory of any space; nullptr after Fail().
  uint8_t* At(Space space, uint64_t address, uint64_t size, bool write);
  Step Fail(Reason code, std::string text);
  Step Wait(ThreadState how, const Instruction& at, uint64_t mask) {
    state = how;
    waiting_at = &at;
    waiting_mask = mask;
    return Step::kStop;
  }
};

struct Block {
  const Program* program = nullptr;
  Memory* memory = nullptr;
  ByteView params;
  std::vector<uint8_t> shared;
  std::vector<Thread> threads;
  Status status;  // the first failure
};

// Moves a thread into (out of) a function. Enter fails when the stacks are full.
Step Enter(Thread& thread, const Function& function, const CallSite* call);
Step Leave(Thread& thread);

}  // namespace ccgpu::ptx
