// The control API over its socket, with the whole emulator behind it.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "gpu-emulator/api/control.grpc.pb.h"
#include "gpu-emulator/control/emulator.h"
#include "gpu-emulator/platform/test_machine.h"

namespace ccgpu::emulator {
namespace {

using ::testing::HasSubstr;
namespace api = emulator::v1;

// The state folder is shared by the tests of this program: RSA-4096 keys take seconds.
const std::string& SharedState() {
  static const TempDir dir;
  return dir.path();
}

class ControlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    EmulatorOptions options{SharedState(), dir_ / "run", 2, "h100-ncc-v5", "127.0.0.1:0"};
    auto started = Emulator::Start(options, clock_, random_);
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    emulator_ = std::move(*started);
    // No global state of one gRPC channel between tests: each socket has its own path.
    stub_ = api::Control::NewStub(
        grpc::CreateChannel("unix:" + dir_.path() + "/run/emulator.sock", grpc::InsecureChannelCredentials()));
  }
  api::ListGpusResponse List() {
    grpc::ClientContext context;
    api::ListGpusResponse response;
    EXPECT_TRUE(stub_->ListGpus(&context, {}, &response).ok());
    return response;
  }
  grpc::Status SetMode(uint32_t index, const std::string& mode, api::Gpu* gpu) {
    grpc::ClientContext context;
    api::SetModeRequest request;
    request.set_index(index);
    request.set_mode(mode);
    return stub_->SetMode(&context, request, gpu);
  }
  grpc::Status Fault(uint32_t index, const std::string& fault, api::Gpu* gpu) {
    grpc::ClientContext context;
    api::InjectFaultRequest request;
    request.set_index(index);
    request.set_fault(fault);
    return stub_->InjectFault(&context, request, gpu);
  }
  TempDir dir_;
  SystemClock clock_;
  crypto::SystemRandom random_;
  std::unique_ptr<Emulator> emulator_;
  std::unique_ptr<api::Control::Stub> stub_;
};

TEST_F(ControlTest, ListsEverythingAHostMaySee) {
  const auto list = List();
  ASSERT_EQ(list.gpus_size(), 2);
  const api::Gpu& gpu = list.gpus(1);
  EXPECT_EQ(gpu.index(), 1u);
  EXPECT_EQ(gpu.uuid().substr(0, 4), "GPU-");
  EXPECT_EQ(gpu.model(), "NVIDIA H100 NVL (EMULATED)");
  EXPECT_EQ(gpu.profile(), "h100-ncc-v5");
  EXPECT_EQ(gpu.mode(), "hopper-cc");
  EXPECT_EQ(gpu.state(), "UNLOCKED");
  EXPECT_TRUE(gpu.healthy());
  EXPECT_EQ(gpu.numa_node(), 1);
  EXPECT_EQ(gpu.fault(), "none");
  EXPECT_EQ(gpu.architecture(), "HOPPER");
  EXPECT_EQ(gpu.modes_size(), 3);
  EXPECT_EQ(gpu.memory_bytes(), 94ull << 30);
}

TEST_F(ControlTest, WatchPushesEveryChange) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  auto reader = stub_->WatchGpus(&context, {});
  api::ListGpusResponse seen;
  ASSERT_TRUE(reader->Read(&seen));
  EXPECT_TRUE(seen.gpus(0).healthy());
  api::Gpu gpu;
  ASSERT_TRUE(Fault(0, "drop", &gpu).ok());
  EXPECT_FALSE(gpu.healthy());
  do {
    ASSERT_TRUE(reader->Read(&seen));
  } while (seen.gpus(0).healthy());
  EXPECT_EQ(seen.gpus(0).health_reason(), "gpu.link-down");
  EXPECT_TRUE(seen.gpus(1).healthy());
  ASSERT_TRUE(Fault(0, "none", &gpu).ok());
  do {
    ASSERT_TRUE(reader->Read(&seen));
  } while (!seen.gpus(0).healthy());
  // A holder is a change too.
  ASSERT_TRUE(emulator_->machine().Lock("pod-1", {seen.gpus(1).uuid()}).ok());
  do {
    ASSERT_TRUE(reader->Read(&seen));
  } while (seen.gpus(1).sandbox_id() != "pod-1");
  EXPECT_EQ(seen.gpus(1).state(), "LOCKED");
  context.TryCancel();
}

TEST_F(ControlTest, RefusalsCarryTheirCode) {
  api::Gpu gpu;
  ASSERT_TRUE(emulator_->machine().Lock("pod-1", {List().gpus(0).uuid()}).ok());
  grpc::Status status = SetMode(0, "off", &gpu);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("[gpu.held]"));
  grpc::ClientContext context;
  api::ResetGpuRequest reset;
  EXPECT_EQ(stub_->ResetGpu(&context, reset, &gpu).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(SetMode(1, "apm", &gpu).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(SetMode(7, "off", &gpu).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Fault(0, "melt", &gpu).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  ASSERT_TRUE(SetMode(1, "devtools", &gpu).ok());
  EXPECT_EQ(gpu.mode(), "devtools");
  ASSERT_TRUE(SetMode(1, "hopper-cc", &gpu).ok());
}

TEST_F(ControlTest, RootsSayEmulated) {
  grpc::ClientContext context;
  api::GetRootsResponse roots;
  ASSERT_TRUE(stub_->GetRoots(&context, {}, &roots).ok());
  for (const std::string& pem : {roots.device_root_pem(), roots.rim_root_pem(), roots.amd_root_pem()}) {
    auto root = crypto::Certificate::FromPem(pem);
    ASSERT_TRUE(root.ok());
    EXPECT_THAT(root->SubjectCommonName(), HasSubstr("EMULATED, NOT NVIDIA"));
    EXPECT_TRUE(root->IsSignedBy(*root));
  }
  EXPECT_EQ(roots.rim_url(), emulator_->http_url() + "/v1/rim/");
}

TEST_F(ControlTest, SocketsAreTheOwnersOnly) {
  for (const char* name : {"/run/emulator.sock", "/run/platform.sock"}) {
    struct stat st {};
    ASSERT_EQ(stat((dir_.path() + name).c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600u) << name;
  }
}

TEST_F(ControlTest, ASecondEmulatorInTheSameFolderIsRefused) {
  auto second = Emulator::Start({SharedState(), dir_ / "run", 1, "h100-ncc-v5", "127.0.0.1:0"}, clock_, random_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, "emulator.running");
  EXPECT_EQ(List().gpus_size(), 2);  // the first one does not notice
}

TEST(EmulatorOptionsFile, FlagsWinAndUnknownKeysAreRefused) {
  TempDir dir;
  const std::string file = dir / "emulator.yaml";
  ASSERT_TRUE(WriteFileAtomic(file, "state: /s\nrun: /r\ngpus: 3\nprofile: a100-nc\n").ok());
  EmulatorOptions options;
  options.profile = "h100-ncc-v5";
  ASSERT_TRUE(ReadOptionsFile(file, {.profile = true}, options).ok());
  EXPECT_EQ(options.state_dir, "/s");
  EXPECT_EQ(options.gpus, 3u);
  EXPECT_EQ(options.profile, "h100-ncc-v5");
  for (const char* bad : {"gpu: 3\n", "gpus: 65\n", "gpus: x\n", "state: [1]\n"}) {
    ASSERT_TRUE(WriteFileAtomic(file, bad).ok());
    EXPECT_FALSE(ReadOptionsFile(file, {}, options).ok()) << bad;
  }
}

}  // namespace
}  // namespace ccgpu::emulator
