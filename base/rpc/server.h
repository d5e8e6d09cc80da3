// A gRPC server on unix sockets: unary and server-streaming methods. One thread does all input and output of all
// connections; handlers run on worker threads that go away when idle.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "base/rpc/message.h"
#include "base/rpc/outcome.h"

namespace ccgpu::rpc {

// The call that a handler serves. Any thread.
class ServerCall {
 public:
  virtual ~ServerCall() = default;
  // Waits until the message before is on its way, so that a slow reader holds the handler back and not the memory.
  // False: nobody reads any more.
  virtual bool Write(const std::string& message) = 0;
  // The caller went or gave up, its deadline passed, or the server stops.
  virtual bool cancelled() const = 0;
};

template <class Response>
class Writer {
 public:
  explicit Writer(ServerCall& call) : call_(call) {}
  bool Write(const Response& response) { return call_.Write(response.SerializeAsString()); }
  bool cancelled() const { return call_.cancelled(); }

 private:
  ServerCall& call_;
};

struct ServerOptions {
  size_t max_message = kMaxMessage;
  // Handlers that run at once (an open stream is one), over all connections; the next ones wait for a free thread. Ten
  // times as many may wait; more are RESOURCE_EXHAUSTED.
  size_t max_workers = 64;
};

class Server {
 public:
  using Handler = std::function<Outcome(const std::string& request, ServerCall& call)>;

  explicit Server(ServerOptions options = {});
  ~Server();  // Stop()
  Server(const Server&) = delete;

  // All before Serve. `path` is "/package.Service/Method". A unary handler: Outcome(const Request&, Response*, const
  // ServerCall&); the response is sent when the outcome is OK. Of one connection, handlers run at the same time.
  template <class Request, class Response, class F>
  void Unary(const std::string& path, F handler) {
    Register(path, [handler = std::move(handler)](const std::string& bytes, ServerCall& call) -> Outcome {
      Request request;
      if (!request.ParseFromString(bytes)) return NotAMessage();
      Response response;
      Outcome outcome = handler(request, &response, call);
      if (outcome.ok()) call.Write(response.SerializeAsString());
      return outcome;
    });
  }
  // A streaming handler: Outcome(const Request&, Writer<Response>&).
  template <class Request, class Response, class F>
  void Streaming(const std::string& path, F handler) {
    Register(path, [handler = std::move(handler)](const std::string& bytes, ServerCall& call) -> Outcome {
      Request request;
      if (!request.ParseFromString(bytes)) return NotAMessage();
      Writer<Response> writer(call);
      return handler(request, writer);
    });
  }
  void Register(std::string path, Handler handler);

  // Makes the socket (mode 0600) and serves it. Once.
  Result<void> Serve(const std::string& socket);
  // Takes no new calls, gives those that run `grace` to end, cancels the others, waits for the handlers, removes the
  // socket file. Idempotent. Not from a handler.
  void Stop(std::chrono::milliseconds grace = std::chrono::milliseconds(2000));

 private:
  struct Core;
  class Connection;
  class Call;
  static Outcome NotAMessage();
  std::shared_ptr<Core> core_;
};

}  // namespace ccgpu::rpc
