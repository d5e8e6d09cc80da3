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

// The handler for a type: `pick` is called with a zero of the C++ type; nullptr where PTX has no such type.
template <class Pick> Handler ByType(Type type, Pick pick) {
  switch (type) {
    case Type::kU16: case Type::kB16: return pick(uint16_t{});
    case Type::kS16: return pick(int16_t{});
    case Type::kU32: case Type::kB32: return pick(uint32_t{});
    case Type::kS32: return pick(int32_t{});
    case Type::kU64: case Type::kB64: return pick(uint64_t{});
    case Type::kS64: return pick(int64_t{});
    case Type::kNone: case Type::kPred: case Type::kB8: case Type::kU8: case Type::kS8: case Type::kF16: case Type::kF32: case Type::kF64: return nullptr;
  }
  return nullptr;
}
template <class Op> Handler BinaryOf(Type type) {
  return ByType(type, [](auto zero) -> Handler { return Binary<Op, decltype(zero)>; });
}
template <class Op> Handler UnaryOf(Type type) {
  return ByType(type, [](auto zero) -> Handler { return Unary<Op, decltype(zero)>; });
}

bool ParseCompare(std::string_view text, bool is_float, bool is_signed, Compare* out) {
  const std::pair<std::string_view, Compare> names[] = {{"eq", Compare::kEq}, {"ne", Compare::kNe}, {"lt", Compare::kLt}, {"le", Compare::kLe}, {"gt", Compare::kGt}, {"ge", Compare::kGe}};
  for (auto [name, value] : names) {
    if (name == text) return *out = value, true;
  }
  const std::pair<std::string_view, Compare> float_names[] = {{"equ", Compare::kEqu}, {"neu", Compare::kNeu}, {"ltu", Compare::kLtu}, {"leu", Compare::kLeu},
                                                              {"gtu", Compare::kGtu}, {"geu", Compare::kGeu}, {"num", Compare::kNum}, {"nan", Compare::kNan}};
  const std::pair<std::string_view, Compare> unsigned_names[] = {{"lo", Compare::kLt}, {"ls", Compare::kLe}, {"hi", Compare::kGt}, {"hs", Compare::kGe}};
  if (is_float) {
    for (auto [name, value] : float_names) {
      if (name == text) return *out = value, true;
    }
  } else if (!is_signed) {
    for (auto [name, value] : unsigned_names) {
      if (name == text) return *out = value, true;
    }
  }
  return false;
}

// Sources a, b, c, d in order, all of one type.
Status Sources(const Statement& s, FunctionDecoder& f, Instruction& out, size_t count, Type type) {
  RETURN_IF_ERROR(WantOperands(s, count + 1));
  ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
  int32_t* const slots[] = {&out.a, &out.b, &out.c, &out.d};
  for (size_t k = 0; k < count; ++k) {
    ASSIGN_OR_RETURN(*slots[k], f.Source(s.operands[k + 1], type));
  }
  return Ok();
}

Status Finish(const Statement& s, const std::vector<std::string>& left, Handler handler, Instruction& out) {
  if (!left.empty() || !handler) return Unsupported(s);
  out.run = handler;
  return Ok();
}

