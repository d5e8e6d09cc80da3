// The answer of a ttrpc method: a status with gRPC's numbers and a serialized message.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/grpc_code.h"
#include "base/result.h"

namespace ccgpu::ttrpc {

using Code = GrpcCode;

struct Reply {
  Code code = Code::kUnknown;  // success is never the default
  std::string message;         // for people; empty when OK
  std::string payload;         // serialized response, when OK
  std::optional<Error> error;  // the Error behind a failure, where one is known

  bool ok() const { return code == Code::kOk; }
  static Reply Ok(std::string payload = {}) { return Reply{Code::kOk, {}, std::move(payload), std::nullopt}; }
  static Reply Fail(Code code, std::string message) { return Reply{code, std::move(message), {}, std::nullopt}; }
  // The message is Error::ToString(), so that the reason code survives every hop that only carries text.
  static Reply Fail(Code code, Error error) {
    std::string text = error.ToString();
    return Reply{code, std::move(text), {}, std::move(error)};
  }
  // The failure as an Error: the peer's own one, or "ttrpc.status" with the number and the message. Precondition:
  // !ok().
  Error ToError(const std::string& subject) const;
};

// What a request says beside its payload.
struct CallContext {
  std::string service;
  std::string method;
  int64_t timeout_nano = 0;  // 0: none
  std::map<std::string, std::string> metadata;
};

}  // namespace ccgpu::ttrpc
