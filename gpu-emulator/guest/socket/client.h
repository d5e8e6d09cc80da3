// The client's end of the driver socket; what libcuda and libnvidia-ml stand on.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "gpu-emulator/guest/socket/protocol.h"
#include "gpu-emulator/guest/socket/seqpacket.h"

namespace ccgpu::socket {

// Thread-safe: one request at a time.
class Client {
 public:
  // `path` empty: CCGPU_DRIVER_SOCKET, else /run/ccgpu/driver.sock. "driver.no-socket" where no driver is.
  static Result<std::unique_ptr<Client>> Connect(std::string path = "");

  uint32_t gpus() const { return gpus_; }
  bool may_set_ready() const { return may_set_ready_; }
  Result<GpuInfo> Info(uint32_t gpu);
  Result<std::pair<ChannelGrant, Fd>> OpenChannel(uint32_t gpu);  // fd: the link's memory
  Status CloseChannel(uint32_t gpu, uint32_t channel);
  Result<Bytes> Attest(uint32_t gpu, ByteView nonce32);
  Result<std::string> Chain(uint32_t gpu);
  Result<bool> GetReady();
  Status SetReady(bool ready);
  bool Alive() const;  // false once the driver closed the socket

 private:
  explicit Client(Fd fd) : fd_(std::move(fd)) {}
  Result<Message> Call(Op op, ByteView arguments);

  Fd fd_;
  std::mutex mutex_;
  uint32_t gpus_ = 0;
  bool may_set_ready_ = false;
};

}  // namespace ccgpu::socket