// The operations of pattern "op[.mods].type dst, sources...": modifiers are taken out of `mods`, the type is last.
Status DecodeArithmetic(const Statement& s, FunctionDecoder& f, Instruction& out, std::vector<std::string> mods, Type type) {
  const std::string& op = s.opcode;
  const bool lo = TakeMod(mods, "lo"), hi = TakeMod(mods, "hi"), wide = TakeMod(mods, "wide"), cc = TakeMod(mods, "cc");
  const bool carries = op == "addc" || op == "subc" || op == "madc" || cc;
  out.flags = static_cast<uint8_t>((op == "addc" || op == "subc" || op == "madc" ? 1 : 0) | (cc ? 2 : 0));
  Handler handler = nullptr;
  size_t sources = 2;
  if (op == "add" || op == "addc") {
    handler = carries ? ByType(type, [](auto z) -> Handler { if constexpr (sizeof z >= 4) return AddCarry<std::make_unsigned_t<decltype(z)>>; else return nullptr; }) : BinaryOf<OpAdd>(type);
  } else if (op == "sub" || op == "subc") {
    handler = carries ? ByType(type, [](auto z) -> Handler { if constexpr (sizeof z >= 4) return SubBorrow<std::make_unsigned_t<decltype(z)>>; else return nullptr; }) : BinaryOf<OpSub>(type);
  } else if (op == "mul") {
    if (wide) handler = ByType(type, [](auto z) -> Handler { if constexpr (sizeof z <= 4) return MulWide<decltype(z)>; else return nullptr; });
    else if (lo) handler = BinaryOf<OpMulLo>(type);
    else if (hi) handler = BinaryOf<OpMulHi>(type);
  } else if (op == "mad" || op == "madc") {
    sources = 3;
    if (carries && lo) handler = ByType(type, [](auto z) -> Handler { if constexpr (sizeof z >= 4) return MadCarry<std::make_unsigned_t<decltype(z)>, false>; else return nullptr; });
    else if (carries && hi) handler = type == Type::kS32 || type == Type::kS64 ? nullptr : ByType(type, [](auto z) -> Handler { if constexpr (sizeof z >= 4) return MadCarry<std::make_unsigned_t<decltype(z)>, true>; else return nullptr; });
    else if (lo) handler = ByType(type, [](auto z) -> Handler { return MadLo<decltype(z)>; });
    else if (hi) handler = ByType(type, [](auto z) -> Handler { return MadHi<decltype(z)>; });
    else if (wide) {
      handler = ByType(type, [](auto z) -> Handler { if constexpr (sizeof z <= 4) return MadWide<decltype(z)>; else return nullptr; });
      RETURN_IF_ERROR(WantOperands(s, 4));
      // The addend has the wide type.
      const Type addend = type == Type::kU16 ? Type::kU32 : type == Type::kS16 ? Type::kS32 : type == Type::kS32 ? Type::kS64 : Type::kU64;
      RETURN_IF_ERROR(Finish(s, mods, handler, out));
      ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
      ASSIGN_OR_RETURN(out.a, f.Source(s.operands[1], type));
      ASSIGN_OR_RETURN(out.b, f.Source(s.operands[2], type));
      ASSIGN_OR_RETURN(out.c, f.Source(s.operands[3], addend));
      return Ok();
    }
  } else if (op == "div") handler = BinaryOf<OpDiv>(type);
  else if (op == "rem") handler = BinaryOf<OpRem>(type);
  else if (op == "min") handler = BinaryOf<OpMin>(type);
  else if (op == "max") handler = BinaryOf<OpMax>(type);
  else if (op == "and") handler = type == Type::kPred ? PredicateAnd : BinaryOf<OpAnd>(type);
  else if (op == "or") handler = type == Type::kPred ? PredicateOr : BinaryOf<OpOr>(type);
  else if (op == "xor") handler = type == Type::kPred ? PredicateXor : BinaryOf<OpXor>(type);
  else if (op == "abs" || op == "neg" || op == "not" || op == "cnot" || op == "popc" || op == "clz" || op == "brev" || op == "bfind") {
    sources = 1;
    if (op == "abs") handler = UnaryOf<OpAbs>(type);
    else if (op == "neg") handler = UnaryOf<OpNeg>(type);
    else if (op == "not") handler = type == Type::kPred ? PredicateNot : UnaryOf<OpNot>(type);
    else if (op == "cnot") handler = UnaryOf<OpCnot>(type);
    else if (op == "popc") handler = type == Type::kB32 ? Handler(Popc<uint32_t>) : type == Type::kB64 ? Popc<uint64_t> : nullptr;
    else if (op == "clz") handler = type == Type::kB32 ? Handler(Clz<uint32_t>) : type == Type::kB64 ? Clz<uint64_t> : nullptr;
    else if (op == "brev") handler = type == Type::kB32 ? Handler(Brev<uint32_t>) : type == Type::kB64 ? Brev<uint64_t> : nullptr;
    else {
      out.flags = TakeMod(mods, "shiftamt") ? 1 : 0;
      handler = ByType(type, [](auto z) -> Handler { if constexpr (sizeof z >= 4) return Bfind<decltype(z)>; else return nullptr; });
    }
  } else if (op == "sad") {
    sources = 3;
    handler = ByType(type, [](auto z) -> Handler { return Sad<decltype(z)>; });
  } else if (op == "shl" || op == "shr") {
    RETURN_IF_ERROR(WantOperands(s, 3));
    handler = op == "shl" ? ByType(type, [](auto z) -> Handler { return ShiftLeft<decltype(z)>; }) : ByType(type, [](auto z) -> Handler { return ShiftRight<decltype(z)>; });
    RETURN_IF_ERROR(Finish(s, mods, handler, out));
    ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
    ASSIGN_OR_RETURN(out.a, f.Source(s.operands[1], type));
    ASSIGN_OR_RETURN(out.b, f.Source(s.operands[2], Type::kU32));
    return Ok();
  } else if (op == "shf") {
    sources = 3;
    out.flags = static_cast<uint8_t>((TakeMod(mods, "l") ? 1 : (TakeMod(mods, "r"), 0)) | (TakeMod(mods, "wrap") ? 2 : (TakeMod(mods, "clamp"), 0)));
    handler = type == Type::kB32 ? Funnel : nullptr;
  } else if (op == "bfe") {
    sources = 3;
    handler = ByType(type, [](auto z) -> Handler { if constexpr (sizeof z >= 4) return Bfe<decltype(z)>; else return nullptr; });
  } else if (op == "bfi") {
    sources = 4;
    handler = type == Type::kB32 ? Handler(Bfi<uint32_t>) : type == Type::kB64 ? Bfi<uint64_t> : nullptr;
  } else if (op == "prmt") {
    sources = 3;
    handler = type == Type::kB32 ? Prmt : nullptr;
  } else if (op == "lop3") {
    RETURN_IF_ERROR(WantOperands(s, 5));
    if (s.operands[4].kind != Operand::Kind::kImmediate) return Unsupported(s);
    out.extra = static_cast<uint32_t>(s.operands[4].immediate & 0xff);
    Statement first = s;
    first.operands.pop_back();
    RETURN_IF_ERROR(Finish(s, mods, type == Type::kB32 ? Lop3 : nullptr, out));
    return Sources(first, f, out, 3, type);
  }
  RETURN_IF_ERROR(Finish(s, mods, handler, out));
  return Sources(s, f, out, sources, type);
}

