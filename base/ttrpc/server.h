// A ttrpc server over unix stream sockets. One thread does all input and output; handlers run on a few worker threads,
// or on the I/O thread when they only take note and answer later.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "base/ttrpc/loop.h"
#include "base/ttrpc/reply.h"

namespace ccgpu::ttrpc {

class Connection;

// Answers one request, once; later calls do nothing. Copies share the answer; when the last one goes without an answer,
// the caller gets INTERNAL. Any thread, also after the connection or the server is gone.
class Completion {
 public:
  Completion(std::shared_ptr<Connection> connection, uint32_t stream, bool wants_detail);
  void Finish(const Reply& reply) const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

struct ServerOptions {
  size_t max_workers = 16;
  bool require_same_user = true;  // refuse peers whose uid is not our effective uid (SO_PEERCRED)
};

class Server {
 public:
  using Handler = std::function<Reply(std::string_view payload, const CallContext&)>;
  using AsyncHandler = std::function<void(std::string_view payload, const CallContext&, Completion)>;

  explicit Server(ServerOptions options = {});
  ~Server();  // Stop()
  Server(const Server&) = delete;

  // Before the first Serve. A Handler may block; requests of one connection run at the same time.
  void Register(const std::string& service, const std::string& method, Handler handler);
  // Must not block: it runs on the I/O thread. What waits long (a process's end) costs no thread this way.
  void RegisterAsync(const std::string& service, const std::string& method, AsyncHandler handler);
  // The same with protobuf messages; a payload that does not parse is answered with INTERNAL.
  template <class Request, class Response, class F>
  void On(const std::string& service, const std::string& method, F handler) {
    Register(service, method, [handler = std::move(handler)](std::string_view payload, const CallContext& context) {
      Request request;
      if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
        return Reply::Fail(Code::kInternal, "ttrpc: error unmarshalling payload: not a valid message");
      Result<Response> result = handler(request, context);
      if (!result.ok()) return Reply::Fail(Code::kUnknown, result.error());
      return Reply::Ok(result->SerializeAsString());
    });
  }

  // Makes the socket (mode 0600) and serves it. A socket file that nobody listens on is replaced; a live one is an
  // error.
  Status ServeUnix(const std::string& path);
  // The same, and a live socket is taken over: new callers come to us, those of the other server stay with it. For
  // upgrades during which two instances overlap.
  Status ServeUnixTakingOver(const std::string& path);
  // An fd that already listens.
  Status ServeListener(Fd listener);
  // One connection (a socketpair's end). `on_close` runs on the I/O thread when the peer is gone.
  Status ServeFd(Fd connection, std::function<void()> on_close = nullptr);
  // Closes listeners and connections, waits for handlers that run. The socket file is removed if it is still ours.
  // Idempotent. Not from a handler.
  void Stop();

  // The I/O thread's loop, for who wants to run small things on the same thread.
  Loop& loop();

  struct Core;  // shared with connections

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace ccgpu::ttrpc
