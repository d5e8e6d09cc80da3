// Integer arithmetic and logic (PTX ISA 9.7.1, 9.7.2, 9.7.8).
#include <algorithm>
#include <limits>

#include "gpu-emulator/device/ptx/by_type.h"

namespace ccgpu::ptx {
namespace {

using I = const Instruction&;

template <class T>
using Unsigned = std::make_unsigned_t<T>;
template <class T>
struct Wider;
template <>
struct Wider<uint8_t> {
  using type = uint16_t;
};
template <>
struct Wider<int8_t> {
  using type = int16_t;
};
template <>
struct Wider<uint16_t> {
  using type = uint32_t;
};
template <>
struct Wider<int16_t> {
  using type = int32_t;
};
template <>
struct Wider<uint32_t> {
  using type = uint64_t;
};
template <>
struct Wider<int32_t> {
  using type = int64_t;
};
template <>
struct Wider<uint64_t> {
  using type = unsigned __int128;
};
template <>
struct Wider<int64_t> {
  using type = __int128;
};

// Arithmetic wraps around: done in the unsigned type, where C++ says so.
template <class T>
T Add(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) + static_cast<Unsigned<T>>(b));
}
template <class T>
T Sub(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) - static_cast<Unsigned<T>>(b));
}
template <class T>
T Mul(T a, T b) {
  using W = typename Wider<Unsigned<T>>::type;
  return static_cast<T>(
      static_cast<Unsigned<T>>(static_cast<W>(static_cast<Unsigned<T>>(a)) * static_cast<Unsigned<T>>(b)));
}
template <class T>
T MulHigh(T a, T b) {
  return static_cast<T>((static_cast<typename Wider<T>::type>(a) * static_cast<typename Wider<T>::type>(b)) >>
                        (8 * sizeof(T)));
}
// Division by zero gives all ones, the remainder the dividend; the one overflow wraps (as the hardware does).
template <class T>
T Div(T a, T b) {
  if (b == 0) return static_cast<T>(~T{0});
  if (std::is_signed_v<T> && b == static_cast<T>(-1)) return Sub<T>(0, a);
  return static_cast<T>(a / b);
}
template <class T>
T Rem(T a, T b) {
  if (b == 0) return a;
  if (std::is_signed_v<T> && b == static_cast<T>(-1)) return 0;
  return static_cast<T>(a % b);
}
template <class T>
T Absolute(T a) {
  return a < 0 ? Sub<T>(0, a) : a;
}

struct OpAdd {
  template <class T>
  static T Do(T a, T b) {
    return Add(a, b);
  }
};
struct OpSub {
  template <class T>
  static T Do(T a, T b) {
    return Sub(a, b);
  }
};
struct OpMulLo {
  template <class T>
  static T Do(T a, T b) {
    return Mul(a, b);
  }
};
struct OpMulHi {
  template <class T>
  static T Do(T a, T b) {
    return MulHigh(a, b);
  }
};
struct OpDiv {
  template <class T>
  static T Do(T a, T b) {
    return Div(a, b);
  }
};
struct OpRem {
  template <class T>
  static T Do(T a, T b) {
    return Rem(a, b);
  }
};
struct OpMin {
  template <class T>
  static T Do(T a, T b) {
    return std::min(a, b);
  }
};
struct OpMax {
  template <class T>
  static T Do(T a, T b) {
    return std::max(a, b);
  }
};
struct OpAnd {
  template <class T>
  static T Do(T a, T b) {
    return static_cast<T>(a & b);
  }
};
struct OpOr {
  template <class T>
  static T Do(T a, T b) {
    return static_cast<T>(a | b);
  }
};
struct OpXor {
  template <class T>
  static T Do(T a, T b) {
    return static_cast<T>(a ^ b);
  }
};
struct OpAbs {
  template <class T>
  static T Do(T a) {
    return Absolute(a);
  }
};
struct OpNeg {
  template <class T>
  static T Do(T a) {
    return Sub<T>(0, a);
  }
};
struct OpNot {
  template <class T>
  static T Do(T a) {
    return static_cast<T>(~a);
  }
};
struct OpCnot {
  template <class T>
  static T Do(T a) {
    return a == 0 ? 1 : 0;
  }
};

