// A ttrpc client: one connection, many calls at the same time from any threads, no thread of its own (a waiting caller
// reads for all of them).
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "base/ttrpc/reply.h"

namespace ccgpu::ttrpc {

class Client {
 public:
  static Result<Client> ConnectUnix(const std::string& path,
                                    std::chrono::milliseconds timeout = std::chrono::seconds(5));
  static Client FromFd(Fd connection);
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();  // no call may run

  // Metadata for every later call. Before the first call.
  void SetMetadata(std::string key, std::string value);

  // The peer's answer as it is. UNAVAILABLE: the connection is gone (and stays so). DEADLINE_EXCEEDED: no answer in
  // time; the peer is told the timeout but may still do the work. timeout 0: none.
  Reply CallRaw(const std::string& service, const std::string& method, std::string payload,
                std::chrono::milliseconds timeout);

  // The same with protobuf messages. Errors: the peer's own Error when it is a ccgpu program, else "ttrpc.status".
  template <class Response, class Request>
  Result<Response> Call(const std::string& service, const std::string& method, const Request& request,
                        std::chrono::milliseconds timeout) {
    Reply reply = CallRaw(service, method, request.SerializeAsString(), timeout);
    if (!reply.ok()) return reply.ToError(service + "/" + method);
    Response response;
    if (!response.ParseFromString(reply.payload))
      return Err("ttrpc.bad-answer", service + "/" + method, "the answer is not a valid message of the expected type");
    return response;
  }

  // Ends all calls with UNAVAILABLE. Any thread.
  void Close();

 private:
  struct Core;
  explicit Client(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace ccgpu::ttrpc
