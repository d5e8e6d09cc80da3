// Words of the driver socket: what libcuda and libnvidia-ml ask of guestd (docs/formats/driver-socket.md). One request,
// one answer, each one message of a SOCK_SEQPACKET unix socket; integers little-endian.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "gpu-emulator/link/cipher.h"
#include "gpu-emulator/link/rpc.h"

namespace ccgpu::socket {

inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr size_t kMaxMessage = 64 * 1024;
inline constexpr const char* kDefaultPath = "/run/ccgpu/driver.sock";
inline constexpr const char* kPathVariable = "CCGPU_DRIVER_SOCKET";

enum class Op : uint32_t {
  kHello = 1,         // u32 version -> u32 version, u32 gpus, u8 may_set_ready
  kInfo = 2,          // u32 gpu -> GpuInfo
  kOpenChannel = 3,   // u32 gpu -> ChannelGrant, fd: the link's memory
  kCloseChannel = 4,  // u32 gpu, u32 channel ->
  kAttest = 5,        // u32 gpu, 32 bytes nonce -> report
  kChain = 6,         // u32 gpu -> PEM, leaf first
  kGetReady = 7,      // -> u8
  kSetReady = 8,      // u8 -> ; refused with "gpu.not-permitted" on sockets without the right
};

using link::GpuInfo;

// A channel and its two keys. Wipe after use.
struct ChannelGrant {
  uint32_t channel = 0;
  link::Protection protection = link::Protection::kClear;
  link::CipherKey h2d, d2h;
  void Wipe();
};
Bytes Encode(const ChannelGrant& grant);
Result<ChannelGrant> DecodeChannelGrant(ByteView bytes);

// Answers are link::EncodeAnswer's.

}  // namespace ccgpu::socket
