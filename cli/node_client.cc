#include "cli/node_client.h"

#include <grpcpp/grpcpp.h>

#include "node/cri/refusal.h"

namespace ccgpu::cli {

std::unique_ptr<node::v1::Node::Stub> ConnectNode(const Context& context) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  return node::v1::Node::NewStub(
      grpc::CreateCustomChannel("unix:" + context.layout.NodeSocket(), grpc::InsecureChannelCredentials(), arguments));
}

Error CallError(const Context& context, const grpc::Status& status) {
  if (auto reason = node::FindReason(status.error_message())) return *reason;
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return Err("cli.unavailable", context.layout.NodeSocket(),
               "ccgpu-node does not answer there: run `ccgpu up`, or name the deployment with --state (" +
                   status.error_message() + ")");
  }
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return Err("cli.not-found", "", status.error_message());
  if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT)
    return Err("cli.bad-request", "", status.error_message());
  return Err("cli.call-failed", "ccgpu-node", status.error_message());
}

}  // namespace ccgpu::cli
