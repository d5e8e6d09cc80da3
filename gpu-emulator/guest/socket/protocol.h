// Words of the driver socket: what libcuda and libnvidia-ml ask of guestd (docs/formats/driver-socket.md). One request, one
// answer, each one message of a SOCK_SEQPACKET unix socket; integers little-endian.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "gpu-emulator/link/cipher.h"
#include "gpu-emulator/link/mode.h"

namespace ccgpu::socket {

inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr size_t kMaxMessage = 64 * 1024;
inline constexpr const char* kDefaultPath = "/run/ccgpu/driver.sock";
inline constexpr const char* kPathVariable = "CCGPU_DRIVER_SOCKET";

enum class Op : uint32_t {
  kHello = 1,         // u32 version -> u32 version, u32 gpus, u8 may_set_ready, u8 ready
  kInfo = 2,          // u32 gpu -> GpuInfo
  kOpenChannel = 3,   // u32 gpu -> ChannelGrant, fd: the link's memory
  kCloseChannel = 4,  // u32 gpu, u32 channel ->
  kAttest = 5,        // u32 gpu, 32 bytes nonce -> report
  kChain = 6,         // u32 gpu -> PEM, leaf first
  kGetReady = 7,      // -> u8
  kSetReady = 8,      // u8 -> ; refused with "gpu.not-permitted" on sockets without the right
};

struct GpuInfo {
  std::string uuid, model, architecture, serial, driver_version, vbios_version;
  uint32_t index = 0, board_id = 0;
  int32_t compute_major = 0, compute_minor = 0, sm_count = 0;
  uint64_t memory_bytes = 0, memory_used = 0;
  link::Mode mode = link::Mode::kOff;
  bool ready = false, lost = false;
};
Bytes Encode(const GpuInfo& info);
Result<GpuInfo> DecodeGpuInfo(ByteView bytes);

// A channel and its two keys. Wipe after use.
struct ChannelGrant {
  uint32_t channel = 0;
  link::Protection protection = link::Protection::kClear;
  link::CipherKey h2d, d2h;
};
Bytes Encode(const ChannelGrant& grant);
Result<ChannelGrant> DecodeChannelGrant(ByteView bytes);

// Answers: u8 0, payload; or u8 1, code, text (each u16 length, bytes).
Bytes EncodeAnswer(const Result<Bytes>& answer);
Result<Bytes> DecodeAnswer(ByteView message);

}  // namespace ccgpu::socket
