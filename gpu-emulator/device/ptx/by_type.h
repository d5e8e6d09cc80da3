// For the decoders of typed instructions: one handler per C++ type.
#pragma once

#include "gpu-emulator/device/ptx/ops.h"
#include "gpu-emulator/device/ptx/thread.h"

namespace ccgpu::ptx {

// The handler for a type: `pick` is called with a zero of the C++ type; nullptr where PTX has no such type.
template <class Pick>
Handler ByType(Type type, Pick pick) {
  switch (type) {
    case Type::kU16:
    case Type::kB16: return pick(uint16_t{});
    case Type::kS16: return pick(int16_t{});
    case Type::kU32:
    case Type::kB32: return pick(uint32_t{});
    case Type::kS32: return pick(int32_t{});
    case Type::kU64:
    case Type::kB64: return pick(uint64_t{});
    case Type::kS64: return pick(int64_t{});
    case Type::kNone:
    case Type::kPred:
    case Type::kB8:
    case Type::kU8:
    case Type::kS8:
    case Type::kF16:
    case Type::kF32:
    case Type::kF64: return nullptr;
  }
  return nullptr;
}

// Takes the handler when there is one and no modifier is left over.
inline Status Finish(const Statement& s, const std::vector<std::string>& left, Handler handler, Instruction& out) {
  if (!left.empty() || !handler) return Unsupported(s);
  out.run = handler;
  return Ok();
}

// Sources a, b, c, d in order, all of one type.
inline Status Sources(const Statement& s, FunctionDecoder& f, Instruction& out, size_t count, Type type) {
  RETURN_IF_ERROR(WantOperands(s, count + 1));
  ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
  int32_t* const slots[] = {&out.a, &out.b, &out.c, &out.d};
  for (size_t k = 0; k < count; ++k) {
    ASSIGN_OR_RETURN(*slots[k], f.Source(s.operands[k + 1], type));
  }
  return Ok();
}

}  // namespace ccgpu::ptx
