#include "node/cri/client.h"

#include <grpcpp/grpcpp.h>

#include "base/json.h"
#include "node/cri/cri.grpc.pb.h"
#include "node/cri/refusal.h"

namespace ccgpu::node {

using namespace runtime::v1;
using std::chrono::seconds;

// One call's context, known to the gate while it runs.
class GatedCall {
 public:
  GatedCall(CallGate* gate, seconds timeout) : gate_(gate) {
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    if (gate_ == nullptr) return;
    std::lock_guard lock(gate_->mutex_);
    if (gate_->closed_) context.TryCancel();
    gate_->running_.insert(&context);
  }
  ~GatedCall() {
    if (gate_ == nullptr) return;
    std::lock_guard lock(gate_->mutex_);
    gate_->running_.erase(&context);
  }
  grpc::ClientContext context;

 private:
  CallGate* gate_;
};

void CallGate::Close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  for (auto* context : running_) context->TryCancel();
}

bool CallGate::closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

struct CriClient::Stubs {
  std::unique_ptr<RuntimeService::Stub> runtime;
  std::unique_ptr<ImageService::Stub> images;
};

namespace {

constexpr seconds kQuick{10};  // questions
constexpr seconds kLong{240};  // kubelet's two minutes, and as much again for attestation on a slow machine

Status ToStatus(const char* call, const grpc::Status& status) {
  if (status.ok()) return Ok();
  if (auto reason = FindReason(status.error_message())) return *reason;
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return Err("cri.not-found", call, status.error_message());
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return Err("cri.unavailable", call, "the container runtime does not answer (" + status.error_message() + ")");
  }
  return Err("cri.call-failed", call, status.error_message());
}

Status UnlessGone(Status status) {
  if (!status.ok() && status.error().code == "cri.not-found") return Ok();
  return status;
}

}  // namespace

CriClient::CriClient(const std::string& socket) : stubs_(std::make_unique<Stubs>()) {
  grpc::ChannelArguments args;
  args.SetMaxReceiveMessageSize(16 << 20);
  args.SetMaxSendMessageSize(16 << 20);
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  args.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  auto channel = grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), args);
  stubs_->runtime = RuntimeService::NewStub(channel);
  stubs_->images = ImageService::NewStub(channel);
}

CriClient::~CriClient() = default;

Status CriClient::Ready(bool need_network) {
  GatedCall call(nullptr, seconds(3));
  StatusResponse response;
  RETURN_IF_ERROR(ToStatus("Status", stubs_->runtime->Status(&call.context, {}, &response)));
  for (const auto& condition : response.status().conditions()) {
    if (condition.status() || (condition.type() == "NetworkReady" && !need_network)) continue;
    return Err("cri.not-ready", condition.type(), condition.reason() + ": " + condition.message());
  }
  return Ok();
}

Result<std::string> CriClient::RunSandbox(const PodSandboxConfig& config, const std::string& handler, CallGate* gate) {
  GatedCall call(gate, kLong);
  RunPodSandboxRequest request;
  *request.mutable_config() = config;
  request.set_runtime_handler(handler);
  RunPodSandboxResponse response;
  RETURN_IF_ERROR(ToStatus("RunPodSandbox", stubs_->runtime->RunPodSandbox(&call.context, request, &response)));
  return response.pod_sandbox_id();
}

Result<std::string> CriClient::CreateContainer(const std::string& sandbox, const ContainerConfig& config,
                                               const PodSandboxConfig& sandbox_config, CallGate* gate) {
  GatedCall call(gate, kLong);
  CreateContainerRequest request;
  request.set_pod_sandbox_id(sandbox);
  *request.mutable_config() = config;
  *request.mutable_sandbox_config() = sandbox_config;
  CreateContainerResponse response;
  RETURN_IF_ERROR(ToStatus("CreateContainer", stubs_->runtime->CreateContainer(&call.context, request, &response)));
  return response.container_id();
}

Status CriClient::StartContainer(const std::string& id, CallGate* gate) {
  GatedCall call(gate, kLong);
  StartContainerRequest request;
  request.set_container_id(id);
  StartContainerResponse response;
  return ToStatus("StartContainer", stubs_->runtime->StartContainer(&call.context, request, &response));
}

Status CriClient::StopContainer(const std::string& id, seconds grace) {
  GatedCall call(nullptr, grace + kQuick);
  StopContainerRequest request;
  request.set_container_id(id);
  request.set_timeout(grace.count());
  StopContainerResponse response;
  return UnlessGone(ToStatus("StopContainer", stubs_->runtime->StopContainer(&call.context, request, &response)));
}

Status CriClient::RemoveContainer(const std::string& id) {
  GatedCall call(nullptr, seconds(30));
  RemoveContainerRequest request;
  request.set_container_id(id);
  RemoveContainerResponse response;
  return UnlessGone(ToStatus("RemoveContainer", stubs_->runtime->RemoveContainer(&call.context, request, &response)));
}