template <class Op, class T>
Step Binary(Thread& t, I i) {
  t.Put<T>(i.dst, Op::template Do<T>(t.Get<T>(i.a), t.Get<T>(i.b)));
  return Step::kNext;
}
template <class Op, class T>
Step Unary(Thread& t, I i) {
  t.Put<T>(i.dst, Op::template Do<T>(t.Get<T>(i.a)));
  return Step::kNext;
}
template <class T>
Step MulWide(Thread& t, I i) {
  using W = typename Wider<T>::type;
  t.Put<W>(i.dst, static_cast<W>(static_cast<W>(t.Get<T>(i.a)) * static_cast<W>(t.Get<T>(i.b))));
  return Step::kNext;
}
template <class T>
Step MadLo(Thread& t, I i) {
  t.Put<T>(i.dst, Add(Mul(t.Get<T>(i.a), t.Get<T>(i.b)), t.Get<T>(i.c)));
  return Step::kNext;
}
template <class T>
Step MadHi(Thread& t, I i) {
  t.Put<T>(i.dst, Add(MulHigh(t.Get<T>(i.a), t.Get<T>(i.b)), t.Get<T>(i.c)));
  return Step::kNext;
}
template <class T>
Step MadWide(Thread& t, I i) {
  using W = typename Wider<T>::type;
  t.Put<W>(i.dst, Add<W>(static_cast<W>(static_cast<W>(t.Get<T>(i.a)) * static_cast<W>(t.Get<T>(i.b))), t.Get<W>(i.c)));
  return Step::kNext;
}
template <class T>
Step Sad(Thread& t, I i) {
  const T a = t.Get<T>(i.a), b = t.Get<T>(i.b);
  t.Put<T>(i.dst, Add(t.Get<T>(i.c), a > b ? Sub(a, b) : Sub(b, a)));
  return Step::kNext;
}

// Extended precision. flags: 1 = reads the carry, 2 = writes it.
template <class T>
Step AddCarry(Thread& t, I i) {
  using W = typename Wider<T>::type;
  const W sum = static_cast<W>(static_cast<W>(t.Get<T>(i.a)) + t.Get<T>(i.b) + ((i.flags & 1) && t.carry ? 1 : 0));
  if (i.flags & 2) t.carry = (sum >> (8 * sizeof(T))) != 0;
  t.Put<T>(i.dst, static_cast<T>(sum));
  return Step::kNext;
}
template <class T>
Step SubBorrow(Thread& t, I i) {
  using W = typename Wider<T>::type;
  const W right = static_cast<W>(static_cast<W>(t.Get<T>(i.b)) + ((i.flags & 1) && t.carry ? 1 : 0));
  const W left = t.Get<T>(i.a);
  if (i.flags & 2) t.carry = left < right;
  t.Put<T>(i.dst, static_cast<T>(left - right));
  return Step::kNext;
}
template <class T, bool high>
Step MadCarry(Thread& t, I i) {
  using W = typename Wider<T>::type;
  const T product = high ? MulHigh(t.Get<T>(i.a), t.Get<T>(i.b)) : Mul(t.Get<T>(i.a), t.Get<T>(i.b));
  const W sum = static_cast<W>(static_cast<W>(product) + t.Get<T>(i.c) + ((i.flags & 1) && t.carry ? 1 : 0));
  if (i.flags & 2) t.carry = (sum >> (8 * sizeof(T))) != 0;
  t.Put<T>(i.dst, static_cast<T>(sum));
  return Step::kNext;
}

Step PredicateAnd(Thread& t, I i) {
  t.Put<uint64_t>(i.dst, t.r[i.a] && t.r[i.b]);
  return Step::kNext;
}
Step PredicateOr(Thread& t, I i) {
  t.Put<uint64_t>(i.dst, t.r[i.a] || t.r[i.b]);
  return Step::kNext;
}
Step PredicateXor(Thread& t, I i) {
  t.Put<uint64_t>(i.dst, (t.r[i.a] != 0) != (t.r[i.b] != 0));
  return Step::kNext;
}
Step PredicateNot(Thread& t, I i) {
  t.Put<uint64_t>(i.dst, t.r[i.a] == 0);
  return Step::kNext;
}

template <class Op>
Handler BinaryOf(Type type) {
  return ByType(type, [](auto zero) -> Handler { return Binary<Op, decltype(zero)>; });
}
template <class Op>
Handler UnaryOf(Type type) {
  return ByType(type, [](auto zero) -> Handler { return Unary<Op, decltype(zero)>; });
}

