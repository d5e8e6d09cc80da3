// Calls a gRPC server on a unix socket, one call at a time, on the caller's own thread: no thread and no connection
// stays behind that nobody waits for.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/rpc/message.h"
#include "base/rpc/outcome.h"
#include "base/rpc/session.h"

namespace ccgpu::rpc {

// Calls: one thread at a time. Cancel: any thread.
//
// Failures of the way itself: UNAVAILABLE (nobody listens, or the connection broke), DEADLINE_EXCEEDED, CANCELLED,
// RESOURCE_EXHAUSTED (a message larger than allowed), INTERNAL (the peer does not keep to the protocol).
class Client {
 public:
  using Milliseconds = std::chrono::milliseconds;

  // Connects with the first call, and again when a later one finds the connection gone.
  explicit Client(std::string socket, size_t max_message = kMaxMessage);
  ~Client();
  Client(const Client&) = delete;

  // A unary call. timeout 0: none; the peer is told it.
  template <class Request, class Response>
  Outcome Call(const std::string& path, const Request& request, Response* response, Milliseconds timeout) {
    std::string bytes;
    Outcome outcome = CallRaw(path, request.SerializeAsString(), &bytes, timeout);
    if (outcome.ok() && !response->ParseFromString(bytes)) return NotAMessage(path);
    return outcome;
  }

  // A server-streaming call: returns when the stream ends. on_message(const Response&) runs on this thread; while it
  // does, the peer is held back.
  template <class Response, class Request, class F>
  Outcome Stream(const std::string& path, const Request& request, F on_message, Milliseconds timeout = {}) {
    bool readable = true;
    Outcome outcome = StreamRaw(
        path, request.SerializeAsString(),
        [&](const std::string& bytes) {
          Response response;
          readable = response.ParseFromString(bytes);
          if (readable) on_message(response);
          return readable;
        },
        timeout);
    return readable ? outcome : NotAMessage(path);
  }

  // The same with serialized messages; on_message returns false to end the call (CANCELLED).
  Outcome CallRaw(const std::string& path, const std::string& request, std::string* response, Milliseconds timeout);
  Outcome StreamRaw(const std::string& path, const std::string& request,
                    const std::function<bool(const std::string&)>& on_message, Milliseconds timeout);

  // Ends the call that runs, if any, and all later ones with CANCELLED.
  void Cancel();

 private:
  class Connection;
  static Outcome NotAMessage(const std::string& path);
  const std::string socket_;
  const size_t max_message_;
  Fd cancel_;  // an eventfd
  std::unique_ptr<Connection> connection_;
};

}  // namespace ccgpu::rpc
