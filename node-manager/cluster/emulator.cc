#include "node-manager/cluster/emulator.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "gpu-emulator/api/control.grpc.pb.h"

namespace ccgpu::nodemanager {
namespace {

namespace api = ccgpu::emulator::v1;
using std::chrono::milliseconds;

constexpr milliseconds kDeadline{5000}, kProbeInterval{5000};
constexpr milliseconds kShortestPause{50}, kLongestPause{2000};

// A channel of its own for each try: gRPC's shared ones carry their back-off over to us.
std::unique_ptr<api::Control::Stub> Connect(const std::string& socket) {
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return api::Control::NewStub(grpc::CreateCustomChannel("unix:" + socket, grpc::InsecureChannelCredentials(), args));
}

Gpu FromApi(const api::Gpu& gpu) {
  return {gpu.index(),         gpu.uuid(),       gpu.model(),
          gpu.mode(),          gpu.state(),      gpu.healthy(),
          gpu.health_reason(), gpu.sandbox_id(), {gpu.modes().begin(), gpu.modes().end()}};
}

std::vector<Gpu> FromApi(const api::ListGpusResponse& list) {
  std::vector<Gpu> out;
  for (const auto& gpu : list.gpus()) out.push_back(FromApi(gpu));
  return out;
}

Error FromGrpc(const grpc::Status& status, const std::string& subject) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
      status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
    return Err("manager.emulator-gone", subject, "the emulator does not answer: " + status.error_message());
  if (status.error_code() == grpc::StatusCode::FAILED_PRECONDITION)
    return Err("manager.gpu-held", subject, status.error_message());
  return Err("manager.gpu-refused", subject, status.error_message());
}

class GrpcEmulator final : public Emulator {
 public:
  explicit GrpcEmulator(std::string socket) : socket_(std::move(socket)) {}

  Result<std::vector<Gpu>> List() override {
    api::ListGpusResponse response;
    RETURN_IF_ERROR(Call(&api::Control::Stub::ListGpus, api::ListGpusRequest(), response, socket_));
    return FromApi(response);
  }
  Result<Gpu> SetMode(uint32_t index, const std::string& mode) override {
    api::SetModeRequest request;
    request.set_index(index);
    request.set_mode(mode);
    api::Gpu gpu;
    RETURN_IF_ERROR(Call(&api::Control::Stub::SetMode, request, gpu, "gpu " + std::to_string(index)));
    return FromApi(gpu);
  }
  Result<Gpu> Reset(uint32_t index) override {
    api::ResetGpuRequest request;
    request.set_index(index);
    api::Gpu gpu;
    RETURN_IF_ERROR(Call(&api::Control::Stub::ResetGpu, request, gpu, "gpu " + std::to_string(index)));
    return FromApi(gpu);
  }
  Result<std::string> Tee() override {
    api::GetRootsResponse roots;
    RETURN_IF_ERROR(Call(&api::Control::Stub::GetRoots, api::GetRootsRequest(), roots, socket_));
    return roots.tee();
  }

 private:
  template <class Request, class Response>
  Status Call(grpc::Status (api::Control::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
              const Request& request, Response& response, const std::string& subject) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    const auto stub = Connect(socket_);
    const grpc::Status status = ((*stub).*method)(&context, request, &response);
    if (status.ok()) return Ok();
    return FromGrpc(status, subject);
  }
  const std::string socket_;
};

}  // namespace

std::unique_ptr<Emulator> ConnectEmulator(const std::string& socket) { return std::make_unique<GrpcEmulator>(socket); }

struct EmulatorWatch::Impl {
  std::string socket;
  OnChange on_change;
  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  grpc::ClientContext* stream = nullptr;
  std::thread watcher, prober;

  bool Pause(milliseconds time) {
    std::unique_lock lock(mutex);
    return !wake.wait_for(lock, time, [this] { return stopping; });
  }

  bool WatchOnce() {
    const auto stub = Connect(socket);
    grpc::ClientContext context;
    {
      std::lock_guard lock(mutex);
      if (stopping) return false;
      stream = &context;
    }
    auto reader = stub->WatchGpus(&context, api::ListGpusRequest());
    api::ListGpusResponse message;
    bool any = false;
    while (reader->Read(&message)) {
      on_change(FromApi(message));
      any = true;
    }
    (void)reader->Finish();
    std::lock_guard lock(mutex);
    stream = nullptr;
    return any;
  }

  void Run() {
    milliseconds pause = kShortestPause;
    do {
      const bool any = WatchOnce();
      pause = any ? kShortestPause : std::min(pause * 2, kLongestPause);
      on_change(std::nullopt);
    } while (Pause(pause));
  }

  // A hung emulator keeps the stream open without a word; a small question with a deadline tells.
  void Probe() {
    GrpcEmulator emulator(socket);
    while (Pause(kProbeInterval)) {
      {
        std::lock_guard lock(mutex);
        if (stream == nullptr) continue;
      }
      if (emulator.List().ok()) continue;
      std::lock_guard lock(mutex);
      if (stream != nullptr) stream->TryCancel();
    }
  }
};

EmulatorWatch::EmulatorWatch(std::string socket, OnChange on_change) : impl_(std::make_unique<Impl>()) {
  impl_->socket = std::move(socket);
  impl_->on_change = std::move(on_change);
  impl_->watcher = std::thread([this] { impl_->Run(); });
  impl_->prober = std::thread([this] { impl_->Probe(); });
}

EmulatorWatch::~EmulatorWatch() {
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    if (impl_->stream != nullptr) impl_->stream->TryCancel();
  }
  impl_->wake.notify_all();
  impl_->watcher.join();
  impl_->prober.join();
}

}  // namespace ccgpu::nodemanager