// The operations of pattern "op[.mods].type dst, sources...": modifiers are taken out of `mods`, the type is last.
Status DecodeArithmetic(const Statement& s, FunctionDecoder& f, Instruction& out, std::vector<std::string> mods,
                        Type type) {
  const std::string& op = s.opcode;
  const bool lo = TakeMod(mods, "lo"), hi = TakeMod(mods, "hi"), wide = TakeMod(mods, "wide"), cc = TakeMod(mods, "cc");
  const bool carries = op == "addc" || op == "subc" || op == "madc" || cc;
  out.flags = static_cast<uint8_t>((op == "addc" || op == "subc" || op == "madc" ? 1 : 0) | (cc ? 2 : 0));
  Handler handler = nullptr;
  size_t sources = 2;
  if (op == "add" || op == "addc") {
    handler = carries ? ByType(type,
                               [](auto z) -> Handler {
                                 if constexpr (sizeof z >= 4) return AddCarry<std::make_unsigned_t<decltype(z)>>;
                                 else return nullptr;
                               })
                      : BinaryOf<OpAdd>(type);
  } else if (op == "sub" || op == "subc") {
    handler = carries ? ByType(type,
                               [](auto z) -> Handler {
                                 if constexpr (sizeof z >= 4) return SubBorrow<std::make_unsigned_t<decltype(z)>>;
                                 else return nullptr;
                               })
                      : BinaryOf<OpSub>(type);
  } else if (op == "mul") {
    if (wide)
      handler = ByType(type, [](auto z) -> Handler {
        if constexpr (sizeof z <= 4) return MulWide<decltype(z)>;
        else return nullptr;
      });
    else if (lo) handler = BinaryOf<OpMulLo>(type);
    else if (hi) handler = BinaryOf<OpMulHi>(type);
  } else if (op == "mad" || op == "madc") {
    sources = 3;
    if (carries && lo)
      handler = ByType(type, [](auto z) -> Handler {
        if constexpr (sizeof z >= 4) return MadCarry<std::make_unsigned_t<decltype(z)>, false>;
        else return nullptr;
      });
    else if (carries && hi)
      handler = type == Type::kS32 || type == Type::kS64 ? nullptr : ByType(type, [](auto z) -> Handler {
        if constexpr (sizeof z >= 4) return MadCarry<std::make_unsigned_t<decltype(z)>, true>;
        else return nullptr;
      });
    else if (lo) handler = ByType(type, [](auto z) -> Handler { return MadLo<decltype(z)>; });
    else if (hi) handler = ByType(type, [](auto z) -> Handler { return MadHi<decltype(z)>; });
    else if (wide) {
      handler = ByType(type, [](auto z) -> Handler {
        if constexpr (sizeof z <= 4) return MadWide<decltype(z)>;
        else return nullptr;
      });
      RETURN_IF_ERROR(WantOperands(s, 4));
      // The addend has the wide type.
      const Type addend = type == Type::kU16   ? Type::kU32
                          : type == Type::kS16 ? Type::kS32
                          : type == Type::kS32 ? Type::kS64
                                               : Type::kU64;
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
  else if (op == "abs" || op == "neg" || op == "not" || op == "cnot") {
    sources = 1;
    if (op == "abs") handler = UnaryOf<OpAbs>(type);
    else if (op == "neg") handler = UnaryOf<OpNeg>(type);
    else if (op == "cnot") handler = UnaryOf<OpCnot>(type);
    else handler = type == Type::kPred ? PredicateNot : UnaryOf<OpNot>(type);
  } else if (op == "sad") {
    sources = 3;
    handler = ByType(type, [](auto z) -> Handler { return Sad<decltype(z)>; });
  }
  RETURN_IF_ERROR(Finish(s, mods, handler, out));
  return Sources(s, f, out, sources, type);
}

}  // namespace

bool DecodeInteger(const Statement& s, FunctionDecoder& f, Instruction& out, Status* status) {
  static constexpr std::string_view kArithmetic[] = {"add", "addc", "sub", "subc", "mul", "mad", "madc",
                                                     "div", "rem",  "min", "max",  "and", "or",  "xor",
                                                     "abs", "neg",  "not", "cnot", "sad"};
  const Type type = LastType(s);
  std::vector<std::string> mods = s.mods;
  if (type != Type::kNone) mods.pop_back();
  if (IsFloat(type) || std::find(std::begin(kArithmetic), std::end(kArithmetic), s.opcode) == std::end(kArithmetic))
    return false;
  *status = DecodeArithmetic(s, f, out, mods, type);
  return true;
}

}  // namespace ccgpu::ptx
