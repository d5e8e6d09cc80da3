// The instruction tables: each file of handlers says how its opcodes are decoded.
#pragma once

#include <string>

#include "gpu-emulator/device/ptx/ir.h"

namespace ccgpu::ptx {

// What the decoders of single instructions may ask of the function that is being decoded.
class FunctionDecoder {
 public:
  virtual ~FunctionDecoder() = default;
  // A source: register, special register, immediate (as this type), or the address of a symbol.
  virtual Result<int32_t> Source(const Operand& operand, Type type) = 0;
  virtual Result<int32_t> Register(const Operand& operand) = 0;  // a destination; -1 for "_"
  virtual Result<int32_t> Predicate(const std::string& name) = 0;
  virtual Result<uint32_t> Label(const Operand& operand) = 0;
  // Fills space, base register (a) and offset of `out` for an address operand.
  virtual Status Address(const Operand& operand, Space space, bool space_given, Instruction& out) = 0;
  virtual int32_t Constant(uint64_t bits) = 0;
  virtual Status Call(const Statement& statement, Instruction& out) = 0;
  virtual Result<uint32_t> JumpTable(const std::string& label) = 0;
  virtual Result<int32_t> LocalAddress(const Operand& operand, uint64_t* frame_offset) = 0;  // -1 when it is none
};

// Each returns true when the opcode is one of its own (then `out` is decoded or `*status` says why not).
bool DecodeInteger(const Statement&, FunctionDecoder&, Instruction& out, Status* status);
bool DecodeBits(const Statement&, FunctionDecoder&, Instruction& out, Status* status);
bool DecodeSelectors(const Statement&, FunctionDecoder&, Instruction& out, Status* status);
bool DecodeFloat(const Statement&, FunctionDecoder&, Instruction& out, Status* status);
bool DecodeConvert(const Statement&, FunctionDecoder&, Instruction& out, Status* status);
bool DecodeMemory(const Statement&, FunctionDecoder&, Instruction& out, Status* status);
bool DecodeControl(const Statement&, FunctionDecoder&, Instruction& out, Status* status);

// "the instruction add.q32 is not supported"
Error Unsupported(const Statement& statement);
Status WantOperands(const Statement& statement, size_t count);

// f16 <-> f32 as IEEE 754 binary16 says, round to nearest even.
float HalfToFloat(uint16_t half);
uint16_t FloatToHalf(float value);

// The last modifier as a type; kNone when it is none.
Type LastType(const Statement& statement);
// Takes `mod` out of a list of modifiers that are left to understand; whether it was there.
bool TakeMod(std::vector<std::string>& mods, std::string_view mod);

enum class Compare : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kEqu, kNeu, kLtu, kLeu, kGtu, kGeu, kNum, kNan };
enum class Round : uint8_t { kNearest, kZero, kDown, kUp };

template <class T>
bool Holds(Compare compare, T a, T b) {
  const bool ordered = a == a && b == b;  // NOLINT: false for NaN
  switch (compare) {
    case Compare::kEq: return a == b;
    case Compare::kNe: return ordered && a != b;
    case Compare::kLt: return a < b;
    case Compare::kLe: return a <= b;
    case Compare::kGt: return a > b;
    case Compare::kGe: return a >= b;
    case Compare::kEqu: return !ordered || a == b;
    case Compare::kNeu: return !ordered || a != b;
    case Compare::kLtu: return !ordered || a < b;
    case Compare::kLeu: return !ordered || a <= b;
    case Compare::kGtu: return !ordered || a > b;
    case Compare::kGeu: return !ordered || a >= b;
    case Compare::kNum: return ordered;
    case Compare::kNan: return !ordered;
  }
  return false;
}

}  // namespace ccgpu::ptx
