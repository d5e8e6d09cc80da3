// A PTX module as written (PTX ISA 8.x, chapters 4-10): variables, functions, statements with their operands still as
// text. The decoder gives them meaning.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace ccgpu::ptx {

enum class Space { kGeneric, kGlobal, kShared, kLocal, kConst, kParam };

// Fundamental types, in the order of the type tables in the decoder.
enum class Type : uint8_t {
  kNone,
  kPred,
  kB8,
  kB16,
  kB32,
  kB64,
  kU8,
  kU16,
  kU32,
  kU64,
  kS8,
  kS16,
  kS32,
  kS64,
  kF16,
  kF32,
  kF64
};
bool ParseType(std::string_view text, Type* type);
uint32_t SizeOf(Type type);
bool IsFloat(Type type);
bool IsSigned(Type type);

struct Operand {
  enum class Kind { kName, kImmediate, kAddress, kVector, kList, kSink };
  Kind kind = Kind::kSink;
  std::string name;        // kName: register, special register, symbol or label; kAddress: base (may be empty)
  std::string predicate;   // kName: the %p of "%r|%p"
  bool negated = false;    // !%p
  uint64_t immediate = 0;  // kImmediate: its bits
  enum class Literal { kInteger, kF32, kF64 } literal = Literal::kInteger;
  int64_t offset = 0;          // kAddress, and kName of "symbol+4"
  std::vector<Operand> parts;  // kVector, kList
};

struct Statement {
  int line = 0;
  std::string guard;  // %p of "@%p"
  bool guard_negated = false;
  std::string opcode;             // "ld"
  std::vector<std::string> mods;  // "global", "v2", "f32"
  std::string text;               // "ld.global.v2.f32", for errors
  std::vector<Operand> operands;
};

struct Relocation {
  uint32_t offset;
  std::string symbol;
  int64_t addend;
  bool generic;
};

struct Variable {
  std::string name;
  Space space = Space::kGlobal;
  Type type = Type::kB8;
  uint32_t align = 1;
  uint64_t size = 0;  // bytes; 0 for an array without bounds (.extern .shared x[])
  Bytes initial;      // empty: zeros
  std::vector<Relocation> relocations;
  bool external = false;
  int line = 0;
};

struct FunctionSyntax {
  std::string name;
  int line = 0;
  bool entry = false, declaration = false, weak = false;
  uint32_t max_threads = 1024;
  std::vector<Variable> params, results;
  std::vector<Variable> locals;  // .local, .shared and .param of the body; names made unique per scope
  std::map<std::string, Type> registers;
  std::vector<Statement> statements;
  std::map<std::string, uint32_t> labels;  // -> statement
  std::map<std::string, std::vector<std::string>> branch_targets;
};

struct ModuleSyntax {
  std::vector<Variable> variables;
  std::vector<FunctionSyntax> functions;
};

// Errors: cuda.invalid-ptx, subject "line:N", the text names the directive or token.
Result<ModuleSyntax> ParseModule(std::string_view text);

}  // namespace ccgpu::ptx
