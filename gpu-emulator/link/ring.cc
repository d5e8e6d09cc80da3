#include "gpu-emulator/link/ring.h"

#include <cstdlib>
#include <cstring>

namespace ccgpu::link {
namespace {

RingControl* ControlOf(const LinkMemory& memory, uint32_t channel, bool d2h) {
  ChannelControl* control = memory.control(channel);
  return d2h ? &control->d2h : &control->h2d;
}

// A short spin before a sleep: the other end is usually a few microseconds away, a futex call costs as much.
constexpr int kSpins = 300;
template <typename Ready>
bool Spin(const Ready& ready) {
  for (int i = 0; i < kSpins; ++i) {
    if (ready()) return true;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  return false;
}

template <typename Ready>
Status WaitOn(uint32_t& doorbell, uint32_t& waits, const Ready& ready, const StopCheck& stop, int slice_ms) {
  while (!Spin(ready)) {
    const uint32_t seen = Load(doorbell);
    std::atomic_ref<uint32_t>(waits).store(1);  // sequentially consistent: the other end reads it after it publishes
    if (ready()) break;
    if (stop()) {
      Store(waits, 0);
      return Err("link.stopped", "channel", "was closed while waiting");
    }
    FutexWait(doorbell, seen, slice_ms);
  }
  Store(waits, 0);
  return Ok();
}

void Ring(uint32_t& doorbell, uint32_t& waits) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (Load(waits) == 0) return;
  Increment(doorbell);
  FutexWake(doorbell);
}

}  // namespace

RingWriter::RingWriter(const LinkMemory& memory, uint32_t channel, bool d2h, RecordCipher cipher)
    : control_(ControlOf(memory, channel, d2h)),
      slots_(memory.at(RingOffset(channel, d2h))),
      cipher_(std::move(cipher)) {}

uint32_t RingWriter::Used() { return head_ - Load(control_->tail); }

// A consumer's count that runs ahead of ours wraps to a huge number: no space, for ever. The wait ends by stop or
// timeout.
bool RingWriter::HasSpace() { return Used() < kSlots; }

Status RingWriter::WaitSpace(const StopCheck& stop, int slice_ms) {
  RETURN_IF_ERROR(WaitOn(
      control_->space, control_->producer_waits, [&] { return Used() != kSlots; }, stop, slice_ms));
  if (Used() > kSlots)
    return Err("link.bad-ring", "ring", "the consumer's count is not between the producer's last 16");
  return Ok();
}

void RingWriter::Write(RecordKind kind, ByteView payload) {
  if (payload.size() > kSlotPayload) std::abort();
  uint8_t* slot = slots_ + (head_ % kSlots) * kSlotStride;
  RecordHeader header{};
  header.length = static_cast<uint32_t>(payload.size());
  header.kind = static_cast<uint32_t>(kind);
  cipher_.Seal(header, payload.data(), slot + kSlotHeader);
  std::memcpy(slot, &header, sizeof header);
  Store(control_->head, ++head_);
  Ring(control_->data, control_->consumer_waits);
}

void RingWriter::Kick() {
  Increment(control_->space);
  FutexWake(control_->space);
}

RingReader::RingReader(const LinkMemory& memory, uint32_t channel, bool d2h, RecordCipher cipher)
    : control_(ControlOf(memory, channel, d2h)),
      slots_(memory.at(RingOffset(channel, d2h))),
      cipher_(std::move(cipher)) {}

bool RingReader::HasRecord() { return Load(control_->head) != tail_; }

Status RingReader::WaitRecord(const StopCheck& stop, int slice_ms) {
  return WaitOn(
      control_->data, control_->consumer_waits, [&] { return HasRecord(); }, stop, slice_ms);
}

Result<RecordHeader> RingReader::Peek() {
  if (Load(control_->head) - tail_ > kSlots) {
    return Err("link.bad-ring", "ring", "the producer's count is more than 16 ahead of the consumer's");
  }
  RecordHeader header;
  std::memcpy(&header, slots_ + (tail_ % kSlots) * kSlotStride, sizeof header);
  std::atomic_signal_fence(std::memory_order_seq_cst);  // the copy is what is judged and used, never the slot again
  const bool known = header.kind >= static_cast<uint32_t>(RecordKind::kCommand) &&
                     header.kind <= static_cast<uint32_t>(RecordKind::kData);
  if (header.length > kSlotPayload || !known) {
    return Err("link.bad-record", "record header",
               "length " + std::to_string(header.length) + ", kind " + std::to_string(header.kind) +
                   ": not a record of this link");
  }
  return header;
}

Status RingReader::Take(const RecordHeader& header, uint8_t* out) {
  const uint8_t* slot = slots_ + (tail_ % kSlots) * kSlotStride;
  RETURN_IF_ERROR(cipher_.Open(header, slot + kSlotHeader, out));
  Store(control_->tail, ++tail_);
  Ring(control_->space, control_->producer_waits);
  return Ok();
}

void RingReader::Kick() {
  Increment(control_->data);
  FutexWake(control_->data);
}

}  // namespace ccgpu::link
