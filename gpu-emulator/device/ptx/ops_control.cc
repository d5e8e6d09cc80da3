// Control flow, calls, barriers, and the instructions in which the lanes of a warp talk (PTX
// ISA 9.7.12, 9.7.13, 9.7.19).
#include <algorithm>

#include "gpu-emulator/device/ptx/ops.h"
#include "gpu-emulator/device/ptx/thread.h"
#include "gpu-emulator/device/ptx/warp.h"

namespace ccgpu::ptx {
namespace {

using I = const Instruction&;

Step Branch(Thread& t, I i) {
  t.pc = i.extra;
  return Step::kNext;
}
Step BranchIndex(Thread& t, I i) {
  const auto& table = t.function->jump_tables[i.extra];
  const uint64_t index = t.Get<uint32_t>(i.a);
  if (index >= table.size())
    return t.Fail("cuda.launch-failed", "brx.idx with index " + std::to_string(index) + " of a table with " +
                                            std::to_string(table.size()) + " targets");
  t.pc = table[index];
  return Step::kNext;
}
Step Return(Thread& t, I) { return Leave(t); }
Step Exit(Thread& t, I) {
  t.state = ThreadState::kExited;
  return Step::kStop;
}
Step Trap(Thread& t, I) { return t.Fail("cuda.launch-failed", "the kernel executed trap"); }
Step Call(Thread& t, I i) {
  const CallSite& call = t.function->calls[i.extra];
  return Enter(t, t.block->program->functions[call.callee], &call);
}
Step Barrier(Thread& t, I i) { return t.Wait(ThreadState::kBarrier, i, 0); }
Step WarpWait(Thread& t, I i) { return t.Wait(ThreadState::kWarp, i, t.Get<uint32_t>(i.d)); }
Step ActiveMask(Thread& t, I i) {
  // The lanes of the warp that are still running: threads here do not run in lockstep.
  uint32_t mask = 0;
  const size_t first = static_cast<size_t>(&t - t.block->threads.data()) / 32 * 32;
  for (size_t k = first; k < std::min(first + 32, t.block->threads.size()); ++k) {
    if (t.block->threads[k].state != ThreadState::kExited) mask |= 1u << (k - first);
  }
  t.Put<uint32_t>(i.dst, mask);
  return Step::kNext;
}

Status DecodeBranch(const Statement& s, FunctionDecoder& f, Instruction& out) {
  std::vector<std::string> mods = s.mods;
  TakeMod(mods, "uni");
  if (s.opcode == "brx") {
    if (!TakeMod(mods, "idx") || !mods.empty()) return Unsupported(s);
    RETURN_IF_ERROR(WantOperands(s, 2));
    out.run = BranchIndex;
    ASSIGN_OR_RETURN(out.a, f.Source(s.operands[0], Type::kU32));
    ASSIGN_OR_RETURN(out.extra, f.JumpTable(s.operands[1].name));
    return Ok();
  }
  RETURN_IF_ERROR(WantOperands(s, 1));
  if (!mods.empty()) return Unsupported(s);
  out.run = Branch;
  ASSIGN_OR_RETURN(out.extra, f.Label(s.operands[0]));
  return Ok();
}

// bar.sync a[, b] · bar.red.op.type d[|p], a[, b], c · barrier.sync[.aligned] · bar.warp.sync mask
Status DecodeBarrier(const Statement& s, FunctionDecoder& f, Instruction& out) {
  std::vector<std::string> mods = s.mods;
  TakeMod(mods, "aligned");
  TakeMod(mods, "cta");
  if (TakeMod(mods, "warp")) {
    if (!TakeMod(mods, "sync") || !mods.empty()) return Unsupported(s);
    RETURN_IF_ERROR(WantOperands(s, 1));
    out.run = WarpWait;
    out.flags = static_cast<uint8_t>(WarpOp::kSync);
    ASSIGN_OR_RETURN(out.d, f.Source(s.operands[0], Type::kU32));
    return Ok();
  }
  out.run = Barrier;
  if (TakeMod(mods, "red")) {
    const std::pair<std::string_view, BarrierOp> ops[] = {
        {"popc", BarrierOp::kPopc}, {"and", BarrierOp::kAnd}, {"or", BarrierOp::kOr}};
    for (auto [name, op] : ops) {
      if (TakeMod(mods, name)) out.flags = static_cast<uint8_t>(op);
    }
    if (out.flags == 0 || mods.size() != 1 || (s.operands.size() != 3 && s.operands.size() != 4)) return Unsupported(s);
    ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
    ASSIGN_OR_RETURN(out.a, f.Source(s.operands[1], Type::kU32));
    ASSIGN_OR_RETURN(out.c, f.Source(s.operands.back(), Type::kPred));
    out.extra = s.operands.back().negated;
    return Ok();
  }
  if (s.opcode == "bar" || s.opcode == "barrier") {
    if (!mods.empty() && !TakeMod(mods, "sync")) return Unsupported(s);
    if (!mods.empty() || s.operands.size() > 2) return Unsupported(s);
    out.a = f.Constant(0);
    if (!s.operands.empty()) {
      ASSIGN_OR_RETURN(out.a, f.Source(s.operands[0], Type::kU32));
    }
    if (s.operands.size() == 2) {
      ASSIGN_OR_RETURN(out.b, f.Source(s.operands[1], Type::kU32));
    }
    return Ok();
  }
  return Unsupported(s);
}

Status DecodeShuffle(const Statement& s, FunctionDecoder& f, Instruction& out) {
  const std::pair<std::string_view, WarpOp> ops[] = {{"up", WarpOp::kShuffleUp},
                                                     {"down", WarpOp::kShuffleDown},
                                                     {"bfly", WarpOp::kShuffleXor},
                                                     {"idx", WarpOp::kShuffleIndex}};
  std::vector<std::string> mods = s.mods;
  if (!TakeMod(mods, "sync") || !TakeMod(mods, "b32")) return Unsupported(s);
  for (auto [name, op] : ops) {
    if (TakeMod(mods, name)) out.flags = static_cast<uint8_t>(op);
  }
  if (!mods.empty() || out.flags == 0) return Unsupported(s);
  RETURN_IF_ERROR(WantOperands(s, 5));
  out.run = WarpWait;
  ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
  if (!s.operands[0].predicate.empty()) {
    ASSIGN_OR_RETURN(out.dst2, f.Predicate(s.operands[0].predicate));
  }
  ASSIGN_OR_RETURN(out.a, f.Source(s.operands[1], Type::kB32));
  ASSIGN_OR_RETURN(out.b, f.Source(s.operands[2], Type::kU32));
  ASSIGN_OR_RETURN(out.c, f.Source(s.operands[3], Type::kU32));
  ASSIGN_OR_RETURN(out.d, f.Source(s.operands[4], Type::kU32));
  return Ok();
}

// vote.sync.{all,any,uni}.pred p, [!]a, mask · vote.sync.ballot.b32 d, [!]a, mask · match.{any,all}.sync.bN ·
// redux.sync.op.type
Status DecodeVote(const Statement& s, FunctionDecoder& f, Instruction& out) {
  struct Known {
    std::string_view opcode, mod;
    WarpOp op;
  };
  static constexpr Known kKnown[] = {
      {"vote", "all", WarpOp::kVoteAll},    {"vote", "any", WarpOp::kVoteAny},    {"vote", "uni", WarpOp::kVoteUni},
      {"vote", "ballot", WarpOp::kBallot},  {"match", "any", WarpOp::kMatchAny},  {"match", "all", WarpOp::kMatchAll},
      {"redux", "add", WarpOp::kReduceAdd}, {"redux", "min", WarpOp::kReduceMin}, {"redux", "max", WarpOp::kReduceMax},
      {"redux", "and", WarpOp::kReduceAnd}, {"redux", "or", WarpOp::kReduceOr},   {"redux", "xor", WarpOp::kReduceXor}};
  std::vector<std::string> mods = s.mods;
  out.type = LastType(s);
  if (out.type == Type::kNone || !TakeMod(mods, "sync")) return Unsupported(s);
  mods.pop_back();
  for (const Known& known : kKnown) {
    if (s.opcode == known.opcode && TakeMod(mods, known.mod)) out.flags = static_cast<uint8_t>(known.op);
  }
  if (!mods.empty() || out.flags == 0) return Unsupported(s);
  RETURN_IF_ERROR(WantOperands(s, 3));
  out.run = WarpWait;
  ASSIGN_OR_RETURN(out.dst, f.Register(s.operands[0]));
  if (!s.operands[0].predicate.empty()) {
    ASSIGN_OR_RETURN(out.dst2, f.Predicate(s.operands[0].predicate));
  }
  ASSIGN_OR_RETURN(out.a, f.Source(s.operands[1], s.opcode == "vote" ? Type::kPred : out.type));
  out.extra = s.operands[1].negated;
  ASSIGN_OR_RETURN(out.d, f.Source(s.operands[2], Type::kU32));
  return Ok();
}

}  // namespace

bool DecodeControl(const Statement& s, FunctionDecoder& f, Instruction& out, Status* status) {
  if (s.opcode == "bra" || s.opcode == "brx") return *status = DecodeBranch(s, f, out), true;
  if (s.opcode == "ret") return out.run = Return, *status = Ok(), true;
  if (s.opcode == "exit") return out.run = Exit, *status = Ok(), true;
  if (s.opcode == "trap") return out.run = Trap, *status = Ok(), true;
  if (s.opcode == "call") return out.run = Call, *status = f.Call(s, out), true;
  if (s.opcode == "bar" || s.opcode == "barrier") return *status = DecodeBarrier(s, f, out), true;
  if (s.opcode == "shfl") return *status = DecodeShuffle(s, f, out), true;
  if (s.opcode == "vote" || s.opcode == "match" || s.opcode == "redux") return *status = DecodeVote(s, f, out), true;
  if (s.opcode == "activemask") {
    out.run = ActiveMask;
    Status wanted = WantOperands(s, 1);
    if (wanted.ok()) {
      auto reg = f.Register(s.operands[0]);
      if (reg.ok()) out.dst = *reg;
      else wanted = reg.error();
    }
    return *status = wanted, true;
  }
  return false;
}

}  // namespace ccgpu::ptx
