// Frames of platform.proto on a stream socket: u32 little-endian length, then one Frame; file descriptors travel with
// the frame's first byte.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/fd.h"
#include "base/result.h"
#include "gpu-emulator/api/platform.pb.h"

namespace ccgpu::emulator {

inline constexpr size_t kMaxFrame = 8u << 20;
inline constexpr size_t kMaxFrameFds = 64;

struct ReceivedFrame {
  platform::v1::Frame frame;
  std::vector<Fd> fds;  // exactly as many as the frame names
};

// How many descriptors a frame must come with. Fewer or more end the connection.
size_t FdsNamedBy(const platform::v1::Frame& frame);

// One end of a connection. Not for several threads. The peer is never trusted: sizes and descriptor counts are bounded,
// and a peer that does not read makes Send fail after its timeout instead of holding the caller for ever.
class FrameStream {
 public:
  explicit FrameStream(Fd socket) : socket_(std::move(socket)) {}
  int fd() const { return socket_.get(); }

  // Takes what the socket holds now. Nothing when no frame is complete yet.
  // Errors: "platform.closed" at the end of the stream, "platform.bad-frame" for anything that is not a frame.
  Result<std::optional<ReceivedFrame>> TryReceive();
  // Waits for one frame. "platform.timeout" after `timeout`.
  Result<ReceivedFrame> Receive(std::chrono::milliseconds timeout);
  // Descriptors stay the caller's.
  Status Send(const platform::v1::Frame& frame, std::span<const int> fds = {},
              std::chrono::milliseconds timeout = std::chrono::seconds(5));
  Status SendFailure(const Error& error);

 private:
  Status Fill();
  Result<std::optional<ReceivedFrame>> Pop();
  Fd socket_;
  Bytes buffer_;
  std::deque<Fd> fds_;
};

}  // namespace ccgpu::emulator
