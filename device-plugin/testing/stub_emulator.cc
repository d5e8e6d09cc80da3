#include "device-plugin/testing/stub_emulator.h"

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace ccgpu::deviceplugin {

using std::chrono::milliseconds;

struct StubEmulator::State {
  mutable std::mutex mutex;
  std::condition_variable changed;
  uint64_t version = 0;
  bool stopping = false, hanging = false;
  emulator::v1::ListGpusResponse list;
};

StubEmulator::StubEmulator(const std::string& socket) : state_(std::make_shared<State>()) {
  ::unlink(socket.c_str());
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
}

StubEmulator::~StubEmulator() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->changed.notify_all();
  }
  server_->Shutdown(std::chrono::system_clock::now() + milliseconds(200));
}

void StubEmulator::Set(std::vector<emulator::v1::Gpu> gpus) {
  std::lock_guard lock(state_->mutex);
  state_->list.clear_gpus();
  for (auto& gpu : gpus) *state_->list.add_gpus() = std::move(gpu);
  state_->version++;
  state_->changed.notify_all();
}

std::vector<emulator::v1::Gpu> StubEmulator::Get() const {
  std::lock_guard lock(state_->mutex);
  return {state_->list.gpus().begin(), state_->list.gpus().end()};
}

void StubEmulator::Hang(bool hang) {
  std::lock_guard lock(state_->mutex);
  state_->hanging = hang;
  state_->changed.notify_all();
}

emulator::v1::Gpu StubEmulator::MakeGpu(uint32_t index, int numa) {
  emulator::v1::Gpu gpu;
  gpu.set_index(index);
  gpu.set_uuid("GPU-00000000-0000-0000-0000-00000000000" + std::to_string(index));
  gpu.set_mode("hopper-cc");
  gpu.set_state("UNLOCKED");
  gpu.set_healthy(true);
  gpu.set_numa_node(numa);
  return gpu;
}

grpc::Status StubEmulator::ListGpus(grpc::ServerContext* context, const emulator::v1::ListGpusRequest*,
                                    emulator::v1::ListGpusResponse* response) {
  std::unique_lock lock(state_->mutex);
  while (state_->hanging && !state_->stopping && !context->IsCancelled())
    state_->changed.wait_for(lock, milliseconds(50));
  *response = state_->list;
  return grpc::Status::OK;
}

grpc::Status StubEmulator::WatchGpus(grpc::ServerContext* context, const emulator::v1::ListGpusRequest*,
                                     grpc::ServerWriter<emulator::v1::ListGpusResponse>* writer) {
  std::unique_lock lock(state_->mutex);
  for (uint64_t seen = UINT64_MAX; !state_->stopping && !context->IsCancelled();) {
    if (seen != state_->version && !state_->hanging) {
      seen = state_->version;
      if (!writer->Write(state_->list)) break;
    }
    state_->changed.wait_for(lock, milliseconds(100));
  }
  return grpc::Status::OK;
}

}  // namespace ccgpu::deviceplugin
