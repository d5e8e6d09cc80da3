// Floating point (PTX ISA 9.7.3-9.7.5): IEEE operations with all rounding modes, and the approximate ones, which are
// computed more exactly here than the hardware must.
#include <algorithm>
#include <cfenv>
#include <cmath>

#include "gpu-emulator/device/ptx/ops.h"
#include "gpu-emulator/device/ptx/thread.h"

namespace ccgpu::ptx {
namespace {

using I = const Instruction&;

// Instruction::extra of this file: rounding in the low bits, then flags.
constexpr uint32_t kRoundMask = 3, kFlush = 4, kSaturate = 8;

class RoundingScope {
 public:
  explicit RoundingScope(uint32_t extra) : changed_((extra & kRoundMask) != 0) {
    if (changed_)
      std::fesetround((extra & kRoundMask) == 1 ? FE_TOWARDZERO : (extra & kRoundMask) == 2 ? FE_DOWNWARD : FE_UPWARD);
  }
  ~RoundingScope() {
    if (changed_) std::fesetround(FE_TONEAREST);
  }

 private:
  bool changed_;
};

template <class T>
T Flush(T v, uint32_t extra) {
  if constexpr (sizeof(T) == 4) {
    if ((extra & kFlush) && std::fpclassify(v) == FP_SUBNORMAL) return std::copysign(T{0}, v);
  }
  return v;
}
template <class T>
T Finish(T v, uint32_t extra) {
  v = Flush(v, extra);
  if (extra & kSaturate) v = v > T{0} ? std::min(v, T{1}) : T{0};  // NaN gives 0
  return v;
}

struct FAdd {
  template <class T>
  static T Do(T a, T b) {
    return a + b;
  }
};
struct FSub {
  template <class T>
  static T Do(T a, T b) {
    return a - b;
  }
};
struct FMul {
  template <class T>
  static T Do(T a, T b) {
    return a * b;
  }
};
struct FDiv {
  template <class T>
  static T Do(T a, T b) {
    return a / b;
  }
};
// A NaN loses against a number.
struct FMin {
  template <class T>
  static T Do(T a, T b) {
    return a != a ? b : b != b ? a : (a == b ? (std::signbit(a) ? a : b) : std::min(a, b));
  }
};
struct FMax {
  template <class T>
  static T Do(T a, T b) {
    return a != a ? b : b != b ? a : (a == b ? (std::signbit(a) ? b : a) : std::max(a, b));
  }
};
struct FCopySign {
  template <class T>
  static T Do(T a, T b) {
    return std::copysign(b, a);
  }
};
struct FAbs {
  template <class T>
  static T Do(T a) {
    return std::fabs(a);
  }
};
struct FNeg {
  template <class T>
  static T Do(T a) {
    return -a;
  }
};
struct FRcp {
  template <class T>
  static T Do(T a) {
    return T{1} / a;
  }
};
struct FSqrt {
  template <class T>
  static T Do(T a) {
    return std::sqrt(a);
  }
};
struct FRsqrt {
  template <class T>
  static T Do(T a) {
    return T{1} / std::sqrt(a);
  }
};
struct FSin {
  template <class T>
  static T Do(T a) {
    return std::sin(a);
  }
};
struct FCos {
  template <class T>
  static T Do(T a) {
    return std::cos(a);
  }
};
struct FLg2 {
  template <class T>
  static T Do(T a) {
    return std::log2(a);
  }
};
struct FEx2 {
  template <class T>
  static T Do(T a) {
    return std::exp2(a);
  }
};
struct FTanh {
  template <class T>
  static T Do(T a) {
    return std::tanh(a);
  }
};

template <class Op, class T>
Step Binary(Thread& t, I i) {
  RoundingScope scope(i.extra);
  t.Put<T>(i.dst, Finish(Op::template Do<T>(Flush(t.Get<T>(i.a), i.extra), Flush(t.Get<T>(i.b), i.extra)), i.extra));
  return Step::kNext;
}
template <class Op, class T>
Step Unary(Thread& t, I i) {
  RoundingScope scope(i.extra);
  t.Put<T>(i.dst, Finish(Op::template Do<T>(Flush(t.Get<T>(i.a), i.extra)), i.extra));
  return Step::kNext;
}
template <class T>
Step Fma(Thread& t, I i) {
  RoundingScope scope(i.extra);
  t.Put<T>(i.dst,
           Finish(std::fma(Flush(t.Get<T>(i.a), i.extra), Flush(t.Get<T>(i.b), i.extra), Flush(t.Get<T>(i.c), i.extra)),
                  i.extra));
  return Step::kNext;
}
// f16 is computed in f32 and rounded once: exact for these operations.
template <class Op>
Step BinaryHalf(Thread& t, I i) {
  t.Put<uint16_t>(
      i.dst,
      FloatToHalf(Finish(Op::template Do<float>(HalfToFloat(t.Get<uint16_t>(i.a)), HalfToFloat(t.Get<uint16_t>(i.b))),
                         i.extra & kSaturate)));
  return Step::kNext;
}
template <class Op>
Step UnaryHalf(Thread& t, I i) {
  t.Put<uint16_t>(i.dst, FloatToHalf(Op::template Do<float>(HalfToFloat(t.Get<uint16_t>(i.a)))));
  return Step::kNext;
}
Step FmaHalf(Thread& t, I i) {
  // In double the product and sum of halves are exact enough that one rounding to half is right.
  const double exact = static_cast<double>(HalfToFloat(t.Get<uint16_t>(i.a))) * HalfToFloat(t.Get<uint16_t>(i.b)) +
                       HalfToFloat(t.Get<uint16_t>(i.c));
  t.Put<uint16_t>(i.dst, FloatToHalf(Finish(static_cast<float>(exact), i.extra & kSaturate)));
  return Step::kNext;
}
enum TestProperty : uint8_t { kFinite, kInfinite, kNumber, kNotANumber, kNormal, kSubnormal };
template <class T>
Step TestP(Thread& t, I i) {
  const T v = t.Get<T>(i.a);
  bool holds = false;
  switch (static_cast<TestProperty>(i.flags)) {
    case kFinite: holds = std::isfinite(v); break;
    case kInfinite: holds = std::isinf(v); break;
    case kNumber: holds = !std::isnan(v); break;
    case kNotANumber: holds = std::isnan(v); break;
    case kNormal: holds = std::isnormal(v); break;
    case kSubnormal: holds = std::fpclassify(v) == FP_SUBNORMAL; break;
  }
  t.Put<uint64_t>(i.dst, holds);
  return Step::kNext;
}

template <class Op>
Handler BinaryOf(Type type) {
  return type == Type::kF32   ? Handler(Binary<Op, float>)
         : type == Type::kF64 ? Binary<Op, double>
         : type == Type::kF16 ? BinaryHalf<Op>
                              : nullptr;
}
template <class Op>
Handler UnaryOf(Type type) {
  return type == Type::kF32   ? Handler(Unary<Op, float>)
         : type == Type::kF64 ? Unary<Op, double>
         : type == Type::kF16 ? UnaryHalf<Op>
                              : nullptr;
}

Status DecodeTestP(const Statement& s, FunctionDecoder& f, Instruction& out, const std::vector<std::string>& mods,
                   Type type) {
  static constexpr std::string_view kNames[] = {"finite", "infinite", "number", "notanumber", "normal", "subnormal"};
  RETURN_IF_ERROR(WantOperands(s, 2));
  const auto name = mods.size() == 1 ? std::find(std::begin(kNames), std::end(kNames), mods[0]) : std::end(kNames);
  if (name == std::end(kNames) || type == Type::kF16) return Unsupported(s);
  out.flags = static_cast<uint8_t>(name - std::begin(kNames));
  out.run = type == Type::kF32 ? Handler(TestP<float>) : TestP<double>;
  ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
  ASSIGN_OR_RETURN(out.a, f.Source(s.operands[1], type));
  return Ok();
}

Status Decode(const Statement& s, FunctionDecoder& f, Instruction& out, Type type) {
  std::vector<std::string> mods = s.mods;
  mods.pop_back();
  if (s.opcode == "testp") return DecodeTestP(s, f, out, mods, type);
  const std::string& op = s.opcode;
  if (TakeMod(mods, "ftz")) out.extra |= kFlush;
  if (TakeMod(mods, "sat")) out.extra |= kSaturate;
  TakeMod(mods, "approx");
  TakeMod(mods, "full");
  TakeMod(mods, "rn");
  if (TakeMod(mods, "rz")) out.extra |= 1;
  else if (TakeMod(mods, "rm")) out.extra |= 2;
  else if (TakeMod(mods, "rp")) out.extra |= 3;
  if (type == Type::kF16 && (out.extra & kRoundMask)) return Unsupported(s);
  size_t sources = 2;
  Handler handler = nullptr;
  if (op == "add") handler = BinaryOf<FAdd>(type);
  else if (op == "sub") handler = BinaryOf<FSub>(type);
  else if (op == "mul") handler = BinaryOf<FMul>(type);
  else if (op == "div") handler = BinaryOf<FDiv>(type);
  else if (op == "min") handler = BinaryOf<FMin>(type);
  else if (op == "max") handler = BinaryOf<FMax>(type);
  else if (op == "copysign") handler = BinaryOf<FCopySign>(type);
  else if (op == "fma" || op == "mad") {
    sources = 3;
    handler = type == Type::kF32 ? Handler(Fma<float>) : type == Type::kF64 ? Fma<double> : FmaHalf;
  } else {
    sources = 1;
    if (op == "abs") handler = UnaryOf<FAbs>(type);
    else if (op == "neg") handler = UnaryOf<FNeg>(type);
    else if (op == "rcp") handler = UnaryOf<FRcp>(type);
    else if (op == "sqrt") handler = UnaryOf<FSqrt>(type);
    else if (op == "rsqrt") handler = UnaryOf<FRsqrt>(type);
    else if (op == "sin") handler = UnaryOf<FSin>(type);
    else if (op == "cos") handler = UnaryOf<FCos>(type);
    else if (op == "lg2") handler = UnaryOf<FLg2>(type);
    else if (op == "ex2") handler = UnaryOf<FEx2>(type);
    else if (op == "tanh") handler = UnaryOf<FTanh>(type);
  }
  if (!handler || !mods.empty()) return Unsupported(s);
  out.run = handler;
  RETURN_IF_ERROR(WantOperands(s, sources + 1));
  ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
  int32_t* const slots[] = {&out.a, &out.b, &out.c};
  for (size_t k = 0; k < sources; ++k) {
    ASSIGN_OR_RETURN(*slots[k], f.Source(s.operands[k + 1], type));
  }
  return Ok();
}

}  // namespace

bool DecodeFloat(const Statement& s, FunctionDecoder& f, Instruction& out, Status* status) {
  static constexpr std::string_view kOps[] = {"add", "sub", "mul", "div",  "min",      "max",   "fma",
                                              "mad", "abs", "neg", "rcp",  "sqrt",     "rsqrt", "sin",
                                              "cos", "lg2", "ex2", "tanh", "copysign", "testp"};
  const Type type = LastType(s);
  if (!IsFloat(type) || std::find(std::begin(kOps), std::end(kOps), s.opcode) == std::end(kOps)) return false;
  *status = Decode(s, f, out, type);
  return true;
}

float HalfToFloat(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ff;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000 | fraction << 13);
  if (exponent == 0)
    return std::copysign(std::ldexp(static_cast<float>(fraction), -24), std::bit_cast<float>(sign | 0x3f800000));
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t FloatToHalf(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
  if (value != value) return sign | 0x7fff;
  const float magnitude = std::fabs(value);
  if (magnitude >= 65520.0f) return sign | 0x7c00;
  if (magnitude < 6.103515625e-05f) {  // below the smallest normal: a multiple of 2^-24
    return static_cast<uint16_t>(sign | static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, 24))));
  }
  const uint32_t rounded = (bits & 0x7fffffff) + 0xfff + (bits >> 13 & 1);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - (112u << 10)));
}

}  // namespace ccgpu::ptx
