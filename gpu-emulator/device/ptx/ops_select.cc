// Comparison, selection and mov (PTX ISA 9.7.6, 9.7.9).
#include "gpu-emulator/device/ptx/by_type.h"

namespace ccgpu::ptx {
namespace {

using I = const Instruction&;

// Comparison. extra: the Compare; flags: 0 none, 1 and, 2 or, 3 xor with predicate c; 4 = c is negated.
Step PutPredicates(Thread& t, I i, bool holds) {
  bool p = holds, q = !holds;
  if (i.flags & 3) {
    const bool other = (t.r[i.c] != 0) != ((i.flags & 4) != 0);
    switch (i.flags & 3) {
      case 1:
        p = p && other;
        q = q && other;
        break;
      case 2:
        p = p || other;
        q = q || other;
        break;
      default:
        p = p != other;
        q = q != other;
        break;
    }
  }
  t.Put<uint64_t>(i.dst, p);
  t.Put<uint64_t>(i.dst2, q);
  return Step::kNext;
}
template <class T>
Step Setp(Thread& t, I i) {
  return PutPredicates(t, i, Holds(static_cast<Compare>(i.extra), t.Get<T>(i.a), t.Get<T>(i.b)));
}
Step SetpHalf(Thread& t, I i) {
  return PutPredicates(
      t, i, Holds(static_cast<Compare>(i.extra), HalfToFloat(t.Get<uint16_t>(i.a)), HalfToFloat(t.Get<uint16_t>(i.b))));
}
// set: the result is all ones (or 1.0) instead of a predicate. type: of the result.
template <class T>
Step Set(Thread& t, I i) {
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
template <class T>
Step Slct(Thread& t, I i) {
  t.Put<uint64_t>(i.dst, t.r[t.Get<T>(i.c) >= 0 ? i.a : i.b]);
  return Step::kNext;
}

Step Mov(Thread& t, I i) {
  t.Put<uint64_t>(i.dst, t.r[i.a]);
  return Step::kNext;
}
Step MovLocal(Thread& t, I i) {
  t.Put<uint64_t>(i.dst, t.local_base + static_cast<uint64_t>(i.offset));
  return Step::kNext;
}
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
bool ParseCompare(std::string_view text, bool is_float, bool is_signed, Compare* out) {
  const std::pair<std::string_view, Compare> names[] = {{"eq", Compare::kEq}, {"ne", Compare::kNe},
                                                        {"lt", Compare::kLt}, {"le", Compare::kLe},
                                                        {"gt", Compare::kGt}, {"ge", Compare::kGe}};
  for (auto [name, value] : names) {
    if (name == text) return *out = value, true;
  }
  const std::pair<std::string_view, Compare> float_names[] = {
      {"equ", Compare::kEqu}, {"neu", Compare::kNeu}, {"ltu", Compare::kLtu}, {"leu", Compare::kLeu},
      {"gtu", Compare::kGtu}, {"geu", Compare::kGeu}, {"num", Compare::kNum}, {"nan", Compare::kNan}};
  const std::pair<std::string_view, Compare> unsigned_names[] = {
      {"lo", Compare::kLt}, {"ls", Compare::kLe}, {"hi", Compare::kGt}, {"hs", Compare::kGe}};
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

// setp.CmpOp[.BoolOp][.ftz].type p[|q], a, b[, [!]c]; set is alike with a value as result.
Status DecodeCompare(const Statement& s, FunctionDecoder& f, Instruction& out, std::vector<std::string> mods,
                     Type type) {
  TakeMod(mods, "ftz");
  Type result = Type::kNone;
  if (s.opcode == "set") {
    if (mods.empty() || !ParseType(mods.back(), &result) ||
        (result != Type::kU32 && result != Type::kS32 && result != Type::kF32))
      return Unsupported(s);
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
  Handler handler = type == Type::kF32   ? (set ? Handler(Set<float>) : Setp<float>)
                    : type == Type::kF64 ? (set ? Handler(Set<double>) : Setp<double>)
                    : type == Type::kF16 ? (set ? nullptr : Handler(SetpHalf))
                                         : ByType(type, [set](auto z) -> Handler {
                                             using T = decltype(z);
                                             return set ? Handler(Set<T>) : Setp<T>;
                                           });
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

Status DecodeSelect(const Statement& s, FunctionDecoder& f, Instruction& out, std::vector<std::string> mods,
                    Type type) {
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
  if (vector.parts.size() != 2 && vector.parts.size() != 4)
    return Err("cuda.invalid-ptx", "", "a vector must have 2 or 4 parts");
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

bool DecodeSelectors(const Statement& s, FunctionDecoder& f, Instruction& out, Status* status) {
  const Type type = LastType(s);
  std::vector<std::string> mods = s.mods;
  if (type != Type::kNone) mods.pop_back();
  if (s.opcode == "setp" || s.opcode == "set") return *status = DecodeCompare(s, f, out, mods, type), true;
  if (s.opcode == "selp" || s.opcode == "slct") return *status = DecodeSelect(s, f, out, mods, type), true;
  if (s.opcode == "mov") return *status = DecodeMov(s, f, out, mods, type), true;
  return false;
}

}  // namespace ccgpu::ptx
