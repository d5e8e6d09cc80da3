// Shifts, bit fields and permutations (PTX ISA 9.7.1, 9.7.8).
#include <algorithm>
#include <bit>

#include "gpu-emulator/device/ptx/by_type.h"

namespace ccgpu::ptx {
namespace {

using I = const Instruction&;

template <class T>
using Unsigned = std::make_unsigned_t<T>;

// Shift counts past the width give zero (or the sign).
template <class T>
Step ShiftLeft(Thread& t, I i) {
  const uint32_t count = t.Get<uint32_t>(i.b);
  t.Put<T>(i.dst, count >= 8 * sizeof(T) ? T{0} : static_cast<T>(static_cast<Unsigned<T>>(t.Get<T>(i.a)) << count));
  return Step::kNext;
}
template <class T>
Step ShiftRight(Thread& t, I i) {
  const uint32_t count = t.Get<uint32_t>(i.b);
  const T value = t.Get<T>(i.a);
  t.Put<T>(i.dst, count >= 8 * sizeof(T) ? static_cast<T>(value < 0 ? ~T{0} : T{0}) : static_cast<T>(value >> count));
  return Step::kNext;
}
// flags: 1 = left, 2 = wrap
Step Funnel(Thread& t, I i) {
  const uint64_t both = static_cast<uint64_t>(t.Get<uint32_t>(i.b)) << 32 | t.Get<uint32_t>(i.a);
  uint32_t count = t.Get<uint32_t>(i.c);
  count = (i.flags & 2) ? count & 31 : std::min<uint32_t>(count, 32);
  t.Put<uint32_t>(i.dst, static_cast<uint32_t>((i.flags & 1) ? (both << count) >> 32 : both >> count));
  return Step::kNext;
}

template <class T>
Step Popc(Thread& t, I i) {
  t.Put<uint32_t>(i.dst, static_cast<uint32_t>(std::popcount(t.Get<T>(i.a))));
  return Step::kNext;
}
template <class T>
Step Clz(Thread& t, I i) {
  t.Put<uint32_t>(i.dst, static_cast<uint32_t>(std::countl_zero(t.Get<T>(i.a))));
  return Step::kNext;
}
template <class T>
Step Brev(Thread& t, I i) {
  T in = t.Get<T>(i.a), out = 0;
  for (size_t k = 0; k < 8 * sizeof(T); ++k, in = static_cast<T>(in >> 1)) out = static_cast<T>(out << 1 | (in & 1));
  t.Put<T>(i.dst, out);
  return Step::kNext;
}
// flags: 1 = .shiftamt
template <class T>
Step Bfind(Thread& t, I i) {
  const T value = t.Get<T>(i.a);
  const auto bits = static_cast<Unsigned<T>>(value < 0 ? ~value : value);
  const int width = 8 * static_cast<int>(sizeof(T));
  const int at = bits == 0 ? -1 : width - 1 - std::countl_zero(bits);
  t.Put<uint32_t>(i.dst, at < 0 ? ~0u : static_cast<uint32_t>((i.flags & 1) ? width - 1 - at : at));
  return Step::kNext;
}
template <class T>
Step Bfe(Thread& t, I i) {
  const T value = t.Get<T>(i.a);
  const uint32_t at = t.Get<uint32_t>(i.b) & 0xff, length = t.Get<uint32_t>(i.c) & 0xff, top = 8 * sizeof(T) - 1;
  const auto bits = static_cast<Unsigned<T>>(value);
  bool sign = false;
  if (std::is_signed_v<T> && length > 0) sign = (bits >> std::min(at + length - 1, top)) & 1;
  Unsigned<T> out = 0;
  for (uint32_t k = 0; k <= top; ++k) {
    const bool bit = k < length && at + k <= top ? (bits >> (at + k)) & 1 : sign;
    out = static_cast<Unsigned<T>>(out | static_cast<Unsigned<T>>(bit) << k);
  }
  t.Put<T>(i.dst, static_cast<T>(out));
  return Step::kNext;
}
template <class T>
Step Bfi(Thread& t, I i) {
  const T field = t.Get<T>(i.a);
  T out = t.Get<T>(i.b);
  const uint32_t at = t.Get<uint32_t>(i.c) & 0xff, length = t.Get<uint32_t>(i.d) & 0xff;
  for (uint32_t k = 0; k < length && at + k < 8 * sizeof(T); ++k) {
    out = static_cast<T>((out & ~(T{1} << (at + k))) | ((field >> k & 1) << (at + k)));
  }
  t.Put<T>(i.dst, out);
  return Step::kNext;
}
Step Prmt(Thread& t, I i) {
  const uint64_t both = static_cast<uint64_t>(t.Get<uint32_t>(i.b)) << 32 | t.Get<uint32_t>(i.a);
  const uint32_t selector = t.Get<uint32_t>(i.c);
  uint32_t out = 0;
  for (int k = 0; k < 4; ++k) {
    const uint32_t pick = selector >> (4 * k) & 15;
    uint32_t byte = static_cast<uint32_t>(both >> (8 * (pick & 7))) & 0xff;
    if (pick & 8) byte = byte & 0x80 ? 0xff : 0;
    out |= byte << (8 * k);
  }
  t.Put<uint32_t>(i.dst, out);
  return Step::kNext;
}
Step Lop3(Thread& t, I i) {
  const uint32_t a = t.Get<uint32_t>(i.a), b = t.Get<uint32_t>(i.b), c = t.Get<uint32_t>(i.c);
  uint32_t out = 0;
  for (int k = 0; k < 32; ++k) out |= (i.extra >> ((a >> k & 1) << 2 | (b >> k & 1) << 1 | (c >> k & 1)) & 1) << k;
  t.Put<uint32_t>(i.dst, out);
  return Step::kNext;
}

// The value's type is the instruction's, the count's always 32 bits.
Status DecodeShift(const Statement& s, FunctionDecoder& f, Instruction& out, const std::vector<std::string>& mods,
                   Type type) {
  RETURN_IF_ERROR(WantOperands(s, 3));
  const bool left = s.opcode == "shl";
  const Handler handler = ByType(
      type, [left](auto z) -> Handler { return left ? Handler(ShiftLeft<decltype(z)>) : ShiftRight<decltype(z)>; });
  RETURN_IF_ERROR(Finish(s, mods, handler, out));
  ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
  ASSIGN_OR_RETURN(out.a, f.Source(s.operands[1], type));
  ASSIGN_OR_RETURN(out.b, f.Source(s.operands[2], Type::kU32));
  return Ok();
}

Status DecodeLop3(const Statement& s, FunctionDecoder& f, Instruction& out, const std::vector<std::string>& mods,
                  Type type) {
  RETURN_IF_ERROR(WantOperands(s, 5));
  if (s.operands[4].kind != Operand::Kind::kImmediate) return Unsupported(s);
  out.extra = static_cast<uint32_t>(s.operands[4].immediate & 0xff);
  Statement first = s;
  first.operands.pop_back();
  RETURN_IF_ERROR(Finish(s, mods, type == Type::kB32 ? Lop3 : nullptr, out));
  return Sources(first, f, out, 3, type);
}

// For instructions that exist in b32 and b64 only.
Handler B32OrB64(Type type, Handler b32, Handler b64) {
  return type == Type::kB32 ? b32 : type == Type::kB64 ? b64 : nullptr;
}

Status DecodeBitOp(const Statement& s, FunctionDecoder& f, Instruction& out, std::vector<std::string> mods, Type type) {
  const std::string& op = s.opcode;
  if (op == "shl" || op == "shr") return DecodeShift(s, f, out, mods, type);
  if (op == "lop3") return DecodeLop3(s, f, out, mods, type);
  Handler handler = nullptr;
  size_t sources = 1;
  if (op == "popc") handler = B32OrB64(type, Popc<uint32_t>, Popc<uint64_t>);
  else if (op == "clz") handler = B32OrB64(type, Clz<uint32_t>, Clz<uint64_t>);
  else if (op == "brev") handler = B32OrB64(type, Brev<uint32_t>, Brev<uint64_t>);
  else if (op == "bfind") {
    out.flags = TakeMod(mods, "shiftamt") ? 1 : 0;
    handler = ByType(type, [](auto z) -> Handler {
      if constexpr (sizeof z >= 4) return Bfind<decltype(z)>;
      else return nullptr;
    });
  } else if (op == "bfe") {
    sources = 3;
    handler = ByType(type, [](auto z) -> Handler {
      if constexpr (sizeof z >= 4) return Bfe<decltype(z)>;
      else return nullptr;
    });
  } else if (op == "bfi") {
    sources = 4;
    handler = B32OrB64(type, Bfi<uint32_t>, Bfi<uint64_t>);
  } else if (op == "prmt") {
    sources = 3;
    handler = type == Type::kB32 ? Prmt : nullptr;
  } else if (op == "shf") {
    sources = 3;
    if (TakeMod(mods, "l")) out.flags = 1;
    else TakeMod(mods, "r");
    if (TakeMod(mods, "wrap")) out.flags |= 2;
    else TakeMod(mods, "clamp");
    handler = type == Type::kB32 ? Funnel : nullptr;
  }
  RETURN_IF_ERROR(Finish(s, mods, handler, out));
  return Sources(s, f, out, sources, type);
}

}  // namespace

bool DecodeBits(const Statement& s, FunctionDecoder& f, Instruction& out, Status* status) {
  static constexpr std::string_view kOps[] = {"popc", "clz", "brev", "bfind", "shl", "shr",
                                              "shf",  "bfe", "bfi",  "prmt",  "lop3"};
  if (std::find(std::begin(kOps), std::end(kOps), s.opcode) == std::end(kOps)) return false;
  const Type type = LastType(s);
  std::vector<std::string> mods = s.mods;
  if (type != Type::kNone) mods.pop_back();
  *status = DecodeBitOp(s, f, out, mods, type);
  return true;
}

}  // namespace ccgpu::ptx
