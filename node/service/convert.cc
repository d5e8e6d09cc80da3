#include "node/service/convert.h"

#include "node/cri/refusal.h"

namespace ccgpu::node {

grpc::Status ToGrpc(const Error& error) {
  grpc::StatusCode code = grpc::StatusCode::INTERNAL;
  const std::string& reason = error.code;
  if (reason == "node.unknown-pod" || reason == "node.unknown-container" || reason == "cri.not-found")
    code = grpc::StatusCode::NOT_FOUND;
  else if (reason == "node.pod-exists") code = grpc::StatusCode::ALREADY_EXISTS;
  else if (reason.starts_with("input.") || reason == "node.unsupported-field" || reason == "node.bad-request")
    code = grpc::StatusCode::INVALID_ARGUMENT;
  else if (reason == "cri.unavailable" || reason == "node.agent-unreachable" || reason == "node.stopping")
    code = grpc::StatusCode::UNAVAILABLE;
  else if (IsRefusal(reason)) code = grpc::StatusCode::PERMISSION_DENIED;
  else if (reason.starts_with("node.") || reason.starts_with("image.")) code = grpc::StatusCode::FAILED_PRECONDITION;
  return {code, error.ToString()};
}

void ToMessage(const Error& error, v1::Failure* out) {
  out->set_code(error.code);
  out->set_subject(error.subject);
  out->set_text(error.text);
}

void ToMessage(const PodEvent& event, v1::Event* out) {
  out->set_time(event.time);
  out->set_component(event.component);
  out->set_code(event.code);
  out->set_message(event.message);
  out->set_subject(event.subject);
}

void ToMessage(const NodeImage& image, v1::Image* out) {
  out->set_reference(image.reference);
  out->set_manifest_digest(image.manifest_digest);
  out->set_config_json(image.config_json);
  out->set_rootfs_digest(image.rootfs_digest);
  out->set_size(image.size);
}

void ToMessage(const PodRecord& record, v1::PodResult* out) {
  out->set_pod_id(record.uid);
  for (const auto& container : record.containers) {
    if (container.state == "exited" && !container.id.empty())
      (*out->mutable_exit_codes())[container.name] = container.exit_code;
  }
  if (!record.failure.code.empty()) ToMessage(record.failure, out->mutable_failure());
  switch (record.outcome) {
    case PodOutcome::kSucceeded: out->set_kind(v1::PodResult::SUCCEEDED); break;
    case PodOutcome::kRefused: out->set_kind(v1::PodResult::REFUSED); break;
    case PodOutcome::kTimedOut: out->set_kind(v1::PodResult::TIMED_OUT); break;
    case PodOutcome::kFailed:
    case PodOutcome::kRemoved: out->set_kind(v1::PodResult::FAILED); break;
    case PodOutcome::kUndecided: out->set_kind(v1::PodResult::RUNNING); break;
  }
  if (record.outcome == PodOutcome::kRemoved && record.failure.code.empty()) {
    ToMessage(Err("node.pod-removed", "", "the pod was removed before it was finished"), out->mutable_failure());
  }
}

void AdmissionResult(const Error& error, v1::PodResult* out) {
  ToMessage(error, out->mutable_failure());
  const std::string& code = error.code;
  if (code.starts_with("input.") || code == "node.unsupported-field" || code == "node.pod-exists") {
    out->set_kind(v1::PodResult::INVALID);
  } else if (IsRefusal(code) || code.starts_with("plugin.") || code == "node.unknown-resource" ||
             code == "node.no-healthy-devices" || code == "node.insufficient-devices" || code == "node.run-as-root") {
    out->set_kind(v1::PodResult::REFUSED);
  } else {
    out->set_kind(v1::PodResult::FAILED);
  }
}

}  // namespace ccgpu::node
