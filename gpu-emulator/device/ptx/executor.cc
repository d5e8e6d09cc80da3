#include "gpu-emulator/device/ptx/executor.h"

#include <cinttypes>
#include <cstdio>

#include "gpu-emulator/device/ptx/warp.h"

namespace ccgpu::ptx {
namespace {

constexpr uint32_t kMaxThreads = 1024, kMaxShared = 227u << 10, kMaxLocal = 512u << 10;
constexpr size_t kMaxFrames = 128, kMaxRegisterStack = 1u << 18;
constexpr uint32_t kCancelEvery = 1u << 16;  // instructions between two looks at the cancel flag

std::string Hex(uint64_t value) {
  char out[24];
  std::snprintf(out, sizeof out, "0x%" PRIx64, value);
  return out;
}

void SetSpecials(Thread& t, const LaunchSpec& spec, const Program& program, uint32_t index, Dim3 block) {
  uint64_t* s = t.special;
  const Dim3 n = spec.block;
  s[kTidX] = index % n.x;
  s[kTidY] = index / n.x % n.y;
  s[kTidZ] = index / n.x / n.y;
  s[kNtidX] = n.x, s[kNtidY] = n.y, s[kNtidZ] = n.z;
  s[kCtaidX] = block.x, s[kCtaidY] = block.y, s[kCtaidZ] = block.z;
  s[kNctaidX] = spec.grid.x, s[kNctaidY] = spec.grid.y, s[kNctaidZ] = spec.grid.z;
  const uint32_t lane = index % 32, count = n.x * n.y * n.z;
  t.lane = lane;
  s[kLaneId] = lane;
  s[kWarpId] = index / 32;
  s[kNwarpId] = (count + 31) / 32;
  s[kWarpSize] = 32;
  s[kLaneMaskEq] = 1u << lane;
  s[kLaneMaskLt] = (1u << lane) - 1;
  s[kLaneMaskLe] = s[kLaneMaskLt] | s[kLaneMaskEq];
  s[kLaneMaskGt] = ~static_cast<uint32_t>(s[kLaneMaskLe]);
  s[kLaneMaskGe] = ~static_cast<uint32_t>(s[kLaneMaskLt]);
  s[kDynamicShared] = spec.dynamic_shared;
  s[kTotalShared] = program.shared_static_end + spec.dynamic_shared;
  s[kNsmId] = 1;
}

// Runs a thread until it waits, ends or fails. False when the launch was cancelled.
bool Run(Thread& t, const std::atomic<bool>* cancel, uint32_t* budget) {
  for (;;) {
    const Instruction& i = t.code[t.pc++];
    if (i.guard >= 0 && (t.r[i.guard] != 0) == i.guard_negated) continue;
    if (i.run(t, i) == Step::kStop) return true;
    if (--*budget == 0) {
      *budget = kCancelEvery;
      if (cancel && cancel->load(std::memory_order_relaxed)) return false;
    }
  }
}

Status RunBlock(Block& block, const std::atomic<bool>* cancel, uint32_t* budget) {
  for (;;) {
    bool progress = false, alive = false;
    for (size_t first = 0; first < block.threads.size(); first += 32) {
      const size_t end = std::min(first + 32, block.threads.size());
      do {
        for (size_t k = first; k < end; ++k) {
          if (block.threads[k].state != ThreadState::kRun) continue;
          progress = true;
          if (!Run(block.threads[k], cancel, budget)) return Err("cuda.launch-timeout", "kernel", "was cancelled");
          if (block.threads[k].state == ThreadState::kFailed) return block.status;
        }
      } while (ReleaseWarp(block, first));
    }
    progress |= ReleaseBarriers(block);
    for (const Thread& t : block.threads) alive |= t.state != ThreadState::kExited;
    if (!alive) return Ok();
    if (!progress)
      return Err("cuda.launch-failed", "kernel",
                 "its threads wait for each other for ever (a barrier that not all of them reach)");
  }
}

}  // namespace

uint8_t* Thread::At(Space space, uint64_t address, uint64_t size, bool write) {
  if (space == Space::kGeneric) {
    switch (address & kWindowMask) {
      case 0: space = Space::kGlobal; break;
      case kSharedWindow: space = Space::kShared; break;
      case kLocalWindow: space = Space::kLocal; break;
      case kParamWindow: space = Space::kParam; break;
      default: space = Space::kGlobal; break;
    }
    if (space != Space::kGlobal) address &= ~kWindowMask;
  }
  uint8_t* out = nullptr;
  auto within = [&](uint8_t* base, uint64_t limit) {
    return address <= limit && size <= limit - address ? base + address : nullptr;
  };
  switch (space) {
    case Space::kGlobal:
    case Space::kConst:
    case Space::kGeneric: out = block->memory->Translate(address, size, write && space != Space::kConst); break;
    case Space::kShared: out = within(block->shared.data(), block->shared.size()); break;
    case Space::kLocal: out = within(local.data(), local.size()); break;
    case Space::kParam:
      out = write ? nullptr : within(const_cast<uint8_t*>(block->params.data()), block->params.size());
      break;
  }
  // Vectors of more than 16 bytes need no more than that.
  const bool power_of_two = (size & (size - 1)) == 0;
  if (out && power_of_two && (address & (std::min<uint64_t>(size, 16) - 1)) != 0) {
    Fail("cuda.misaligned-address", std::string(write ? "writes " : "reads ") + std::to_string(size) + " bytes at " +
                                        Hex(address) + ", which is not aligned");
    return nullptr;
  }
  if (!out)
    Fail("cuda.illegal-address", std::string(write ? "writes " : "reads ") + std::to_string(size) + " bytes at " +
                                     Hex(address) + ", where nothing is");
  return out;
}

Step Thread::Fail(Reason reason, std::string text) {
  state = ThreadState::kFailed;
  const auto& [line, name] = function->lines[pc > 0 ? pc - 1 : 0];
  const uint64_t* s = special;
  block->status =
      Err(reason, function->name,
          "line " + std::to_string(line) + " (" + name + "), block " + std::to_string(s[kCtaidX]) + "," +
              std::to_string(s[kCtaidY]) + "," + std::to_string(s[kCtaidZ]) + " thread " + std::to_string(s[kTidX]) +
              "," + std::to_string(s[kTidY]) + "," + std::to_string(s[kTidZ]) + ": " + std::move(text));
  return Step::kStop;
}

Step Enter(Thread& t, const Function& function, const CallSite* call) {
  const uint32_t register_base =
      t.frames.empty() ? 0 : t.frames.back().register_base + t.frames.back().function->registers;
  const uint32_t caller_local = t.local_base;
  const uint32_t local_base = t.frames.empty() ? 0 : (t.local_base + t.frames.back().function->frame_size + 15) & ~15u;
  if (t.frames.size() >= kMaxFrames || register_base + function.registers > kMaxRegisterStack ||
      local_base + function.frame_size > kMaxLocal) {
    return t.Fail("cuda.launch-failed", "the call stack is full");
  }
  t.frames.push_back({&function, t.pc, register_base, caller_local, call});
  if (t.registers.size() < register_base + function.registers) t.registers.resize(register_base + function.registers);
  if (t.local.size() < local_base + function.frame_size) t.local.resize(local_base + function.frame_size);
  t.r = t.registers.data() + register_base;
  std::memset(t.r, 0, function.registers * sizeof(uint64_t));
  std::memcpy(t.r, t.special, sizeof t.special);
  for (auto [index, value] : function.constants) t.r[index] = value;
  t.r[kFrameBase] = local_base;
  t.local_base = local_base;
  if (call) {
    for (const auto& copy : call->arguments)
      std::memmove(&t.local[local_base + copy.to], &t.local[caller_local + copy.from], copy.size);
  }
  t.function = &function;
  t.code = function.code.data();
  t.pc = 0;
  return Step::kNext;
}

Step Leave(Thread& t) {
  const Frame frame = t.frames.back();
  t.frames.pop_back();
  if (t.frames.empty()) {
    t.state = ThreadState::kExited;
    return Step::kStop;
  }
  for (const auto& copy : frame.call->results)
    std::memmove(&t.local[frame.local_base + copy.to], &t.local[t.local_base + copy.from], copy.size);
  const Frame& caller = t.frames.back();
  t.function = caller.function;
  t.code = caller.function->code.data();
  t.pc = frame.return_pc;
  t.r = t.registers.data() + caller.register_base;
  t.local_base = frame.local_base;
  return Step::kNext;
}

Status Execute(const Program& program, const Function& kernel, const LaunchSpec& spec, Memory& memory) {
  const uint64_t threads = static_cast<uint64_t>(spec.block.x) * spec.block.y * spec.block.z;
  if (threads == 0 || threads > std::min(kMaxThreads, kernel.info.max_threads) || spec.block.z > 64) {
    return Err("cuda.invalid-value", kernel.name,
               "a block of " + std::to_string(threads) + " threads; the kernel takes 1 to " +
                   std::to_string(std::min(kMaxThreads, kernel.info.max_threads)));
  }
  if (spec.grid.x == 0 || spec.grid.y == 0 || spec.grid.z == 0 || spec.grid.y > 65535 || spec.grid.z > 65535)
    return Err("cuda.invalid-value", kernel.name, "a grid dimension is 0 or too large");
  if (spec.params.size() < kernel.info.params_size)
    return Err("cuda.invalid-value", kernel.name,
               "needs " + std::to_string(kernel.info.params_size) + " bytes of parameters");
  const uint64_t shared = static_cast<uint64_t>(program.shared_static_end) + spec.dynamic_shared;
  if (kernel.info.static_shared + static_cast<uint64_t>(spec.dynamic_shared) > kMaxShared)
    return Err("cuda.invalid-value", kernel.name, "needs more than 227 KiB of shared memory");

  Block block;
  block.program = &program;
  block.memory = &memory;
  block.params = spec.params;
  block.threads.resize(threads);
  uint32_t budget = kCancelEvery;
  for (uint32_t z = 0; z < spec.grid.z; ++z) {
    for (uint32_t y = 0; y < spec.grid.y; ++y) {
      for (uint32_t x = 0; x < spec.grid.x; ++x) {
        block.shared.assign(shared, 0);
        for (uint32_t k = 0; k < threads; ++k) {
          Thread& t = block.threads[k];
          t.block = &block;
          t.state = ThreadState::kRun;
          t.carry = false;
          t.pc = 0;
          t.local_base = 0;
          t.frames.clear();
          SetSpecials(t, spec, program, k, {x, y, z});
          Enter(t, kernel, nullptr);
        }
        RETURN_IF_ERROR(RunBlock(block, spec.cancel, &budget));
      }
    }
  }
  return Ok();
}

}  // namespace ccgpu::ptx
