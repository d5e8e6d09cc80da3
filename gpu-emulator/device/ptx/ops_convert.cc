// cvt (PTX ISA 9.7.9.21): between all integer and float types with rounding, saturation and flush to zero; cvta and
// isspacep.
#include <cfenv>
#include <cmath>
#include <limits>

#include "gpu-emulator/device/ptx/ops.h"
#include "gpu-emulator/device/ptx/thread.h"

namespace ccgpu::ptx {
namespace {

using I = const Instruction&;

constexpr uint8_t kSaturate = 1, kFlush = 2, kIntegerRounding = 4;

int64_t SignedOf(uint64_t bits, Type type) {
  switch (SizeOf(type)) {
    case 1: return static_cast<int8_t>(bits);
    case 2: return static_cast<int16_t>(bits);
    case 4: return static_cast<int32_t>(bits);
    default: return static_cast<int64_t>(bits);
  }
}
uint64_t UnsignedOf(uint64_t bits, Type type) {
  const uint32_t size = SizeOf(type);
  return size == 8 ? bits : bits & ((1ull << (8 * size)) - 1);
}
double FloatOf(uint64_t bits, Type type, bool flush) {
  if (type == Type::kF16) return static_cast<double>(HalfToFloat(static_cast<uint16_t>(bits)));
  if (type == Type::kF64) return std::bit_cast<double>(bits);
  const float v = std::bit_cast<float>(static_cast<uint32_t>(bits));
  return flush && std::fpclassify(v) == FP_SUBNORMAL ? std::copysign(0.0, static_cast<double>(v))
                                                     : static_cast<double>(v);
}

double RoundToInteger(double v, Round round) {
  switch (round) {
    case Round::kNearest: return std::nearbyint(v);
    case Round::kZero: return std::trunc(v);
    case Round::kDown: return std::floor(v);
    case Round::kUp: return std::ceil(v);
  }
  return v;
}

void SetRounding(Round round) {
  switch (round) {
    case Round::kNearest: std::fesetround(FE_TONEAREST); break;
    case Round::kZero: std::fesetround(FE_TOWARDZERO); break;
    case Round::kDown: std::fesetround(FE_DOWNWARD); break;
    case Round::kUp: std::fesetround(FE_UPWARD); break;
  }
}

// Out of range gives the nearest value, NaN gives zero.
uint64_t ToInteger(double v, Type to) {
  if (v != v) return 0;
  const int bits = 8 * static_cast<int>(SizeOf(to));
  if (IsSigned(to)) {
    const double low = -std::ldexp(1.0, bits - 1), high = std::ldexp(1.0, bits - 1);
    if (v < low) return static_cast<uint64_t>(std::numeric_limits<int64_t>::min() >> (64 - bits));
    if (v >= high) return static_cast<uint64_t>(std::numeric_limits<int64_t>::max() >> (64 - bits));
    return static_cast<uint64_t>(static_cast<int64_t>(v));
  }
  if (v < 0) return 0;
  if (v >= std::ldexp(1.0, bits)) return std::numeric_limits<uint64_t>::max() >> (64 - bits);
  return static_cast<uint64_t>(v);
}

uint64_t FromFloat(double v, Type to) {
  if (to == Type::kF64) return std::bit_cast<uint64_t>(v);
  if (to == Type::kF32) return std::bit_cast<uint32_t>(static_cast<float>(v));
  return FloatToHalf(static_cast<float>(v));
}

uint64_t SaturateInteger(uint64_t bits, Type from, Type to) {
  const int width = 8 * static_cast<int>(SizeOf(to));
  if (IsSigned(from)) {
    const int64_t v = SignedOf(bits, from);
    const int64_t low = IsSigned(to) ? std::numeric_limits<int64_t>::min() >> (64 - width) : 0;
    if (v < low) return static_cast<uint64_t>(low);
    const uint64_t high = IsSigned(to) ? static_cast<uint64_t>(std::numeric_limits<int64_t>::max() >> (64 - width))
                                       : std::numeric_limits<uint64_t>::max() >> (64 - width);
    return v > 0 && static_cast<uint64_t>(v) > high ? high : static_cast<uint64_t>(v);
  }
  const uint64_t v = UnsignedOf(bits, from);
  const uint64_t high = IsSigned(to) ? static_cast<uint64_t>(std::numeric_limits<int64_t>::max() >> (64 - width))
                                     : std::numeric_limits<uint64_t>::max() >> (64 - width);
  return std::min(v, high);
}

// A result narrower than its register is extended as its type says.
uint64_t Extend(uint64_t bits, Type to) {
  return IsSigned(to) ? static_cast<uint64_t>(SignedOf(bits, to)) : UnsignedOf(bits, to);
}

Step Convert(Thread& t, I i) {
  const uint64_t in = t.r[i.a];
  const auto round = static_cast<Round>(i.extra);
  uint64_t out = 0;
  if (IsFloat(i.from) && IsFloat(i.type)) {
    double v = FloatOf(in, i.from, i.flags & kFlush);
    if (i.flags & kIntegerRounding) v = RoundToInteger(v, round);
    if (i.flags & kSaturate) v = v > 0 ? std::min(v, 1.0) : 0.0;
    SetRounding(i.flags & kIntegerRounding ? Round::kNearest : round);
    out = FromFloat(v, i.type);
    SetRounding(Round::kNearest);
    if ((i.flags & kFlush) && i.type == Type::kF32)
      out = std::bit_cast<uint32_t>(static_cast<float>(FloatOf(out, Type::kF32, true)));
  } else if (IsFloat(i.from)) {
    out = Extend(ToInteger(RoundToInteger(FloatOf(in, i.from, i.flags & kFlush), round), i.type), i.type);
  } else if (IsFloat(i.type)) {
    SetRounding(round);
    // Straight from the integer to the target's width: one rounding only.
    if (i.type == Type::kF64) {
      const volatile double v =
          IsSigned(i.from) ? static_cast<double>(SignedOf(in, i.from)) : static_cast<double>(UnsignedOf(in, i.from));
      out = std::bit_cast<uint64_t>(static_cast<double>(v));
    } else {
      const volatile float v =
          IsSigned(i.from) ? static_cast<float>(SignedOf(in, i.from)) : static_cast<float>(UnsignedOf(in, i.from));
      SetRounding(Round::kNearest);
      out = i.type == Type::kF32 ? std::bit_cast<uint32_t>(static_cast<float>(v)) : FloatToHalf(v);
    }
    SetRounding(Round::kNearest);
  } else if (i.flags & kSaturate) {
    out = Extend(SaturateInteger(in, i.from, i.type), i.type);
  } else {
    out = Extend(IsSigned(i.from) ? static_cast<uint64_t>(SignedOf(in, i.from)) : UnsignedOf(in, i.from), i.type);
  }
  t.Put<uint64_t>(i.dst, out);
  return Step::kNext;
}

uint64_t WindowOf(Space space) {
  return space == Space::kShared  ? kSharedWindow
         : space == Space::kLocal ? kLocalWindow
         : space == Space::kParam ? kParamWindow
                                  : 0;
}

Step ToGeneric(Thread& t, I i) {
  t.Put<uint64_t>(i.dst, t.r[i.a] + WindowOf(i.space));
  return Step::kNext;
}
Step FromGeneric(Thread& t, I i) {
  t.Put<uint64_t>(i.dst, t.r[i.a] - WindowOf(i.space));
  return Step::kNext;
}
Step IsSpace(Thread& t, I i) {
  t.Put<uint64_t>(i.dst, (t.r[i.a] & kWindowMask) == WindowOf(i.space));
  return Step::kNext;
}

bool ParseSpace(std::string_view text, Space* space) {
  const std::pair<std::string_view, Space> names[] = {{"global", Space::kGlobal},
                                                      {"shared", Space::kShared},
                                                      {"local", Space::kLocal},
                                                      {"const", Space::kConst},
                                                      {"param", Space::kParam}};
  for (auto [name, value] : names) {
    if (name == text) return *space = value, true;
  }
  return false;
}

Status DecodeCvta(const Statement& s, FunctionDecoder& f, Instruction& out) {
  std::vector<std::string> mods = s.mods;
  const bool to = TakeMod(mods, "to");
  RETURN_IF_ERROR(WantOperands(s, 2));
  const bool is_space = s.opcode == "isspacep";
  if (!is_space && (mods.empty() || (mods.back() != "u64"))) return Unsupported(s);
  if (!is_space) mods.pop_back();
  if (mods.size() != 1 || !ParseSpace(mods[0], &out.space)) return Unsupported(s);
  out.run = is_space ? IsSpace : to ? FromGeneric : ToGeneric;
  ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
  uint64_t frame_offset = 0;
  ASSIGN_OR_RETURN(int32_t local, f.LocalAddress(s.operands[1], &frame_offset));
  if (local >= 0) return Unsupported(s);  // compilers take the address by mov first
  ASSIGN_OR_RETURN(out.a, f.Source(s.operands[1], Type::kU64));
  return Ok();
}

Status DecodeCvt(const Statement& s, FunctionDecoder& f, Instruction& out) {
  std::vector<std::string> mods = s.mods;
  RETURN_IF_ERROR(WantOperands(s, 2));
  if (mods.size() < 2 || !ParseType(mods.back(), &out.from)) return Unsupported(s);
  mods.pop_back();
  if (!ParseType(mods.back(), &out.type)) return Unsupported(s);
  mods.pop_back();
  if (out.from == Type::kPred || out.type == Type::kPred) return Unsupported(s);
  if (TakeMod(mods, "sat")) out.flags |= kSaturate;
  if (TakeMod(mods, "ftz")) out.flags |= kFlush;
  const std::pair<std::string_view, Round> roundings[] = {
      {"rn", Round::kNearest}, {"rz", Round::kZero}, {"rm", Round::kDown}, {"rp", Round::kUp}};
  out.extra = static_cast<uint32_t>(IsFloat(out.from) && !IsFloat(out.type) ? Round::kZero : Round::kNearest);
  for (auto [name, round] : roundings) {
    if (TakeMod(mods, name)) out.extra = static_cast<uint32_t>(round);
    if (TakeMod(mods, std::string(name) + "i")) {
      out.extra = static_cast<uint32_t>(round);
      out.flags |= kIntegerRounding;
    }
  }
  if (!mods.empty() || (out.type == Type::kF16 && out.extra != 0 && !(out.flags & kIntegerRounding)))
    return Unsupported(s);
  out.run = Convert;
  ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
  ASSIGN_OR_RETURN(out.a, f.Source(s.operands[1], out.from));
  return Ok();
}

}  // namespace

bool DecodeConvert(const Statement& s, FunctionDecoder& f, Instruction& out, Status* status) {
  if (s.opcode == "cvt") return *status = DecodeCvt(s, f, out), true;
  if (s.opcode == "cvta" || s.opcode == "isspacep") return *status = DecodeCvta(s, f, out), true;
  return false;
}

}  // namespace ccgpu::ptx
