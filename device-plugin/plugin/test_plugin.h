// The plugin between a kubelet and an emulator, both played by the test.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/testing/temp_dir.h"
#include "device-plugin/plugin/cdi_spec.h"
#include "device-plugin/plugin/emulator_watch.h"
#include "device-plugin/plugin/kubelet_session.h"
#include "device-plugin/testing/fake_kubelet.h"
#include "device-plugin/testing/stub_emulator.h"

namespace ccgpu::deviceplugin {

using std::chrono::milliseconds;

inline bool Eventually(const std::function<bool()>& condition, milliseconds limit = milliseconds(10000)) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::poll(nullptr, 0, 5);
  }
  return true;
}

inline const std::string kGpu0 = StubEmulator::MakeGpu(0).uuid(), kGpu1 = StubEmulator::MakeGpu(1).uuid();

class PluginTest : public ::testing::Test {
 protected:
  PluginTest() {
    std::filesystem::create_directories(dir_ / "dp");
    emulator_ = std::make_unique<StubEmulator>(dir_ / "emulator.sock");
    emulator_->Set({StubEmulator::MakeGpu(0, 0), StubEmulator::MakeGpu(1, 1)});
    kubelet_ = std::make_unique<FakeKubelet>(dir_ / "dp");
  }
  void Start(RegistrationMode mode = RegistrationMode::kRegister, std::set<std::string> modes = {}) {
    watch_ = std::make_unique<EmulatorWatch>(
        WatchOptions{dir_ / "emulator.sock", dir_ / "cdi", std::move(modes), milliseconds(100)}, table_, metrics_);
    SessionOptions options{mode, dir_ / "dp", kResourceName, {milliseconds(300)}, milliseconds(200)};
    options.pod_resources_socket = pod_resources_socket_;
    options.known_interval = milliseconds(200);
    session_ = std::make_unique<KubeletSession>(options, table_, metrics_);
    watch_->Start();
    session_->Start();
  }
  void StartAndRegister() {
    Start();
    ASSERT_TRUE(Eventually([&] { return kubelet_->Count("Healthy") == 2; }));
  }
  grpc::Status Allocate(const std::vector<std::vector<std::string>>& containers, v1beta1::AllocateResponse* response) {
    v1beta1::AllocateRequest request;
    for (const auto& ids : containers) {
      auto* one = request.add_container_requests();
      for (const auto& id : ids) one->add_devices_ids(id);
    }
    grpc::ClientContext context;
    return kubelet_->plugin().Allocate(&context, request, response);
  }

  const TempDir dir_;
  std::string pod_resources_socket_;  // empty: the kubelet is not asked what it knows
  std::unique_ptr<StubEmulator> emulator_;
  std::unique_ptr<FakeKubelet> kubelet_;
  DeviceTable table_;
  Metrics metrics_;
  std::unique_ptr<EmulatorWatch> watch_;
  std::unique_ptr<KubeletSession> session_;
};

}  // namespace ccgpu::deviceplugin