// setp.CmpOp[.BoolOp][.ftz].type p[|q], a, b[, [!]c]; set is alike with a value as result.
Status DecodeCompare(const Statement& s, FunctionDecoder& f, Instruction& out, std::vector<std::string> mods, Type type) {
  TakeMod(mods, "ftz");
  Type result = Type::kNone;
  if (s.opcode == "set") {
    if (mods.empty() || !ParseType(mods.back(), &result) || (result != Type::kU32 && result != Type::kS32 && result != Type::kF32)) return Unsupported(s);
    mods.pop_back();
  }
  Compare compare;
  if (mods.empty() || !ParseCompare(mods[0], IsFloat(type), IsSigned(type), &compare)) return Unsupported(s);
  mods.erase(mods.begin());
  if (TakeMod(mods, "and")) out.flags = 1;
  else if (TakeMod(mods, "or")) out.flags = 2;
  else if (TakeMod(mods, "xor")) out.flags = 3;
  out.extra = static_cast<uint32_t>(compare);
  out.type = result;
  const bool set = s.opcode == "set";
  Handler handler = type == Type::kF32 ? (set ? Handler(Set<float>) : Setp<float>) : type == Type::kF64 ? (set ? Handler(Set<double>) : Setp<double>)
                  : type == Type::kF16 ? (set ? nullptr : Handler(SetpHalf))
                  : ByType(type, [set](auto z) -> Handler { using T = decltype(z); return set ? Handler(Set<T>) : Setp<T>; });
  if (set && out.flags) return Unsupported(s);
  RETURN_IF_ERROR(Finish(s, mods, handler, out));
  RETURN_IF_ERROR(WantOperands(s, out.flags ? 4 : 3));
  ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
  if (!s.operands[0].predicate.empty()) {
    ASSIGN_OR_RETURN(out.dst2, f.Predicate(s.operands[0].predicate));
  }
  ASSIGN_OR_RETURN(out.a, f.Source(s.operands[1], type));
  ASSIGN_OR_RETURN(out.b, f.Source(s.operands[2], type));
  if (out.flags) {
    ASSIGN_OR_RETURN(out.c, f.Source(s.operands[3], Type::kPred));
    if (s.operands[3].negated) out.flags |= 4;
  }
  return Ok();
}

