// Between the node's own types and its API's messages.
#pragma once

#include <grpcpp/support/status.h>

#include "base/result.h"
#include "node/api/node.pb.h"
#include "node/pods/pod.h"
#include "node/service/images.h"

namespace ccgpu::node {

grpc::Status ToGrpc(const Error& error);  // the message is Error::ToString()
void ToMessage(const Error& error, v1::Failure* out);
void ToMessage(const PodEvent& event, v1::Event* out);
void ToMessage(const NodeImage& image, v1::Image* out);
void ToMessage(const PodRecord& record, v1::PodResult* out);
// Result of a pod that was not even taken in.
void AdmissionResult(const Error& error, v1::PodResult* out);

}  // namespace ccgpu::node
