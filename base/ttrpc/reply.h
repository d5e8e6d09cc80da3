// The answer of a ttrpc method: a status with gRPC's numbers and a serialized message.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/result.h"

namespace ccgpu::ttrpc {

// gRPC's status codes. containerd makes typed errors of 3, 4, 5, 6, 9, 12, 14 and 1; all others are "unknown" to it.
enum class Code : int {
  kOk = 0,
  kCanceled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
};

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
