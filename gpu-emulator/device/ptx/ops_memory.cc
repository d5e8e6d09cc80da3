// Loads, stores and atomics (PTX ISA 9.7.9, 9.7.13). Every access is checked by Thread::At.
#include <algorithm>

#include "gpu-emulator/device/ptx/ops.h"
#include "gpu-emulator/device/ptx/thread.h"

namespace ccgpu::ptx {
namespace {

using I = const Instruction&;

uint64_t AddressOf(const Thread& t, I i) { return (i.a >= 0 ? t.r[i.a] : 0) + static_cast<uint64_t>(i.offset); }

uint64_t LoadBits(const uint8_t* from, uint32_t size, bool sign) {
  uint64_t bits = 0;
  std::memcpy(&bits, from, size);
  if (sign && size < 8 && (bits >> (8 * size - 1) & 1)) bits |= ~0ull << (8 * size);
  return bits;
}

Step Load(Thread& t, I i) {
  const uint8_t* from = t.At(i.space, AddressOf(t, i), static_cast<uint64_t>(i.width) * i.lanes, false);
  if (!from) return Step::kStop;
  const bool sign = IsSigned(i.type);
  if (i.lanes == 1) {
    t.Put<uint64_t>(i.dst, LoadBits(from, i.width, sign));
    return Step::kNext;
  }
  for (int k = 0; k < i.lanes; ++k) t.Put<uint64_t>(i.lane_registers[k], LoadBits(from + k * i.width, i.width, sign));
  return Step::kNext;
}

Step Store(Thread& t, I i) {
  uint8_t* to = t.At(i.space, AddressOf(t, i), static_cast<uint64_t>(i.width) * i.lanes, true);
  if (!to) return Step::kStop;
  if (i.lanes == 1) {
    std::memcpy(to, &t.r[i.b], i.width);
    return Step::kNext;
  }
  for (int k = 0; k < i.lanes; ++k) std::memcpy(to + k * i.width, &t.r[i.lane_registers[k]], i.width);
  return Step::kNext;
}

Step Nothing(Thread&, I) { return Step::kNext; }

enum AtomicOp : uint8_t { kAdd, kMin, kMax, kInc, kDec, kAnd, kOr, kXor, kExch, kCas };

template <class T>
T Apply(AtomicOp op, T old, T b, T c) {
  switch (op) {
    case kAdd: return static_cast<T>(old + b);
    case kMin: return std::min(old, b);
    case kMax: return std::max(old, b);
    case kInc: return static_cast<T>(old >= b ? T{0} : old + T{1});
    case kDec: return static_cast<T>(old == T{0} || old > b ? b : old - T{1});
    case kAnd:
      if constexpr (std::is_integral_v<T>) return old & b;
      else return old;
    case kOr:
      if constexpr (std::is_integral_v<T>) return old | b;
      else return old;
    case kXor:
      if constexpr (std::is_integral_v<T>) return old ^ b;
      else return old;
    case kExch: return b;
    case kCas: return old == b ? c : old;
  }
  return old;
}

// Blocks run one after the other and threads in turns, so that plain memory operations are atomic here.
template <class T>
Step Atomic(Thread& t, I i) {
  uint8_t* at = t.At(i.space, AddressOf(t, i), sizeof(T), true);
  if (!at) return Step::kStop;
  T old;
  std::memcpy(&old, at, sizeof old);
  const T now = Apply<T>(static_cast<AtomicOp>(i.flags), old, t.Get<T>(i.b), i.c >= 0 ? t.Get<T>(i.c) : T{});
  std::memcpy(at, &now, sizeof now);
  t.Put<T>(i.dst, old);
  return Step::kNext;
}

// Modifiers that order, cache or scope an access; the interpreter's memory is always coherent.
void DropHints(std::vector<std::string>& mods) {
  static constexpr std::string_view kHints[] = {"volatile", "relaxed", "acquire", "release", "acq_rel", "weak",
                                                "cta",      "cluster", "gpu",     "sys",     "ca",      "cg",
                                                "cs",       "lu",      "cv",      "wb",      "wt",      "nc"};
  std::erase_if(mods, [](const std::string& mod) {
    return std::find(std::begin(kHints), std::end(kHints), mod) != std::end(kHints) || mod.starts_with("L1::") ||
           mod.starts_with("L2::");
  });
}

bool TakeSpace(std::vector<std::string>& mods, Space* space) {
  const std::pair<std::string_view, Space> names[] = {{"global", Space::kGlobal},      {"shared", Space::kShared},
                                                      {"shared::cta", Space::kShared}, {"local", Space::kLocal},
                                                      {"const", Space::kConst},        {"param", Space::kParam},
                                                      {"param::func", Space::kParam},  {"param::entry", Space::kParam}};
  for (auto [name, value] : names) {
    if (TakeMod(mods, name)) return *space = value, true;
  }
  return false;
}

Status DecodeAccess(const Statement& s, FunctionDecoder& f, Instruction& out) {
  std::vector<std::string> mods = s.mods;
  out.type = LastType(s);
  if (out.type == Type::kNone || out.type == Type::kPred) return Unsupported(s);
  mods.pop_back();
  DropHints(mods);
  Space space = Space::kGeneric;
  const bool given = TakeSpace(mods, &space);
  const size_t lanes = TakeMod(mods, "v2") ? 2 : TakeMod(mods, "v4") ? 4 : 1;
  RETURN_IF_ERROR(WantOperands(s, 2));
  if (!mods.empty()) return Unsupported(s);
  const bool load = s.opcode != "st";
  const Operand &address = s.operands[load ? 1 : 0], &value = s.operands[load ? 0 : 1];
  if (address.kind != Operand::Kind::kAddress) return Unsupported(s);
  out.width = static_cast<uint8_t>(SizeOf(out.type));
  out.lanes = static_cast<uint8_t>(lanes);
  out.run = load ? Load : Store;
  RETURN_IF_ERROR(f.Address(address, space, given, out));
  if ((value.kind == Operand::Kind::kVector) != (lanes > 1) || (lanes > 1 && value.parts.size() != lanes))
    return Unsupported(s);
  for (size_t k = 0; k < lanes; ++k) {
    const Operand& one = lanes > 1 ? value.parts[k] : value;
    auto reg = load ? f.Register(one) : f.Source(one, out.type);
    if (!reg.ok()) return reg.error();
    if (lanes > 1) out.lane_registers[k] = *reg;
    else (load ? out.dst : out.b) = *reg;
  }
  return Ok();
}

Status DecodeAtomic(const Statement& s, FunctionDecoder& f, Instruction& out) {
  static constexpr std::string_view kNames[] = {"add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas"};
  std::vector<std::string> mods = s.mods;
  const Type type = LastType(s);
  if (type == Type::kNone) return Unsupported(s);
  mods.pop_back();
  DropHints(mods);
  Space space = Space::kGeneric;
  const bool given = TakeSpace(mods, &space);
  const auto name = mods.size() == 1 ? std::find(std::begin(kNames), std::end(kNames), mods[0]) : std::end(kNames);
  if (name == std::end(kNames)) return Unsupported(s);
  out.flags = static_cast<uint8_t>(name - std::begin(kNames));
  const auto op = static_cast<AtomicOp>(out.flags);
  if (IsFloat(type) && op != kAdd) return Unsupported(s);
  if ((op == kInc || op == kDec) && type != Type::kU32) return Unsupported(s);
  switch (type) {
    case Type::kU32:
    case Type::kB32: out.run = Atomic<uint32_t>; break;
    case Type::kS32: out.run = Atomic<int32_t>; break;
    case Type::kU64:
    case Type::kB64: out.run = Atomic<uint64_t>; break;
    case Type::kS64: out.run = Atomic<int64_t>; break;
    case Type::kF32: out.run = Atomic<float>; break;
    case Type::kF64: out.run = Atomic<double>; break;
    case Type::kB16:
    case Type::kU16: out.run = Atomic<uint16_t>; break;
    case Type::kNone:
    case Type::kPred:
    case Type::kB8:
    case Type::kU8:
    case Type::kS8:
    case Type::kS16:
    case Type::kF16: return Unsupported(s);
  }
  const bool reduction = s.opcode == "red";
  const size_t first = reduction ? 0 : 1;
  RETURN_IF_ERROR(WantOperands(s, first + (op == kCas ? 3 : 2)));
  if (s.operands[first].kind != Operand::Kind::kAddress || (reduction && op == kCas)) return Unsupported(s);
  if (!reduction) {
    ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
  }
  RETURN_IF_ERROR(f.Address(s.operands[first], space, given, out));
  ASSIGN_OR_RETURN(out.b, f.Source(s.operands[first + 1], type));
  if (op == kCas) {
    ASSIGN_OR_RETURN(out.c, f.Source(s.operands[first + 2], type));
  }
  return Ok();
}

}  // namespace

bool DecodeMemory(const Statement& s, FunctionDecoder& f, Instruction& out, Status* status) {
  if (s.opcode == "ld" || s.opcode == "ldu" || s.opcode == "st") return *status = DecodeAccess(s, f, out), true;
  if (s.opcode == "atom" || s.opcode == "red") return *status = DecodeAtomic(s, f, out), true;
  if (s.opcode == "membar" || s.opcode == "fence" || s.opcode == "prefetch" || s.opcode == "prefetchu" ||
      s.opcode == "nanosleep" || s.opcode == "pmevent" || s.opcode == "brkpt") {
    out.run = Nothing;
    return *status = Ok(), true;
  }
  return false;
}

}  // namespace ccgpu::ptx
