// gRPC's status codes, which gRPC itself (base/rpc) and ttrpc (base/ttrpc) answer with.
#pragma once

namespace ccgpu {

// Over ttrpc containerd makes typed errors of 1, 3, 4, 5, 6, 9, 12 and 14; all others are "unknown" to it.
enum class GrpcCode : int {
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

}  // namespace ccgpu
