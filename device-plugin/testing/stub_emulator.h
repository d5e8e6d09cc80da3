// The emulator's control API with GPUs that a test sets.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "gpu-emulator/api/control.grpc.pb.h"

namespace ccgpu::deviceplugin {

// Any thread.
class StubEmulator final : public emulator::v1::Control::Service {
 public:
  explicit StubEmulator(const std::string& socket);
  ~StubEmulator() override;
  void Set(std::vector<emulator::v1::Gpu> gpus);  // pushed to watchers
  std::vector<emulator::v1::Gpu> Get() const;
  // A stopped emulator: keeps its streams open and answers no question any more.
  void Hang(bool hang);
  static emulator::v1::Gpu MakeGpu(uint32_t index, int numa = 0);
  grpc::Status ListGpus(grpc::ServerContext*, const emulator::v1::ListGpusRequest*,
                        emulator::v1::ListGpusResponse*) override;
  grpc::Status WatchGpus(grpc::ServerContext*, const emulator::v1::ListGpusRequest*,
                         grpc::ServerWriter<emulator::v1::ListGpusResponse>*) override;

 private:
  struct State;
  std::shared_ptr<State> state_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace ccgpu::deviceplugin
