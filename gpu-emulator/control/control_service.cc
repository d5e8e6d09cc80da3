#include "gpu-emulator/control/control_service.h"

#include <grpcpp/grpcpp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

#include "base/file.h"
#include "gpu-emulator/api/control.grpc.pb.h"

namespace ccgpu::emulator {
namespace {

namespace api = emulator::v1;

// How soon a watcher notices that its client is gone or that we stop.
constexpr auto kWatchTick = std::chrono::milliseconds(250);

grpc::Status ToGrpc(const Error& error) {
  grpc::StatusCode code = grpc::StatusCode::INTERNAL;
  if (error.code == "gpu.unknown") code = grpc::StatusCode::NOT_FOUND;
  if (error.code == "gpu.unknown-fault" || error.code == "gpu.mode-unsupported")
    code = grpc::StatusCode::INVALID_ARGUMENT;
  if (error.code == "gpu.held") code = grpc::StatusCode::FAILED_PRECONDITION;
  return {code, error.ToString()};
}

class Service final : public api::Control::Service {
 public:
  Service(Machine& machine, api::GetRootsResponse roots) : machine_(machine), roots_(std::move(roots)) {}
  void Stop() { stopping_ = true; }

  grpc::Status ListGpus(grpc::ServerContext*, const api::ListGpusRequest*, api::ListGpusResponse* response) override {
    Fill(*response);
    return grpc::Status::OK;
  }

  grpc::Status WatchGpus(grpc::ServerContext* context, const api::ListGpusRequest*,
                         grpc::ServerWriter<api::ListGpusResponse>* writer) override {
    uint64_t seen = 0;
    std::string sent;
    while (!stopping_ && !context->IsCancelled()) {
      if (!machine_.WaitForChange(seen, kWatchTick)) continue;
      api::ListGpusResponse response;
      Fill(response);
      std::string bytes = response.SerializeAsString();
      if (bytes == sent) continue;  // a change that a host cannot see
      if (!writer->Write(response)) break;
      sent = std::move(bytes);
    }
    return grpc::Status::OK;
  }

  grpc::Status SetMode(grpc::ServerContext*, const api::SetModeRequest* request, api::Gpu* response) override {
    return Answer(machine_.SetMode(request->index(), request->mode()), response);
  }
  grpc::Status ResetGpu(grpc::ServerContext*, const api::ResetGpuRequest* request, api::Gpu* response) override {
    return Answer(machine_.Reset(request->index()), response);
  }
  grpc::Status InjectFault(grpc::ServerContext*, const api::InjectFaultRequest* request, api::Gpu* response) override {
    return Answer(machine_.Inject(request->index(), request->fault()), response);
  }
  grpc::Status GetRoots(grpc::ServerContext*, const api::GetRootsRequest*, api::GetRootsResponse* response) override {
    *response = roots_;
    return grpc::Status::OK;
  }

 private:
  void Fill(api::ListGpusResponse& response) const {
    for (const GpuStatus& status : machine_.List()) Describe(status, *response.add_gpus());
  }
  grpc::Status Answer(const Result<GpuStatus>& result, api::Gpu* response) const {
    if (!result.ok()) return ToGrpc(result.error());
    Describe(*result, *response);
    return grpc::Status::OK;
  }
  void Describe(const GpuStatus& status, api::Gpu& gpu) const {
    const Profile& profile = machine_.profile();
    gpu.set_index(status.index);
    gpu.set_uuid(status.uuid);
    gpu.set_model(profile.model);
    gpu.set_profile(profile.name);
    gpu.set_mode(status.mode);
    gpu.set_state(status.state);
    gpu.set_healthy(status.healthy);
    gpu.set_health_reason(status.health_reason);
    gpu.set_sandbox_id(status.sandbox_id);
    gpu.set_numa_node(status.numa_node);
    gpu.set_memory_bytes(profile.memory_bytes);
    gpu.set_driver_version(profile.driver_version);
    gpu.set_vbios_version(profile.vbios_version);
    gpu.set_fault(status.fault);
    gpu.set_architecture(profile.architecture);
    for (const auto& mode : profile.modes) gpu.add_modes(mode);
  }

  Machine& machine_;
  const api::GetRootsResponse roots_;
  std::atomic<bool> stopping_{false};
};

}  // namespace

struct ControlService::Impl {
  Impl(Machine& machine, api::GetRootsResponse roots) : service(machine, std::move(roots)) {}
  Service service;
  std::unique_ptr<grpc::Server> server;
  std::string socket_path;
};

Result<std::unique_ptr<ControlService>> ControlService::Listen(const ControlConfig& config, Machine& machine,
                                                               const DevicePki& pki, const SnpIdentity& chip) {
  api::GetRootsResponse roots;
  roots.set_device_root_pem(pki.root.authority.certificate.Pem());
  roots.set_rim_root_pem(pki.rim_root.authority.certificate.Pem());
  roots.set_amd_root_pem(chip.ark.Pem());
  roots.set_rim_url(config.http_url + "/v1/rim/");
  roots.set_ocsp_url(config.http_url + "/ocsp");
  roots.set_intel_root_pem(config.intel_root_pem);
  roots.set_tpm_root_pem(config.tpm_root_pem);
  roots.set_pcs_url(config.http_url);
  roots.set_tee(config.tee);
  std::unique_ptr<ControlService> control(new ControlService);
  control->impl_ = std::make_unique<Impl>(machine, std::move(roots));
  control->impl_->socket_path = config.socket_path;
  unlink(config.socket_path.c_str());
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + config.socket_path, grpc::InsecureServerCredentials());
  builder.RegisterService(&control->impl_->service);
  control->impl_->server = builder.BuildAndStart();
  if (!control->impl_->server || chmod(config.socket_path.c_str(), 0600) != 0) {
    return Err("control.socket", config.socket_path, "the control socket cannot be made there");
  }
  return control;
}

ControlService::~ControlService() {
  if (!impl_ || !impl_->server) return;
  impl_->service.Stop();
  impl_->server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(2));
  impl_->server->Wait();
  unlink(impl_->socket_path.c_str());
}

}  // namespace ccgpu::emulator
