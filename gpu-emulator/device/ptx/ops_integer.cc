// Integer arithmetic, logic, bit fields, comparison and selection (PTX ISA 9.7.1, 9.7.2, 9.7.6-9.7.8), and mov.
#include <algorithm>
#include <limits>

#include "gpu-emulator/device/ptx/ops.h"
#include "gpu-emulator/device/ptx/thread.h"

namespace ccgpu::ptx {
namespace {

using I = const Instruction&;

template <class T> using Unsigned = std::make_unsigned_t<T>;
template <class T> struct Wider;
template <> struct Wider<uint8_t> { using type = uint16_t; };
template <> struct Wider<int8_t> { using type = int16_t; };
template <> struct Wider<uint16_t> { using type = uint32_t; };
template <> struct Wider<int16_t> { using type = int32_t; };
template <> struct Wider<uint32_t> { using type = uint64_t; };
template <> struct Wider<int32_t> { using type = int64_t; };
template <> struct Wider<uint64_t> { using type = unsigned __int128; };
template <> struct Wider<int64_t> { using type = __int128; };

// Arithmetic wraps around: done in the unsigned type, where C++ says so.
template <class T> T Add(T a, T b) { return static_cast<T>(static_cast<Unsigned<T>>(a) + static_cast<Unsigned<T>>(b)); }
template <class T> T Sub(T a, T b) { return static_cast<T>(static_cast<Unsigned<T>>(a) - static_cast<Unsigned<T>>(b)); }
template <class T> T Mul(T a, T b) {
  using W = typename Wider<Unsigned<T>>::type;
  return static_cast<T>(static_cast<Unsigned<T>>(static_cast<W>(static_cast<Unsigned<T>>(a)) * static_cast<Unsigned<T>>(b)));
}
template <class T> T MulHigh(T a, T b) { return static_cast<T>((static_cast<typename Wider<T>::type>(a) * static_cast<typename Wider<T>::type>(b)) >> (8 * sizeof(T))); }
// Division by zero gives all ones, the remainder the dividend; the one overflow wraps (as the hardware does).
template <class T> T Div(T a, T b) {
  if (b == 0) return static_cast<T>(~T{0});
  if (std::is_signed_v<T> && b == static_cast<T>(-1)) return Sub<T>(0, a);
  return static_cast<T>(a / b);
}
template <class T> T Rem(T a, T b) {
  if (b == 0) return a;
  if (std::is_signed_v<T> && b == static_cast<T>(-1)) return 0;
  return static_cast<T>(a % b);
}
template <class T> T Absolute(T a) { return a < 0 ? Sub<T>(0, a) : a; }

struct OpAdd { template <class T> static T Do(T a, T b) { return Add(a, b); } };
struct OpSub { template <class T> static T Do(T a, T b) { return Sub(a, b); } };
struct OpMulLo { template <class T> static T Do(T a, T b) { return Mul(a, b); } };
struct OpMulHi { template <class T> static T Do(T a, T b) { return MulHigh(a, b); } };
struct OpDiv { template <class T> static T Do(T a, T b) { return Div(a, b); } };
struct OpRem { template <class T> static T Do(T a, T b) { return Rem(a, b); } };
struct OpMin { template <class T> static T Do(T a, T b) { return std::min(a, b); } };
struct OpMax { template <class T> static T Do(T a, T b) { return std::max(a, b); } };
struct OpAnd { template <class T> static T Do(T a, T b) { return static_cast<T>(a & b); } };
struct OpOr { template <class T> static T Do(T a, T b) { return static_cast<T>(a | b); } };
struct OpXor { template <class T> static T Do(T a, T b) { return static_cast<T>(a ^ b); } };
struct OpAbs { template <class T> static T Do(T a) { return Absolute(a); } };
struct OpNeg { template <class T> static T Do(T a) { return Sub<T>(0, a); } };
struct OpNot { template <class T> static T Do(T a) { return static_cast<T>(~a); } };
struct OpCnot { template <class T> static T Do(T a) { return a == 0 ? 1 : 0; } };

template <class Op, class T> Step Binary(Thread& t, I i) {
  t.Put<T>(i.dst, Op::template Do<T>(t.Get<T>(i.a), t.Get<T>(i.b)));
  return Step::kNext;
}
template <class Op, class T> Step Unary(Thread& t, I i) {
  t.Put<T>(i.dst, Op::template Do<T>(t.Get<T>(i.a)));
  return Step::kNext;
}
template <class T> Step MulWide(Thread& t, I i) {
  using W = typename Wider<T>::type;
  t.Put<W>(i.dst, static_cast<W>(static_cast<W>(t.Get<T>(i.a)) * static_cast<W>(t.Get<T>(i.b))));
  return Step::kNext;
}
template <class T> Step MadLo(Thread& t, I i) {
  t.Put<T>(i.dst, Add(Mul(t.Get<T>(i.a), t.Get<T>(i.b)), t.Get<T>(i.c)));
  return Step::kNext;
}
template <class T> Step MadHi(Thread& t, I i) {
  t.Put<T>(i.dst, Add(MulHigh(t.Get<T>(i.a), t.Get<T>(i.b)), t.Get<T>(i.c)));
  return Step::kNext;
}
template <class T> Step MadWide(Thread& t, I i) {
  using W = typename Wider<T>::type;
  t.Put<W>(i.dst, Add<W>(static_cast<W>(static_cast<W>(t.Get<T>(i.a)) * static_cast<W>(t.Get<T>(i.b))), t.Get<W>(i.c)));
  return Step::kNext;
}
template <class T> Step Sad(Thread& t, I i) {
  const T a = t.Get<T>(i.a), b = t.Get<T>(i.b);
  t.Put<T>(i.dst, Add(t.Get<T>(i.c), a > b ? Sub(a, b) : Sub(b, a)));
  return Step::kNext;
}

// Extended precision. flags: 1 = reads the carry, 2 = writes it.
template <class T> Step AddCarry(Thread& t, I i) {
  using W = typename Wider<T>::type;
  const W sum = static_cast<W>(static_cast<W>(t.Get<T>(i.a)) + t.Get<T>(i.b) + ((i.flags & 1) && t.carry ? 1 : 0));
  if (i.flags & 2) t.carry = (sum >> (8 * sizeof(T))) != 0;
  t.Put<T>(i.dst, static_cast<T>(sum));
  return Step::kNext;
}
template <class T> Step SubBorrow(Thread& t, I i) {
  using W = typename Wider<T>::type;
  const W right = static_cast<W>(static_cast<W>(t.Get<T>(i.b)) + ((i.flags & 1) && t.carry ? 1 : 0));
  const W left = t.Get<T>(i.a);
  if (i.flags & 2) t.carry = left < right;
  t.Put<T>(i.dst, static_cast<T>(left - right));
  return Step::kNext;
}
template <class T, bool high> Step MadCarry(Thread& t, I i) {
  using W = typename Wider<T>::type;
  const T product = high ? MulHigh(t.Get<T>(i.a), t.Get<T>(i.b)) : Mul(t.Get<T>(i.a), t.Get<T>(i.b));
  const W sum = static_cast<W>(static_cast<W>(product) + t.Get<T>(i.c) + ((i.flags & 1) && t.carry ? 1 : 0));
  if (i.flags & 2) t.carry = (sum >> (8 * sizeof(T))) != 0;
  t.Put<T>(i.dst, static_cast<T>(sum));
  return Step::kNext;
}

// Shift counts past the width give zero (or the sign).
template <class T> Step ShiftLeft(Thread& t, I i) {
  const uint32_t count = t.Get<uint32_t>(i.b);
  t.Put<T>(i.dst, count >= 8 * sizeof(T) ? T{0} : static_cast<T>(static_cast<Unsigned<T>>(t.Get<T>(i.a)) << count));
  return Step::kNext;
}
template <class T> Step ShiftRight(Thread& t, I i) {
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

template <class T> Step Popc(Thread& t, I i) { t.Put<uint32_t>(i.dst, static_cast<uint32_t>(std::popcount(t.Get<T>(i.a)))); return Step::kNext; }
template <class T> Step Clz(Thread& t, I i) { t.Put<uint32_t>(i.dst, static_cast<uint32_t>(std::countl_zero(t.Get<T>(i.a)))); return Step::kNext; }
template <class T> Step Brev(Thread& t, I i) {
  T in = t.Get<T>(i.a), out = 0;
  for (size_t k = 0; k < 8 * sizeof(T); ++k, in = static_cast<T>(in >> 1)) out = static_cast<T>(out << 1 | (in & 1));
  t.Put<T>(i.dst, out);
  return Step::kNext;
}
// flags: 1 = .shiftamt
template <class T> Step Bfind(Thread& t, I i) {
  const T value = t.Get<T>(i.a);
  const auto bits = static_cast<Unsigned<T>>(value < 0 ? ~value : value);
  const int width = 8 * static_cast<int>(sizeof(T));
  const int at = bits == 0 ? -1 : width - 1 - std::countl_zero(bits);
  t.Put<uint32_t>(i.dst, at < 0 ? ~0u : static_cast<uint32_t>((i.flags & 1) ? width - 1 - at : at));
  return Step::kNext;
}
template <class T> Step Bfe(Thread& t, I i) {
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
template <class T> Step Bfi(Thread& t, I i) {
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

// Comparison. extra: the Compare; flags: 0 none, 1 and, 2 or, 3 xor with predicate c; 4 = c is negated.
Step PutPredicates(Thread& t, I i, bool holds) {
  bool p = holds, q = !holds;
  if (i.flags & 3) {
    const bool other = (t.r[i.c] != 0) != ((i.flags & 4) != 0);
    switch (i.flags & 3) {
      case 1: p = p && other; q = q && other; break;
      case 2: p = p || other; q = q || other; break;
      default: p = p != other; q = q != other; break;
    }
  }
  t.Put<uint64_t>(i.dst, p);
  t.Put<uint64_t>(i.dst2, q);
  return Step::kNext;
}
template <class T> Step Setp(Thread& t, I i) { return PutPredicates(t, i, Holds(static_cast<Compare>(i.extra), t.Get<T>(i.a), t.Get<T>(i.b))); }
Step SetpHalf(Thread& t, I i) {
  return PutPredicates(t, i, Holds(static_cast<Compare>(i.extra), HalfToFloat(t.Get<uint16_t>(i.a)), HalfToFloat(t.Get<uint16_t>(i.b))));
}
// set: the result is all ones (or 1.0) instead of a predicate. type: of the result.
template <class T> Step Set(Thread& t, I i) {
  const bool holds = Holds(static_cast<Compare>(i.extra), t.Get<T>(i.a), t.Get<T>(i.b));
  if (i.type == Type::kF32) t.Put<float>(i.dst, holds ? 1.0f : 0.0f);
  else t.Put<uint32_t>(i.dst, holds ? ~0u : 0u);
  return Step::kNext;
}
Step Selp(Thread& t, I i) {
  const bool p = (t.r[i.c] != 0) != (i.flags != 0);
  t.Put<uint64_t>(i.dst, t.r[p ? i.a : i.b]);
  return Step::kNext;
}
template <class T> Step Slct(Thread& t, I i) {
  t.Put<uint64_t>(i.dst, t.r[t.Get<T>(i.c) >= 0 ? i.a : i.b]);
  return Step::kNext;
}

Step Mov(Thread& t, I i) { t.Put<uint64_t>(i.dst, t.r[i.a]); return Step::kNext; }
Step MovLocal(Thread& t, I i) { t.Put<uint64_t>(i.dst, t.local_base + static_cast<uint64_t>(i.offset)); return Step::kNext; }
Step Pack(Thread& t, I i) {
  uint64_t out = 0;
  for (int k = 0; k < i.lanes; ++k) {
    const uint64_t mask = i.width == 8 ? ~0ull : (1ull << (8 * i.width)) - 1;
    out |= (t.r[i.lane_registers[k]] & mask) << (8 * i.width * k);
  }
  t.Put<uint64_t>(i.dst, out);
  return Step::kNext;
}
Step Unpack(Thread& t, I i) {
  const uint64_t in = t.r[i.a], mask = i.width == 8 ? ~0ull : (1ull << (8 * i.width)) - 1;
  for (int k = 0; k < i.lanes; ++k) t.Put<uint64_t>(i.lane_registers[k], in >> (8 * i.width * k) & mask);
  return Step::kNext;
}
Step PredicateAnd(Thread& t, I i) { t.Put<uint64_t>(i.dst, t.r[i.a] && t.r[i.b]); return Step::kNext; }
Step PredicateOr(Thread& t, I i) { t.Put<uint64_t>(i.dst, t.r[i.a] || t.r[i.b]); return Step::kNext; }
Step PredicateXor(Thread& t, I i) { t.Put<uint64_t>(i.dst, (t.r[i.a] != 0) != (t.r[i.b] != 0)); return Step::kNext; }
Step PredicateNot(Thread& t, I i) { t.Put<uint64_t>(i.dst, t.r[i.a] == 0); return Step::kNext; }

// Handler tables by width and sign; nullptr where PTX has no such type.
template <class Op> Handler Typed(Type type) {
  switch (type) {
    case Type::kU16: case Type::kB16: return Binary<Op, uint16_t>;
    case Type::kS16: return Binary<Op, int16_t>;
    case Type::kU32: case Type::kB32: return Binary<Op, uint32_t>;
    case Type::kS32: return Binary<Op, int32_t>;
    case Type::kU64: case Type::kB64: return Binary<Op, uint64_t>;
    case Type::kS64: return Binary<Op, int64_t>;
    case Type::kNone: case Type::kPred: case Type::kB8: case Type::kU8: case Type::kS8: case Type::kF16: case Type::kF32: case Type::kF64: return nullptr;
  }
  return nullptr;
}

#define CCGPU_PICK(name, u16, s16, u32, s32, u64, s64)                                            \
  Handler name(Type type) {                                                                       \
    switch (type) {                                                                               \
      case Type::kU16: case Type::kB16: return u16;                                               \
      case Type::kS16: return s16;                                                                \
      case Type::kU32: case Type::kB32: return u32;                                               \
      case Type::kS32: return s32;                                                                \
      case Type::kU64: case Type::kB64: return u64;                                               \
      case Type::kS64: return s64;                                                                \
      case Type::kNone: case Type::kPred: case Type::kB8: case Type::kU8: case Type::kS8:         \
      case Type::kF16: case Type::kF32: case Type::kF64: return nullptr;                          \
    }                                                                                             \
    return nullptr;                                                                               \
  }
#define CCGPU_ALL(f) f<uint16_t>, f<int16_t>, f<uint32_t>, f<int32_t>, f<uint64_t>, f<int64_t>
CCGPU_PICK(PickMulWide, MulWide<uint16_t>, MulWide<int16_t>, MulWide<uint32_t>, MulWide<int32_t>, nullptr, nullptr)
CCGPU_PICK(PickMadWide, MadWide<uint16_t>, MadWide<int16_t>, MadWide<uint32_t>, MadWide<int32_t>, nullptr, nullptr)
CCGPU_PICK(PickMadLo, CCGPU_ALL(MadLo))
CCGPU_PICK(PickMadHi, CCGPU_ALL(MadHi))
CCGPU_PICK(PickSad, CCGPU_ALL(Sad))
CCGPU_PICK(PickShl, CCGPU_ALL(ShiftLeft))
CCGPU_PICK(PickShr, CCGPU_ALL(ShiftRight))
CCGPU_PICK(PickNot, Unary<OpNot COMMA uint16_t>, nullptr, Unary<OpNot COMMA uint32_t>, nullptr, Unary<OpNot COMMA uint64_t>, nullptr)
#undef CCGPU_ALL
#undef CCGPU_PICK

}  // namespace
}  // namespace ccgpu::ptx
