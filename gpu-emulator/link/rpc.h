// RPCs of the guest to the device's firmware (what GSP RPCs are on the real part). They travel as VENDOR_DEFINED
// payloads inside the SPDM session; in mode off, where there is no session, as DOE objects of our vendor type
// (mailbox.h).
//
// Request: u8 op, arguments. Answer: u8 0, payload; or u8 1, then code, subject, text (each u16 length, bytes).
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "gpu-emulator/link/cipher.h"
#include "gpu-emulator/link/mode.h"

namespace ccgpu::link {

enum class RpcOp : uint8_t {
  kStart = 1,         // 32 bytes lock nonce: LOCKED -> RUN
  kSetReady = 2,      // u8: accept client work
  kOpenChannel = 3,   // -> ChannelOffer
  kCloseChannel = 4,  // u32 channel
  kGetInfo = 5,       // -> GpuInfo
};

Bytes EncodeAnswer(const Result<Bytes>& answer);
Result<Bytes> DecodeAnswer(ByteView message);

struct GpuInfo {
  std::string uuid, model, architecture, serial, driver_version, vbios_version;
  uint32_t index = 0, board_id = 0;
  int32_t compute_major = 0, compute_minor = 0, sm_count = 0;
  uint64_t memory_bytes = 0, memory_used = 0;
  Mode mode = Mode::kOff;
  bool ready = false, lost = false;
};
Bytes Encode(const GpuInfo& info);
Result<GpuInfo> DecodeGpuInfo(ByteView bytes);

// What the device says of a channel that it opened; the keys themselves never travel: both ends derive them.
struct ChannelOffer {
  uint32_t channel = 0;
  Protection protection = Protection::kSealed;
  uint32_t generation = 0;  // openings of this channel before this one in the session: the key is rotated so often
  uint64_t channel_counter = 0;
  std::array<uint8_t, 12> h2d_mask{}, d2h_mask{};
};
Bytes Encode(const ChannelOffer& offer);
Result<ChannelOffer> DecodeChannelOffer(ByteView bytes);
// The key of one direction of an offered channel. Without a session (clear channels) `emk` is empty and the key zero.
CipherKey KeyOf(const ChannelOffer& offer, bool d2h, ByteView emk);

// Texts in messages: u16 length, bytes (cut at 65535).
void PutText(Writer& out, std::string_view text);
std::string TakeText(Reader& in);

}  // namespace ccgpu::link
