// One connection to ccgpu-node. Private to cli/: includes gRPC.
#pragma once

#include <memory>

#include "cli/context.h"
#include "node/api/node.grpc.pb.h"

namespace grpc {
class Status;
}

namespace ccgpu::cli {

std::unique_ptr<node::v1::Node::Stub> ConnectNode(const Context& context);
// The error of a failed call; the node's own reason code where its message carries one.
Error CallError(const Context& context, const grpc::Status& status);

}  // namespace ccgpu::cli
