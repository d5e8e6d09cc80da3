#include "gpu-emulator/device/ptx/warp.h"

#include <algorithm>
#include <map>

namespace ccgpu::ptx {
namespace {

// The source lane of a shuffle (PTX ISA 9.7.9.6), or -1 when it is out of bounds (the lane then keeps its own value).
int ShuffleSource(WarpOp op, uint32_t lane, uint32_t b, uint32_t c) {
  const uint32_t clamp = c & 31, segment = c >> 8 & 31, offset = b & 31;
  const uint32_t max_lane = (lane & segment) | (clamp & ~segment & 31), min_lane = lane & segment;
  if (op == WarpOp::kShuffleUp)
    return lane >= offset && lane - offset >= max_lane ? static_cast<int>(lane - offset) : -1;
  if (op == WarpOp::kShuffleDown) return lane + offset <= max_lane ? static_cast<int>(lane + offset) : -1;
  if (op == WarpOp::kShuffleXor) return (lane ^ offset) <= max_lane ? static_cast<int>(lane ^ offset) : -1;
  const uint32_t source = min_lane | (offset & ~segment & 31);
  return source <= max_lane ? static_cast<int>(source) : -1;
}

uint32_t Reduce(WarpOp op, bool is_signed, uint32_t a, uint32_t b) {
  if (op == WarpOp::kReduceAdd) return a + b;
  if (op == WarpOp::kReduceAnd) return a & b;
  if (op == WarpOp::kReduceOr) return a | b;
  if (op == WarpOp::kReduceXor) return a ^ b;
  const bool less = is_signed ? static_cast<int32_t>(a) < static_cast<int32_t>(b) : a < b;
  return (op == WarpOp::kReduceMin) == less ? a : b;
}

// All lanes of `group` (bit k: lanes[k]) perform the instruction at once.
void Perform(Thread* lanes, uint32_t group, const Instruction& i) {
  const auto op = static_cast<WarpOp>(i.flags);
  uint64_t value[32] = {};
  uint32_t ballot = 0, reduced = 0;
  bool first = true;
  for (uint32_t k = 0; k < 32; ++k) {
    if (!(group >> k & 1)) continue;
    value[k] = i.a >= 0 ? lanes[k].r[i.a] : 0;
    if (((value[k] & 1) != 0) != (i.extra != 0)) ballot |= 1u << k;
    reduced = first ? static_cast<uint32_t>(value[k])
                    : Reduce(op, IsSigned(i.type), reduced, static_cast<uint32_t>(value[k]));
    first = false;
  }
  for (uint32_t k = 0; k < 32; ++k) {
    if (!(group >> k & 1)) continue;
    Thread& t = lanes[k];
    t.state = ThreadState::kRun;
    switch (op) {
      case WarpOp::kSync: break;
      case WarpOp::kShuffleUp:
      case WarpOp::kShuffleDown:
      case WarpOp::kShuffleXor:
      case WarpOp::kShuffleIndex: {
        const int source = ShuffleSource(op, k, t.Get<uint32_t>(i.b), t.Get<uint32_t>(i.c));
        const bool valid = source >= 0 && (group >> source & 1);
        t.Put<uint32_t>(i.dst, static_cast<uint32_t>(value[valid ? static_cast<uint32_t>(source) : k]));
        t.Put<uint64_t>(i.dst2, source >= 0);
        break;
      }
      case WarpOp::kVoteAll: t.Put<uint64_t>(i.dst, ballot == group); break;
      case WarpOp::kVoteAny: t.Put<uint64_t>(i.dst, ballot != 0); break;
      case WarpOp::kVoteUni: t.Put<uint64_t>(i.dst, ballot == 0 || ballot == group); break;
      case WarpOp::kBallot: t.Put<uint32_t>(i.dst, ballot); break;
      case WarpOp::kMatchAny:
      case WarpOp::kMatchAll: {
        uint32_t same = 0;
        for (uint32_t other = 0; other < 32; ++other)
          same |= static_cast<uint32_t>((group >> other & 1) && value[other] == value[k]) << other;
        const bool all = same == group;
        t.Put<uint32_t>(i.dst, op == WarpOp::kMatchAny || all ? same : 0);
        t.Put<uint64_t>(i.dst2, all);
        break;
      }
      case WarpOp::kReduceAdd:
      case WarpOp::kReduceMin:
      case WarpOp::kReduceMax:
      case WarpOp::kReduceAnd:
      case WarpOp::kReduceOr:
      case WarpOp::kReduceXor: t.Put<uint32_t>(i.dst, reduced); break;
    }
  }
}

}  // namespace

bool ReleaseWarp(Block& block, size_t first) {
  const size_t count = std::min<size_t>(32, block.threads.size() - first);
  Thread* lanes = &block.threads[first];
  uint32_t alive = 0;
  for (size_t k = 0; k < count; ++k) {
    if (lanes[k].state != ThreadState::kExited) alive |= 1u << k;
  }
  bool any = false;
  for (size_t k = 0; k < count; ++k) {
    if (lanes[k].state != ThreadState::kWarp) continue;
    const Instruction* at = lanes[k].waiting_at;
    const uint32_t wanted = static_cast<uint32_t>(lanes[k].waiting_mask) & alive;
    uint32_t arrived = 0;
    for (size_t other = 0; other < count; ++other) {
      if (lanes[other].state == ThreadState::kWarp && lanes[other].waiting_at == at &&
          lanes[other].waiting_mask == lanes[k].waiting_mask)
        arrived |= 1u << other;
    }
    arrived &= wanted | 1u << k;
    if ((wanted & ~arrived) != 0) continue;
    Perform(lanes, arrived, *at);
    any = true;
  }
  return any;
}

bool ReleaseBarriers(Block& block) {
  struct Arrived {
    std::vector<Thread*> threads;
    uint64_t wanted = 0;  // 0: every running thread
  };
  std::map<uint32_t, Arrived> barriers;
  size_t running = 0;
  for (Thread& t : block.threads) {
    if (t.state != ThreadState::kExited) ++running;
    if (t.state != ThreadState::kBarrier) continue;
    Arrived& arrived = barriers[t.Get<uint32_t>(t.waiting_at->a)];
    arrived.threads.push_back(&t);
    if (t.waiting_at->b >= 0) arrived.wanted = t.Get<uint32_t>(t.waiting_at->b);
  }
  bool any = false;
  for (auto& [id, arrived] : barriers) {
    const uint64_t wanted = arrived.wanted ? std::min<uint64_t>(arrived.wanted, running) : running;
    if (arrived.threads.size() < wanted) continue;
    uint32_t count = 0;
    for (Thread* t : arrived.threads) {
      const Instruction& i = *t->waiting_at;
      if (i.c >= 0) count += (t->r[i.c] != 0) != (i.extra != 0);
    }
    for (Thread* t : arrived.threads) {
      const Instruction& i = *t->waiting_at;
      t->state = ThreadState::kRun;
      switch (static_cast<BarrierOp>(i.flags)) {
        case BarrierOp::kSync: break;
        case BarrierOp::kPopc: t->Put<uint32_t>(i.dst, count); break;
        case BarrierOp::kAnd: t->Put<uint64_t>(i.dst, count == arrived.threads.size()); break;
        case BarrierOp::kOr: t->Put<uint64_t>(i.dst, count != 0); break;
      }
    }
    any = true;
  }
  return any;
}

}  // namespace ccgpu::ptx