Status DecodeSelect(const Statement& s, FunctionDecoder& f, Instruction& out, std::vector<std::string> mods, Type type) {
  RETURN_IF_ERROR(WantOperands(s, 4));
  Handler handler = Selp;
  Type selector = Type::kPred;
  if (s.opcode == "slct") {
    TakeMod(mods, "ftz");
    selector = type;
    handler = type == Type::kS32 ? Handler(Slct<int32_t>) : type == Type::kF32 ? Slct<float> : nullptr;
    if (mods.empty() || !ParseType(mods.back(), &type)) return Unsupported(s);
    mods.pop_back();
  }
  if (type == Type::kNone || type == Type::kPred) return Unsupported(s);
  RETURN_IF_ERROR(Finish(s, mods, handler, out));
  ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
  ASSIGN_OR_RETURN(out.a, f.Source(s.operands[1], type));
  ASSIGN_OR_RETURN(out.b, f.Source(s.operands[2], type));
  ASSIGN_OR_RETURN(out.c, f.Source(s.operands[3], selector));
  out.flags = s.operands[3].negated;
  return Ok();
}

Status Lanes(const Operand& vector, FunctionDecoder& f, bool destination, Type type, Instruction& out) {
  if (vector.parts.size() != 2 && vector.parts.size() != 4) return Err("cuda.invalid-ptx", "", "a vector must have 2 or 4 parts");
  out.lanes = static_cast<uint8_t>(vector.parts.size());
  for (size_t k = 0; k < vector.parts.size(); ++k) {
    if (destination) {
      ASSIGN_OR_RETURN(out.lane_registers[k], f.Register(vector.parts[k]));
    } else {
      ASSIGN_OR_RETURN(out.lane_registers[k], f.Source(vector.parts[k], type));
    }
  }
  return Ok();
}

Status DecodeMov(const Statement& s, FunctionDecoder& f, Instruction& out, std::vector<std::string> mods, Type type) {
  RETURN_IF_ERROR(WantOperands(s, 2));
  if (type == Type::kNone || !mods.empty()) return Unsupported(s);
  const Operand &to = s.operands[0], &from = s.operands[1];
  if (to.kind == Operand::Kind::kVector || from.kind == Operand::Kind::kVector) {
    const Operand& vector = to.kind == Operand::Kind::kVector ? to : from;
    if (vector.parts.empty() || SizeOf(type) < 2 || to.kind == from.kind) return Unsupported(s);
    out.width = static_cast<uint8_t>(SizeOf(type) / vector.parts.size());
    const Type part = out.width == 1 ? Type::kB8 : out.width == 2 ? Type::kB16 : Type::kB32;
    RETURN_IF_ERROR(Lanes(vector, f, &vector == &to, part, out));
    if (&vector == &to) {
      out.run = Unpack;
      ASSIGN_OR_RETURN(out.a, f.Source(from, type));
      return Ok();
    }
    out.run = Pack;
    ASSIGN_OR_RETURN(out.dst, f.Register(to));
    return Ok();
  }
  ASSIGN_OR_RETURN(out.dst, f.Register(to));
  uint64_t frame_offset = 0;
  ASSIGN_OR_RETURN(int32_t is_local, f.LocalAddress(from, &frame_offset));
  if (is_local >= 0) {
    out.run = MovLocal;
    out.offset = static_cast<int64_t>(frame_offset);
    return Ok();
  }
  out.run = Mov;
  ASSIGN_OR_RETURN(out.a, f.Source(from, type));
  return Ok();
}

}  // namespace

bool DecodeInteger(const Statement& s, FunctionDecoder& f, Instruction& out, Status* status) {
  static constexpr std::string_view kArithmetic[] = {"add", "addc", "sub", "subc", "mul", "mad", "madc", "div", "rem", "min", "max", "and", "or", "xor", "abs", "neg", "not",
                                                     "cnot", "popc", "clz", "brev", "bfind", "sad", "shl", "shr", "shf", "bfe", "bfi", "prmt", "lop3"};
  const Type type = LastType(s);
  std::vector<std::string> mods = s.mods;
  if (type != Type::kNone) mods.pop_back();
  if (s.opcode == "setp" || s.opcode == "set") return *status = DecodeCompare(s, f, out, mods, type), true;
  if (s.opcode == "selp" || s.opcode == "slct") return *status = DecodeSelect(s, f, out, mods, type), true;
  if (s.opcode == "mov") return *status = DecodeMov(s, f, out, mods, type), true;
  if (IsFloat(type) || std::find(std::begin(kArithmetic), std::end(kArithmetic), s.opcode) == std::end(kArithmetic)) return false;
  *status = DecodeArithmetic(s, f, out, mods, type);
  return true;
}

}  // namespace ccgpu::ptx
