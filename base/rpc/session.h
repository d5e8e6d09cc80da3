// One end of an HTTP/2 connection that carries gRPC calls: bytes in, bytes out, events. No sockets and no threads of
// its own, so that a fuzzer can be the peer. nghttp2 does the framing, HPACK, flow control, SETTINGS and PING.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/rpc/message.h"
#include "base/rpc/metadata.h"
#include "base/rpc/outcome.h"

namespace ccgpu::rpc {

// What the peer did. Called inside Session::Receive and Session::Produce; may call the session's functions that take a
// stream. No event comes for a stream after its OnClosed.
class SessionEvents {
 public:
  virtual ~SessionEvents() = default;
  virtual void OnHeaders(int32_t stream, Headers headers) = 0;  // a request; or a response's first or last
  virtual void OnMessage(int32_t stream, std::string message) = 0;
  virtual void OnBadMessage(int32_t stream, Outcome why) = 0;  // no more messages come
  virtual void OnEnd(int32_t stream) = 0;                      // the peer has said everything
  virtual void OnSent(int32_t stream) = 0;                     // what was written is on its way; time for more
  virtual void OnClosed(int32_t stream, uint32_t error_code) = 0;
};

// Not for several threads at once.
class Session {
 public:
  enum class Side { kServer, kClient };
  struct Limits {
    size_t message = kMaxMessage;  // larger ones are OnBadMessage
    uint32_t streams = 100;        // of the peer's at a time; the others wait at the peer
  };

  // `events` must outlive it.
  Session(Side side, Limits limits, SessionEvents& events);
  ~Session();
  Session(const Session&) = delete;

  // False: the bytes are no HTTP/2, or a flood; send what Produce() still gives and close.
  bool Receive(std::string_view bytes);
  // The next bytes for the peer, good until the next call; empty: none now.
  std::string_view Produce();
  // False: both sides are done with the connection.
  bool alive() const;

  // Client: a new call; nullopt when this connection takes none any more (GOAWAY).
  std::optional<int32_t> Open(const Headers& headers);
  // Server: the first headers of the response.
  void Respond(int32_t stream, const Headers& headers);
  // Queues a message; OnSent tells when it is gone. Nothing happens on a stream that is closed or ended, here and
  // below.
  void Write(int32_t stream, std::string_view message);
  // After what was written. Without trailers the stream just ends.
  void End(int32_t stream, Headers trailers = {});
  void Reset(int32_t stream, uint32_t error_code);
  // Takes no new streams; those that run go on.
  void GoAway();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::rpc
