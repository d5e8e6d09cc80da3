// What the decoder makes of a module and the executor runs: flat arrays of instructions whose handlers are function
// pointers and whose operands are plain register indexes (constants live in registers too, set when a frame starts).
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "gpu-emulator/device/ptx/engine.h"
#include "gpu-emulator/device/ptx/syntax.h"

namespace ccgpu::ptx {

struct Thread;
struct Instruction;
struct Function;

enum class Step : uint8_t { kNext, kStop };  // kStop: the thread waits, ended or failed (Thread::state says which)
using Handler = Step (*)(Thread&, const Instruction&);

struct CallSite {
  uint32_t callee = 0;
  struct Copy {
    uint32_t from, to, size;  // frame offsets
  };
  std::vector<Copy> arguments, results;
};

struct Instruction {
  Handler run = nullptr;
  int32_t dst = -1, a = -1, b = -1, c = -1, d = -1, dst2 = -1;
  int32_t guard = -1;
  bool guard_negated = false;
  uint8_t flags = 0;  // meaning per handler
  uint8_t width = 0;  // bytes of one element
  uint8_t lanes = 1;  // vector loads and stores
  Space space = Space::kGeneric;
  Type type = Type::kNone, from = Type::kNone;
  uint32_t extra = 0;      // comparison, rounding, branch target, call site, ...
  int64_t offset = 0;      // of addresses
  uint32_t statement = 0;  // in Function::lines, for errors
  int32_t lane_registers[4] = {-1, -1, -1, -1};
};

// Addresses of the generic space: device memory below 2^56, windows for the others above.
inline constexpr uint64_t kSharedWindow = 1ull << 56;
inline constexpr uint64_t kLocalWindow = 2ull << 56;
inline constexpr uint64_t kParamWindow = 3ull << 56;
inline constexpr uint64_t kWindowMask = 0xffull << 56;

// Registers that every frame has, in this order, before its own.
enum SpecialRegister : int32_t {
  kTidX,
  kTidY,
  kTidZ,
  kNtidX,
  kNtidY,
  kNtidZ,
  kCtaidX,
  kCtaidY,
  kCtaidZ,
  kNctaidX,
  kNctaidY,
  kNctaidZ,
  kLaneId,
  kWarpId,
  kNwarpId,
  kWarpSize,
  kLaneMaskEq,
  kLaneMaskLt,
  kLaneMaskLe,
  kLaneMaskGt,
  kLaneMaskGe,
  kDynamicShared,
  kTotalShared,
  kGridId,
  kSmId,
  kNsmId,
  kZero,
  kFrameBase,
  kSpecialCount
};

struct Function {
  std::string name;
  bool entry = false;
  uint32_t registers = 0;  // with specials and constants
  std::vector<std::pair<int32_t, uint64_t>> constants;
  uint32_t frame_size = 0;  // parameter and local variables
  uint32_t shared_end = 0;  // end of the static shared memory it needs
  std::vector<Instruction> code;
  std::vector<CallSite> calls;
  std::vector<std::vector<uint32_t>> jump_tables;
  std::vector<std::pair<int, std::string>> lines;  // line and text of each instruction
  KernelInfo info;
};

struct Program {
  std::deque<Function> functions;
  std::map<std::string, uint32_t, std::less<>> function_index;
  std::map<std::string, GlobalInfo, std::less<>> globals;
  uint32_t shared_static_end = 0;  // dynamic shared memory starts here
};

// Links the modules and decodes every function; allocates and fills global variables in `memory` (freed by the caller
// on success through globals' addresses, by this function on failure).
Result<Program> Decode(const std::vector<ModuleSyntax>& modules, Memory& memory);

}  // namespace ccgpu::ptx
