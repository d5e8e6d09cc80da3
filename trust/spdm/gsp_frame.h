// The envelope of NVIDIA's own driver, in place of DOE: one shared buffer of 0x1200 bytes, in which a descriptor stands
// before the SPDM message or the secured record. No discovery, no padding, no chunks.
//
//   message type u32 (0 message, 1 secured record, 2 application data) | size u32 of what follows | version u32 = 0x10
//
// Application data is refused: an H100's driver sends none.
#pragma once

#include "base/clock.h"
#include "trust/spdm/doe.h"

namespace ccgpu::spdm {

class Responder;

inline constexpr size_t kGspBufferSize = 0x1200;
inline constexpr size_t kGspHeaderSize = 12;
inline constexpr uint32_t kGspVersion = 0x10;
// The largest message that fits in a sealed record in the buffer; what a requester behind this envelope announces as
// its DataTransferSize (max_message_size).
inline constexpr size_t kGspMaxMessage = kGspBufferSize - kGspHeaderSize - 24;

// Whether these bytes are such a frame. No DOE object that has an answer is: the numbers of SPDM's DOE types are no
// frame types, and discovery has 12 bytes, where both length fields fit only for 16.
bool IsGspFrame(ByteView bytes);
// Code: spdm.frame-malformed (too large for the buffer).
Result<Bytes> EncodeGspFrame(const Packet& packet);
// Codes: spdm.frame-malformed, spdm.frame-type.
Result<Packet> DecodeGspFrame(ByteView frame);
// The buffer in front of a responder. Fails for what is not a frame, and when the answer does not fit the buffer (only
// with 1.1, whose requesters cannot say how much they take).
Result<Bytes> HandleGspFrame(Responder& responder, ByteView frame, TimePoint now);

}  // namespace ccgpu::spdm
