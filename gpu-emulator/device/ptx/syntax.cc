#include "gpu-emulator/device/ptx/syntax.h"

namespace ccgpu::ptx {
namespace {

struct TypeFact {
  std::string_view name;
  Type type;
  uint32_t size;
};
constexpr TypeFact kTypes[] = {
    {"pred", Type::kPred, 1}, {"b8", Type::kB8, 1},   {"b16", Type::kB16, 2}, {"b32", Type::kB32, 4},
    {"b64", Type::kB64, 8},   {"u8", Type::kU8, 1},   {"u16", Type::kU16, 2}, {"u32", Type::kU32, 4},
    {"u64", Type::kU64, 8},   {"s8", Type::kS8, 1},   {"s16", Type::kS16, 2}, {"s32", Type::kS32, 4},
    {"s64", Type::kS64, 8},   {"f16", Type::kF16, 2}, {"f32", Type::kF32, 4}, {"f64", Type::kF64, 8}};

}  // namespace

bool ParseType(std::string_view text, Type* type) {
  for (const TypeFact& fact : kTypes) {
    if (fact.name == text) {
      *type = fact.type;
      return true;
    }
  }
  return false;
}

uint32_t SizeOf(Type type) {
  for (const TypeFact& fact : kTypes) {
    if (fact.type == type) return fact.size;
  }
  return 0;
}

bool IsFloat(Type type) { return type == Type::kF16 || type == Type::kF32 || type == Type::kF64; }
bool IsSigned(Type type) { return type == Type::kS8 || type == Type::kS16 || type == Type::kS32 || type == Type::kS64; }

}  // namespace ccgpu::ptx
