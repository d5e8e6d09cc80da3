// A connection to the secure processor (gpu-emulator/api/platform.proto): frames of u32 little-endian length and a
// Frame message, with file descriptors beside the first byte.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "gpu-emulator/api/platform.pb.h"

namespace ccgpu::shim {

struct PlatformFrame {
  platform::v1::Frame frame;
  std::vector<Fd> fds;
};

// Not for several threads, except that one may send while another receives.
class PlatformChannel {
 public:
  explicit PlatformChannel(Fd fd) : fd_(std::move(fd)) {}
  static Result<PlatformChannel> Connect(const std::string& path);
  int fd() const { return fd_.get(); }
  Status Send(const platform::v1::Frame& frame, const std::vector<int>& fds = {});
  // Blocks. "channel.closed" at the end of the connection.
  Result<PlatformFrame> Receive();
  // As Receive, "channel.timeout" when nothing begins to arrive in time.
  Result<PlatformFrame> Receive(std::chrono::milliseconds timeout);
  // Send, then Receive; a Failure frame becomes its Error.
  Result<PlatformFrame> Ask(const platform::v1::Frame& frame, const std::vector<int>& fds,
                            std::chrono::milliseconds timeout);
  void Close() { fd_.Close(); }

 private:
  Fd fd_;
};

}  // namespace ccgpu::shim
