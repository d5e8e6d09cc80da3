// The link's memory, byte by byte (docs/formats/link.md). One file per GPU, mapped by the device, by the guest and, at
// will, by the host: nothing in it is trusted by either end. Little-endian, page-aligned regions.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ccgpu::link {

inline constexpr uint32_t kMagic = 0x4B4C4343;  // "CCLK"
inline constexpr uint32_t kVersion = 1;
inline constexpr size_t kPage = 4096;

// Register window. Written by the device; hints for people and for the first decision of a guest, never proof of
// anything.
struct Registers {
  uint32_t magic;
  uint32_t version;
  uint32_t index;
  uint32_t state;       // DeviceState
  uint32_t mode;        // Mode
  uint32_t boot_count;  // resets since the emulator started
  uint32_t error_count;
  uint32_t channels;      // kChannels
  uint32_t slots;         // kSlots
  uint32_t slot_payload;  // kSlotPayload
};

// DOE mailbox: one request and one response at a time. A requester takes `owner` (0 -> 1), writes the request, sets
// `status` to kRequest and wakes; the device answers and sets kResponse; the requester reads, sets kIdle and gives
// `owner` back.
inline constexpr size_t kMailboxBytes =
    0x1200 + 0x40;  // the H100 driver's SPDM buffer, plus DOE header and record overhead
inline constexpr uint32_t kMailboxIdle = 0, kMailboxRequest = 1, kMailboxResponse = 2;
struct Mailbox {
  uint32_t status;    // futex word
  uint32_t owner;     // futex word: token of the requester that holds the mailbox, 0 free
  uint32_t sequence;  // of the request; the device echoes it, so that a late answer is not taken for the next one
  uint32_t answered;  // sequence of the response
  uint32_t request_length;
  uint32_t response_length;
  uint8_t reserved[40];
  uint8_t request[kMailboxBytes];
  uint8_t response[kMailboxBytes];
};

// Channels: two rings each. A ring has one producer and one consumer; both count records (mod 2^32).
inline constexpr uint32_t kChannels = 32;
inline constexpr uint32_t kSlots = 16;
inline constexpr size_t kSlotPayload = 256 * 1024;
inline constexpr size_t kSlotHeader =
    kPage;  // the record header fills the first bytes, so that payloads are page-aligned
inline constexpr size_t kSlotStride = kSlotHeader + kSlotPayload;

struct RingControl {
  uint32_t head;            // records published by the producer
  uint32_t producer_waits;  // 1: the producer sleeps on `space`
  uint32_t data;            // doorbell to the consumer (futex word)
  uint32_t pad0[13];
  uint32_t tail;            // records taken by the consumer
  uint32_t consumer_waits;  // 1: the consumer sleeps on `data`
  uint32_t space;           // doorbell to the producer (futex word)
  uint32_t pad1[13];
};
static_assert(sizeof(RingControl) == 128);

// What a channel says about itself; a hint that work has stopped, so that nobody waits for ever.
inline constexpr uint32_t kChannelClosed = 0, kChannelOpen = 1, kChannelIntegrity = 2, kChannelLost = 3,
                          kChannelProtocol = 4;
struct ChannelControl {
  uint32_t status;
  uint32_t pad[31];
  RingControl h2d, d2h;
};

// One record: header in clear (it is the AAD of a sealed record), payload in the slot's second page and on.
enum class RecordKind : uint32_t {
  kCommand = 1,  // commands and their completions
  kCode = 2,     // PTX text on its way to the device
  kData = 3,     // copies
};
struct RecordHeader {
  uint32_t length;   // of the payload, <= kSlotPayload
  uint32_t kind;     // RecordKind
  uint64_t counter;  // 1, 2, 3, ... per channel opening and direction
  uint8_t tag[16];   // zero unless sealed
};
static_assert(sizeof(RecordHeader) == 32);
inline constexpr size_t kRecordAad = 16;  // length, kind, counter

inline constexpr size_t kRegistersOffset = 0;
inline constexpr size_t kMailboxOffset = kPage;
inline constexpr size_t kMailboxRegion = 3 * kPage;
static_assert(sizeof(Mailbox) <= kMailboxRegion);
inline constexpr size_t kControlOffset = kMailboxOffset + kMailboxRegion;  // one page per channel
inline constexpr size_t kRingBytes = kSlots * kSlotStride;
inline constexpr size_t kRingsOffset = kControlOffset + kChannels * kPage;
inline constexpr size_t kLinkBytes =
    kRingsOffset + kChannels * 2 * kRingBytes;  // about 258 MiB of address space, pages only where used

constexpr size_t ControlOffset(uint32_t channel) { return kControlOffset + channel * kPage; }
constexpr size_t RingOffset(uint32_t channel, bool d2h) {
  return kRingsOffset + (channel * 2 + (d2h ? 1 : 0)) * kRingBytes;
}

}  // namespace ccgpu::link
