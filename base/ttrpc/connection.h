// One server-side connection: frames in on the loop's thread, frames out from any thread.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "base/fd.h"
#include "base/ttrpc/frame.h"
#include "base/ttrpc/loop.h"
#include "base/ttrpc/reply.h"
#include "base/ttrpc/ttrpc.pb.h"

namespace ccgpu::ttrpc {

// A client that sends this key in its metadata gets failures with their Error in parts (wire::ErrorDetail).
inline constexpr char kWantsDetail[] = "ccgpu-error-detail";
inline constexpr char kDetailType[] = "ccgpu.ttrpc.wire.ErrorDetail";

// The response frame. A payload too large for a frame becomes RESOURCE_EXHAUSTED.
std::string EncodeResponse(uint32_t stream, const Reply& reply, bool with_detail);

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // `fd` must be non-blocking. The loop must run, or never run again, for as long as this lives.
  Connection(Fd fd, Loop& loop) : fd_(std::move(fd)), loop_(loop) {}

  // Both callbacks run on the loop's thread; on_close once, when the peer is gone.
  void Start(std::function<void(Frame)> on_frame, std::function<void()> on_close);
  // Any thread; keeps what the peer does not take yet. Nothing happens on a closed connection.
  void Send(std::string frame);
  // Any thread; no on_close.
  void Close();

  uint32_t last_stream = 0;  // the server's note, loop thread only

 private:
  void OnEvents(Loop::Events events);
  bool Receive();
  bool FlushLocked();

  std::mutex mutex_;  // guards fd_ against Close, and output_
  Fd fd_;
  Loop& loop_;
  FrameParser parser_;
  std::string output_;
  bool wants_out_ = false;
  std::function<void(Frame)> on_frame_;
  std::function<void()> on_close_;
};

}  // namespace ccgpu::ttrpc
