// How a gRPC call ended.
#pragma once

#include <string>

#include "base/grpc_code.h"

namespace ccgpu::rpc {

using Code = GrpcCode;

struct Outcome {
  Code code = Code::kUnknown;  // success is never the default
  std::string message;         // for people; empty when OK

  bool ok() const { return code == Code::kOk; }
  bool operator==(const Outcome&) const = default;
  static Outcome Ok() { return {Code::kOk, {}}; }
};

}  // namespace ccgpu::rpc