Status CriClient::StopSandbox(const std::string& id) {
  GatedCall call(nullptr, seconds(60));
  StopPodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  StopPodSandboxResponse response;
  return UnlessGone(ToStatus("StopPodSandbox", stubs_->runtime->StopPodSandbox(&call.context, request, &response)));
}

Status CriClient::RemoveSandbox(const std::string& id) {
  GatedCall call(nullptr, seconds(60));
  RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  RemovePodSandboxResponse response;
  return UnlessGone(ToStatus("RemovePodSandbox", stubs_->runtime->RemovePodSandbox(&call.context, request, &response)));
}

Result<runtime::v1::ContainerStatus> CriClient::ContainerStatus(const std::string& id) {
  GatedCall call(nullptr, kQuick);
  ContainerStatusRequest request;
  request.set_container_id(id);
  ContainerStatusResponse response;
  RETURN_IF_ERROR(ToStatus("ContainerStatus", stubs_->runtime->ContainerStatus(&call.context, request, &response)));
  return std::move(*response.mutable_status());
}

Result<SandboxInfo> CriClient::SandboxStatus(const std::string& id) {
  GatedCall call(nullptr, kQuick);
  PodSandboxStatusRequest request;
  request.set_pod_sandbox_id(id);
  request.set_verbose(true);
  PodSandboxStatusResponse response;
  RETURN_IF_ERROR(ToStatus("PodSandboxStatus", stubs_->runtime->PodSandboxStatus(&call.context, request, &response)));
  SandboxInfo out;
  out.status = std::move(*response.mutable_status());
  // The verbose part is containerd's own and may be missing; what needs it says so itself.
  const auto info = response.info().find("info");
  if (info == response.info().end()) return out;
  const auto json = ParseJson(info->second, "sandbox info");
  if (!json.ok()) return out;
  if (json->contains("pid") && (*json)["pid"].is_number_integer()) out.pid = (*json)["pid"].get<int32_t>();
  const Json spec = json->value("runtimeSpec", Json::object());
  const Json linux_part = spec.is_object() ? spec.value("linux", Json::object()) : Json::object();
  const Json namespaces = linux_part.is_object() ? linux_part.value("namespaces", Json::array()) : Json::array();
  for (const auto& entry : namespaces) {
    if (entry.is_object() && entry.value("type", "") == "network") out.netns_path = entry.value("path", "");
  }
  return out;
}

Result<std::vector<PodSandbox>> CriClient::ListSandboxes(const std::map<std::string, std::string>& labels) {
  GatedCall call(nullptr, kQuick);
  ListPodSandboxRequest request;
  for (const auto& [key, value] : labels) (*request.mutable_filter()->mutable_label_selector())[key] = value;
  ListPodSandboxResponse response;
  RETURN_IF_ERROR(ToStatus("ListPodSandbox", stubs_->runtime->ListPodSandbox(&call.context, request, &response)));
  return std::vector<PodSandbox>(response.items().begin(), response.items().end());
}

Result<std::vector<Container>> CriClient::ListContainers(const std::string& sandbox) {
  GatedCall call(nullptr, kQuick);
  ListContainersRequest request;
  request.mutable_filter()->set_pod_sandbox_id(sandbox);
  ListContainersResponse response;
  RETURN_IF_ERROR(ToStatus("ListContainers", stubs_->runtime->ListContainers(&call.context, request, &response)));
  return std::vector<Container>(response.containers().begin(), response.containers().end());
}

Result<ExecSyncResponse> CriClient::Exec(const std::string& container, const std::vector<std::string>& command,
                                         seconds timeout) {
  GatedCall call(nullptr, (timeout.count() == 0 ? seconds(3600) : timeout) + kQuick);
  ExecSyncRequest request;
  request.set_container_id(container);
  for (const auto& word : command) request.add_cmd(word);
  request.set_timeout(timeout.count());
  ExecSyncResponse response;
  RETURN_IF_ERROR(ToStatus("ExecSync", stubs_->runtime->ExecSync(&call.context, request, &response)));
  return response;
}

Result<std::vector<Image>> CriClient::ListImages() {
  GatedCall call(nullptr, kQuick);
  ListImagesResponse response;
  RETURN_IF_ERROR(ToStatus("ListImages", stubs_->images->ListImages(&call.context, {}, &response)));
  return std::vector<Image>(response.images().begin(), response.images().end());
}

Result<ImageStatusResponse> CriClient::ImageStatus(const std::string& reference) {
  GatedCall call(nullptr, kQuick);
  ImageStatusRequest request;
  request.mutable_image()->set_image(reference);
  request.set_verbose(true);
  ImageStatusResponse response;
  RETURN_IF_ERROR(ToStatus("ImageStatus", stubs_->images->ImageStatus(&call.context, request, &response)));
  if (!response.has_image())
    return Err("cri.not-found", reference, "is not on this node; import it with ccgpu up --image FILE");
  return response;
}

}  // namespace ccgpu::node
