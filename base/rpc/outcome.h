// How a gRPC call ended.
#pragma once

#include <string>
#include <utility>

namespace ccgpu::rpc {

// gRPC's status codes.
enum class Code : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

struct Outcome {
  Code code = Code::kUnknown;  // success is never the default
  std::string message;         // for people; empty when OK

  bool ok() const { return code == Code::kOk; }
  bool operator==(const Outcome&) const = default;
  static Outcome Ok() { return {Code::kOk, {}}; }
};

}  // namespace ccgpu::rpc
