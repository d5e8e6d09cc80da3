// One direction of a channel: records through slots that both ends and the host can write. Each end keeps its own count
// and takes from the other's only a number that it checks; a header is copied out once and judged as copied.
#pragma once

#include <cstdint>
#include <functional>

#include "base/bytes.h"
#include "base/result.h"
#include "gpu-emulator/link/cipher.h"
#include "gpu-emulator/link/memory.h"

namespace ccgpu::link {

// Asked each time a ring wakes without work: true stops the wait ("link.stopped").
using StopCheck = std::function<bool()>;

// Not for several threads. The memory must outlive it.
class RingWriter {
 public:
  RingWriter(const LinkMemory& memory, uint32_t channel, bool d2h, RecordCipher cipher);
  bool HasSpace();
  // Sleeps until a slot is free or `stop` says so. Errors: "link.stopped", "link.bad-ring".
  Status WaitSpace(const StopCheck& stop, int slice_ms);
  // Precondition: HasSpace() said true since the last Write. At most kSlotPayload bytes.
  void Write(RecordKind kind, ByteView payload);
  void Kick();  // wakes whoever waits in WaitSpace; any thread

 private:
  uint32_t Used();  // slots in use, from the consumer's count; > kSlots is nonsense
  RingControl* control_;
  uint8_t* slots_;
  RecordCipher cipher_;
  uint32_t head_ = 0;
};

class RingReader {
 public:
  RingReader(const LinkMemory& memory, uint32_t channel, bool d2h, RecordCipher cipher);
  bool HasRecord();
  Status WaitRecord(const StopCheck& stop, int slice_ms);
  // The next record's header, copied and bounds-checked. Precondition: HasRecord(). Errors: "link.bad-ring",
  // "link.bad-record".
  Result<RecordHeader> Peek();
  // Opens the record that Peek gave into `out` (header.length bytes) and frees its slot.
  [[nodiscard]] Status Take(const RecordHeader& header, uint8_t* out);
  void Kick();

 private:
  RingControl* control_;
  uint8_t* slots_;
  RecordCipher cipher_;
  uint32_t tail_ = 0;
};

}  // namespace ccgpu::link
