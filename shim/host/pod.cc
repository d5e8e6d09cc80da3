#include "shim/host/pod.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "device-plugin/api/resolver.pb.h"
#include "shim/api/names.h"
#include "shim/host/bundle_state.h"
#include "shim/host/cdi.h"
#include "shim/host/sha256.h"
#include "trust/kbs/gzip.h"
#include "trust/kbs/initdata.h"

namespace ccgpu::shim {
namespace {

constexpr auto kResolverTimeout = std::chrono::seconds(10);
constexpr auto kSandboxTimeout = std::chrono::seconds(90);  // sessions with several GPUs
constexpr auto kCleanTimeout = std::chrono::seconds(3);

}  // namespace

std::shared_ptr<Guest> Pod::guest() {
  std::lock_guard lock(mutex_);
  return gone_ ? nullptr : guest_;
}

Status Pod::Begin(const SpecFacts& spec, const std::string& spec_json, const std::string& id, const std::string& bundle,
                  GuestCallbacks callbacks) {
  sandbox_id_ = GroupOf(spec, id);
  events_ = std::make_unique<EventLog>(spec.kind == ContainerKind::kSingle ? "" : config_.events_dir, sandbox_id_);
  events_->WritePod(spec.Annotation(kCriSandboxName), spec.Annotation(kCriSandboxNamespace),
                    spec.Annotation(kCriSandboxUid));
  if (const std::string uid = spec.Annotation(kCriSandboxUid); !uid.empty()) {
    // From here on each line joins the sandbox, which all parts name, to the pod that its owner knows.
    log::AddContext("pod", spec.Annotation(kCriSandboxNamespace) + "/" + spec.Annotation(kCriSandboxName));
    log::AddContext("pod_uid", uid);
  }
  Status status = BeginSteps(spec, spec_json, id, bundle, std::move(callbacks));
  if (status.ok()) {
    log::Info("the sandbox runs", {{"gpus", std::to_string(gpus_.size())}});
    return status;
  }
  log::Warning("no sandbox",
               {{"code", status.error().code}, {"subject", status.error().subject}, {"reason", status.error().text}});
  events_->Write(refused_by_guest_ ? "ccgpu-guestd" : "containerd-shim-ccgpu-v2", status.error().code,
                 status.error().text, status.error().subject);
  End(kCleanTimeout);
  cgroup_.Remove();
  return status;
}

Status Pod::BeginSteps(const SpecFacts& spec, const std::string& spec_json, const std::string& id,
                       const std::string& bundle, GuestCallbacks callbacks) {
  ASSIGN_OR_RETURN(std::string initdata, InitData(spec));
  RETURN_IF_ERROR(FindGpus(spec, !initdata.empty()));

  LaunchPlan plan;
  plan.sandbox_id = sandbox_id_;
  plan.host_data = initdata.empty() ? std::string(32, '\0') : Sha256(initdata);
  plan.gpu_uuids = gpus_;
  plan.hostname = spec.hostname.empty() ? sandbox_id_.substr(0, 60) : spec.hostname;
  if (auto it = spec.namespaces.find("network"); it != spec.namespaces.end()) plan.netns = it->second;

  auto on_gone = std::move(callbacks.on_gone);
  callbacks.on_gone = [this, on_gone](int status) {
    on_gone(status);
    std::lock_guard lock(mutex_);
    gone_ = true;
    changed_.notify_all();
  };
  ASSIGN_OR_RETURN(std::shared_ptr<Guest> guest, Guest::Launch(config_, plan, loop_, std::move(callbacks)));
  {
    std::lock_guard lock(mutex_);
    guest_ = guest;
  }
  // In the pod's group before it does anything, so that its memory counts there from the first page on. A container
  // without a pod has a group of its own that runc makes.
  if (spec.kind == ContainerKind::kPodSandbox) {
    cgroup_ = Cgroup(spec.cgroups_path);
    RETURN_IF_ERROR(cgroup_.Join(guest->pid()));
  }
  RETURN_IF_ERROR(WriteBundleState(bundle, spec.kind == ContainerKind::kPodSandbox ? spec.cgroups_path : ""));

  v1::CreateSandboxRequest request;
  request.set_initdata(initdata);
  for (const auto& item : guest->collateral()) *request.add_collateral() = item;
  if (spec.kind == ContainerKind::kPodSandbox) {
    request.set_oci_spec_json(spec_json);
    request.set_hostname(spec.hostname);
    for (const auto& [name, value] : spec.sysctls) (*request.mutable_sysctls())[name] = value;
  }
  ttrpc::Reply reply = guest->Call("CreateSandbox", request, kSandboxTimeout);
  if (reply.ok()) return Ok();
  refused_by_guest_ = reply.code != ttrpc::Code::kUnavailable;
  return reply.ToError("sandbox " + id);
}

Result<std::string> Pod::InitData(const SpecFacts& spec) {
  std::string annotation = spec.Annotation(std::string(kbs::kInitDataAnnotation));
  if (annotation.empty()) {
    if (config_.require_policy && spec.kind != ContainerKind::kSingle)
      return Err("policy.missing", spec.Annotation(kCriSandboxName),
                 "this node runs only pods with a policy; make one with: ccgpu policy generate POD.yaml");
    if (config_.require_policy) return Err("policy.missing", "container", "this node runs only pods with a policy");
    return std::string();
  }
  if (annotation.size() > kbs::kMaxInitDataAnnotation)
    return Err("initdata.too-large", "annotation", "the initdata annotation is larger than 256 KiB");
  auto packed = Base64Decode(annotation);
  if (!packed.ok())
    return Err("initdata.bad-base64", "annotation", "expected base64(gzip(TOML)): " + packed.error().text);
  return kbs::GzipDecompress(AsText(*packed), kbs::kMaxInitDataDocument);
}

Status Pod::FindGpus(const SpecFacts& spec, bool has_policy) {
  std::string name = spec.Annotation(kCriSandboxName);
  if (config_.resolver_socket.empty() || name.empty()) return Ok();
  deviceplugin::v1::PodGpusRequest request;
  request.set_pod_name(name);
  request.set_pod_namespace(spec.Annotation(kCriSandboxNamespace));
  request.set_sandbox_id(sandbox_id_);
  request.set_pod_uid(spec.Annotation(kCriSandboxUid));
  auto answer = [&]() -> Result<deviceplugin::v1::PodGpusResponse> {
    ASSIGN_OR_RETURN(ttrpc::Client client, ttrpc::Client::ConnectUnix(config_.resolver_socket));
    return client.Call<deviceplugin::v1::PodGpusResponse>("ccgpu.deviceplugin.v1.Resolver", "PodGpus", request,
                                                          kResolverTimeout);
  }();
  if (!answer.ok()) {
    // A pod with a policy goes on: if the policy wants GPUs, guestd refuses it for having none.
    if (config_.require_policy || has_policy)
      return Err("gpu.resolver-unreachable", config_.resolver_socket,
                 "cannot ask the device plugin which GPUs this pod holds (" + answer.error().ToString() +
                     "); is ccgpu-device-plugin running?");
    log::Warning("the device plugin does not answer; the pod runs without GPU",
                 {{"reason", answer.error().ToString()}});
    return Ok();
  }
  for (const auto& container : answer->containers()) {
    for (const auto& gpu : container.gpus()) {
      bound_[container.container_name()].push_back(gpu.device_id());
      if (std::find(gpus_.begin(), gpus_.end(), gpu.device_id()) == gpus_.end()) gpus_.push_back(gpu.device_id());
    }
  }
  if (!gpus_.empty() && !has_policy)
    return Err("policy.missing", name,
               "a pod that holds " + config_.pod_gpu_resource +
                   " needs a policy; make one with: ccgpu policy generate POD.yaml");
  return Ok();
}

Result<std::vector<std::string>> Pod::GpusOf(const SpecFacts& container) {
  ASSIGN_OR_RETURN(std::vector<std::string> uuids, ContainerGpus(container, config_.cdi_dirs));
  if (uuids.empty()) {
    if (auto it = bound_.find(container.Annotation(kCriContainerName)); it != bound_.end()) uuids = it->second;
  }
  for (const auto& uuid : uuids) {
    if (std::find(gpus_.begin(), gpus_.end(), uuid) == gpus_.end())
      return Err("gpu.not-locked", uuid, "the container is to get a GPU that kubelet has not given to this pod");
  }
  return uuids;
}

void Pod::End(std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  if (!guest_) return;
  if (!gone_) {
    guest_->Kill();
    changed_.wait_for(lock, limit, [this] { return gone_; });
  }
  lock.unlock();
  cgroup_.Remove();
}

Status Pod::WriteBundleState(const std::string& bundle, const std::string& cgroups_path) {
  auto current = guest();
  BundleState state;
  state.sandbox_id = sandbox_id_;
  state.cgroups_path = cgroups_path;
  if (current) {
    state.guest_pid = current->pid();
    state.guest_start = ProcessStartTime(current->pid());
  }
  return WriteBundle(bundle, state);
}

}  // namespace ccgpu::shim
