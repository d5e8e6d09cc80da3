#include "node/service/node_service.h"

#include "base/encoding.h"
#include "base/log.h"
#include "node/cri/refusal.h"
#include "node/pods/agent_client.h"
#include "node/pods/cri_log.h"
#include "node/service/convert.h"

namespace ccgpu::node {

using std::chrono::milliseconds;

NodeService::NodeService(PodManager& pods, ImageStore& images, CriClient& cri, DeviceManager& devices)
    : pods_(pods), images_(images), cri_(cri), devices_(devices) {}

void NodeService::Stop() { stopping_ = true; }

Result<std::shared_ptr<Pod>> NodeService::Find(const v1::PodRef& ref) const {
  auto pod = pods_.Find(ref.pod_namespace(), ref.name());
  if (pod != nullptr) return pod;
  return Err("node.unknown-pod", (ref.pod_namespace().empty() ? "default" : ref.pod_namespace()) + "/" + ref.name(),
             "there is no such pod; see ccgpu ps");
}

grpc::Status NodeService::Status(grpc::ServerContext*, const v1::StatusRequest*, v1::StatusResponse* response) {
  for (const auto& [resource, count] : devices_.Allocatable()) (*response->mutable_allocatable())[resource] = count;
  for (const auto& [resource, count] : devices_.Capacity()) (*response->mutable_capacity())[resource] = count;
  if (auto ready = cri_.Ready(); !ready.ok()) {
    response->set_not_ready_because(ready.error().ToString());
  } else if (devices_.Devices().empty()) {
    response->set_not_ready_because("no device plugin has registered yet [node.no-plugin]");
  } else {
    response->set_ready(true);
  }
  return grpc::Status::OK;
}

grpc::Status NodeService::ImportImage(grpc::ServerContext*, const v1::ImportImageRequest* request,
                                      v1::ImportImageResponse* response) {
  auto imported = images_.Import(request->archive_path(), request->reference());
  if (!imported.ok()) return ToGrpc(imported.error());
  for (const auto& image : *imported) ToMessage(image, response->add_images());
  return grpc::Status::OK;
}

grpc::Status NodeService::ListImages(grpc::ServerContext*, const v1::ListImagesRequest*,
                                     v1::ListImagesResponse* response) {
  auto all = images_.List();
  if (!all.ok()) return ToGrpc(all.error());
  for (const auto& image : *all) ToMessage(image, response->add_images());
  return grpc::Status::OK;
}

grpc::Status NodeService::RunPod(grpc::ServerContext* context, const v1::RunPodRequest* request,
                                 grpc::ServerWriter<v1::RunPodResponse>* writer) {
  v1::RunPodResponse last;
  auto run = pods_.Run(request->manifest(), request->file_name().empty() ? "pod.yaml" : request->file_name());
  if (!run.ok()) {
    AdmissionResult(run.error(), last.mutable_result());
    writer->Write(last);
    return grpc::Status::OK;
  }
  std::shared_ptr<Pod> pod = *run;
  auto waiter = std::make_shared<ChangeWaiter>();
  pod->AddWaiter(waiter);
  PodLogReader logs(pod->LogDir(), pod->ContainerNames());
  for (const auto& name : pod->ContainerNames()) waiter->Watch(pod->LogDir() + "/" + name);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(request->timeout_seconds());
  size_t shown = 0;
  bool listening = true, timed_out = false;
  auto send_log = [&](const LogText& text) {
    v1::RunPodResponse message;
    message.mutable_log()->set_container(text.container);
    message.mutable_log()->set_stream(text.stream);
    message.mutable_log()->set_text(text.text);
    listening = listening && writer->Write(message);
  };
  for (;;) {
    for (const auto& name : pod->ContainerNames()) waiter->Watch(pod->LogDir() + "/" + name);
    const PodView view = pod->View();
    for (; shown < view.events.size() && listening; ++shown) {
      v1::RunPodResponse message;
      ToMessage(view.events[shown], message.mutable_event());
      listening = writer->Write(message);
    }
    if (listening) logs.Read(send_log);
    if (view.record.finished || (request->detach() && view.all_running)) {
      if (listening) logs.Flush(send_log);
      ToMessage(view.record, last.mutable_result());
      break;
    }
    if (stopping_)
      return {grpc::StatusCode::UNAVAILABLE, "ccgpu-node is being stopped; the pod goes on [node.stopping]"};
    if (!listening || context->IsCancelled()) {
      // Nobody waits any more. A pod that was meant to stay goes on; any other ends with its client.
      if (request->detach() || request->keep()) return grpc::Status::CANCELLED;
      if (auto removed = pods_.Remove(pod, false); !removed.ok())
        log::Warning("cannot remove a pod without client", {{"why", removed.error().ToString()}});
      return grpc::Status::CANCELLED;
    }
    if (request->timeout_seconds() > 0 && !timed_out && std::chrono::steady_clock::now() >= deadline) {
      timed_out = true;
      pod->RequestStop(Pod::Stop::kTimeout, true);
    }
    waiter->Wait(milliseconds(250));
  }
  const bool finished = last.result().kind() != v1::PodResult::RUNNING;
  if (finished && !request->keep()) {
    if (auto removed = pods_.Remove(pod, false); !removed.ok())
      log::Warning("cannot forget a finished pod", {{"why", removed.error().ToString()}});
  }
  writer->Write(last);
  return grpc::Status::OK;
}

void NodeService::Fill(Pod& pod, bool ask_agent, v1::Pod* out) {
  const PodView view = pod.View();
  out->set_name(pod.spec().name);
  out->set_pod_namespace(pod.spec().pod_namespace);
  out->set_uid(view.record.uid);
  out->set_sandbox_id(view.record.sandbox_id);
  out->set_phase(view.phase);
  out->set_runtime_handler(pod.spec().runtime_class);
  out->set_created_at(view.record.created_at);
  out->set_pod_ip(view.pod_ip);
  out->set_attestation_status_json(view.record.attestation_status);
  if (!view.record.failure.code.empty()) ToMessage(view.record.failure, out->mutable_failure());
  for (const auto& container : view.record.containers) {
    auto* one = out->add_containers();
    one->set_name(container.name);
    one->set_image(container.image);
    one->set_state(container.state);
    one->set_exit_code(container.exit_code);
    one->set_reason(container.reason);
    one->set_message(container.message);
    one->set_container_id(container.id);
  }
  for (const auto& held : devices_.Held()) {
    if (held.pod_uid != view.record.uid) continue;
    for (const auto& id : held.entry.Ids()) {
      auto* gpu = out->add_gpus();
      gpu->set_device_id(id);
      gpu->set_container(held.entry.container);
    }
  }
  if (!ask_agent) return;
  for (const auto& event : view.events) ToMessage(event, out->add_events());
  if (view.record.finished || pod.spec().host_network) return;
  if (auto netns = pod.NetworkNamespace(); netns.ok()) {
    auto answer = AskAgent(*netns, "/attest/status", milliseconds(1000));
    if (answer.ok() && answer->status == 200) out->set_attestation_status_json(answer->body);
  }
}

grpc::Status NodeService::ListPods(grpc::ServerContext*, const v1::ListPodsRequest*, v1::ListPodsResponse* response) {
  for (const auto& pod : pods_.List()) Fill(*pod, false, response->add_pods());
  return grpc::Status::OK;
}

grpc::Status NodeService::DescribePod(grpc::ServerContext*, const v1::PodRef* ref, v1::Pod* response) {
  auto pod = Find(*ref);
  if (!pod.ok()) return ToGrpc(pod.error());
  Fill(**pod, true, response);
  return grpc::Status::OK;
}

grpc::Status NodeService::PodLogs(grpc::ServerContext* context, const v1::PodLogsRequest* request,
                                  grpc::ServerWriter<v1::LogLine>* writer) {
  auto found = Find(request->pod());
  if (!found.ok()) return ToGrpc(found.error());
  Pod& pod = **found;
  std::vector<std::string> names = pod.ContainerNames();
  if (!request->container().empty()) {
    if (std::find(names.begin(), names.end(), request->container()) == names.end()) {
      return ToGrpc(
          Err("node.unknown-container", request->container(), "is not a container of pod " + pod.spec().name));
    }
    names = {request->container()};
  }
  auto waiter = std::make_shared<ChangeWaiter>();
  pod.AddWaiter(waiter);
  PodLogReader logs(pod.LogDir(), names);
  bool listening = true;
  auto send = [&](const LogText& text) {
    v1::LogLine line;
    line.set_container(text.container);
    line.set_stream(text.stream);
    line.set_text(text.text);
    listening = listening && writer->Write(line);
  };
  for (;;) {
    for (const auto& name : names) waiter->Watch(pod.LogDir() + "/" + name);
    const bool finished = pod.View().record.finished;  // asked before the last read
    logs.Read(send);
    if (finished || !request->follow() || !listening || stopping_ || context->IsCancelled()) break;
    waiter->Wait(milliseconds(250));
  }
  if (listening) logs.Flush(send);
  return grpc::Status::OK;
}

grpc::Status NodeService::RemovePod(grpc::ServerContext*, const v1::PodRef* ref, v1::RemovePodResponse*) {
  auto removed = pods_.Remove(ref->pod_namespace(), ref->name(), ref->force());
  return removed.ok() ? grpc::Status::OK : ToGrpc(removed.error());
}

grpc::Status NodeService::CollectEvidence(grpc::ServerContext*, const v1::CollectEvidenceRequest* request,
                                          v1::CollectEvidenceResponse* response) {
  auto pod = Find(request->pod());
  if (!pod.ok()) return ToGrpc(pod.error());
  if (request->nonce().empty() || request->nonce().size() > 64) {
    return ToGrpc(
        Err("node.bad-request", "nonce", "must have 1 to 64 bytes, has " + std::to_string(request->nonce().size())));
  }
  if ((*pod)->spec().host_network)
    return ToGrpc(
        Err("node.agent-unreachable", (*pod)->spec().name, "the pod uses the host's network and has no agent"));
  auto netns = (*pod)->NetworkNamespace();
  if (!netns.ok()) return ToGrpc(netns.error());
  auto answer =
      AskAgent(*netns, "/ccgpu/evidence?nonce=" + HexEncode(AsBytes(request->nonce())), std::chrono::seconds(30));
  if (!answer.ok()) return ToGrpc(answer.error());
  if (answer->status != 200) {
    if (auto reason = FindReason(answer->body)) return ToGrpc(*reason);
    return ToGrpc(Err("node.agent-refused", (*pod)->spec().name,
                      "the agent answers " + std::to_string(answer->status) + ": " + answer->body.substr(0, 500)));
  }
  response->set_evidence_json(answer->body);
  return grpc::Status::OK;
}

grpc::Status NodeService::Exec(grpc::ServerContext*, const v1::ExecRequest* request, v1::ExecResponse* response) {
  auto pod = Find(request->pod());
  if (!pod.ok()) return ToGrpc(pod.error());
  if (request->command().empty()) return ToGrpc(Err("node.bad-request", "command", "is empty"));
  auto id = (*pod)->ContainerId(request->container());
  if (!id.ok()) return ToGrpc(id.error());
  auto result = cri_.Exec(*id, {request->command().begin(), request->command().end()},
                          std::chrono::seconds(request->timeout_seconds()));
  if (!result.ok()) {
    ToMessage(result.error(), response->mutable_failure());
    response->set_exit_code(-1);
    return grpc::Status::OK;
  }
  response->set_standard_output(result->stdout());
  response->set_standard_error(result->stderr());
  response->set_exit_code(result->exit_code());
  return grpc::Status::OK;
}

}  // namespace ccgpu::node
