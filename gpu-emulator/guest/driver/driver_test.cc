// The guest driver and its socket: identity, modes, ready state, loss, rights.
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "base/crypto/digest.h"
#include "gpu-emulator/guest/driver/test_machine.h"
#include "gpu-emulator/guest/socket/client.h"

namespace ccgpu::driver {
namespace {

using link::Mode;

TEST(GuestDriver, AttestsOverTheCallersNonce) {
  TestMachine machine({.ready = false});
  const Bytes nonce = machine.identity.random.Take(32);
  const auto evidence = machine.driver->Attest(nonce);
  ASSERT_TRUE(evidence.ok()) << evidence.error().ToString();
  const ByteView report(evidence->report);
  ASSERT_GT(report.size(), 37u + 96u);
  EXPECT_TRUE(Equal(report.subspan(4, 32), nonce));
  // SPDM 1.1: the signature covers everything before it.
  EXPECT_TRUE(
      machine.identity.leaf.key().VerifyRaw(crypto::Hash::kSha384, report.first(report.size() - 96), report.last(96)));
  EXPECT_EQ(evidence->chain_pem, machine.identity.leaf.Pem() + machine.identity.root.Pem());
  EXPECT_EQ(machine.driver->Attest(Bytes(31)).error().code, "gpu.bad-nonce");
}

// NVIDIA's own envelope: the same device, the same session, no DOE object on the link.
TEST(GuestDriver, TalksThroughTheDriversBuffer) {
  TestMachine machine({.envelope = Envelope::kGsp});
  EXPECT_EQ(machine.gpu->state(), link::DeviceState::kRun);
  const auto evidence = machine.driver->Attest(machine.identity.random.Take(32));
  ASSERT_TRUE(evidence.ok()) << evidence.error().ToString();
  EXPECT_TRUE(machine.driver->Info().ok());
  EXPECT_FALSE(machine.driver->lost());
}

// An H100 asks its driver to authenticate, and gets no session without.
TEST(GuestDriver, AuthenticatesWhereTheDeviceDemandsIt) {
  TestMachine machine({.connect = false});
  std::string name;
  spdm::ResponderConfig config = machine.identity.Config();
  config.requester_auth = spdm::ResponderConfig::RequesterAuth::kRequired;
  config.accept_requester = [&](const std::vector<crypto::Certificate>& chain) {
    name = chain.back().SubjectCommonName();
    return true;
  };
  machine.gpu->Release();
  machine.gpu->Reset(Mode::kHopperCc, std::move(config));
  machine.lock = machine.gpu->Lock("sandbox").value();
  const Status connected = machine.Connect();
  ASSERT_TRUE(connected.ok()) << connected.error().ToString();
  EXPECT_EQ(name, "EMULATED, NOT NVIDIA: GPU driver");
}

TEST(GuestDriver, RefusesASwappedBoard) {
  TestMachine machine({.connect = false});
  TestIdentity other;
  machine.gpu->Reset(Mode::kHopperCc, other.Config());
  const Status connected = machine.Connect();
  ASSERT_FALSE(connected.ok());
  EXPECT_EQ(connected.error().code, "gpu.swapped");
  machine.gpu->Release();
}

TEST(GuestDriver, RefusesModesThatInitdataDoesNotAccept) {
  for (const Mode mode : {Mode::kOff, Mode::kDevtools, Mode::kApm}) {
    TestMachine machine({.mode = mode, .accepted = {Mode::kHopperCc}, .connect = false});
    const Status connected = machine.Connect();
    ASSERT_FALSE(connected.ok());
    EXPECT_EQ(connected.error().code, "gpu.mode-refused");
    // The host says otherwise in the register window: the device's own word decides.
    link::Store(machine.host().registers()->mode, static_cast<uint32_t>(Mode::kHopperCc));
    const Status lied = machine.Connect();
    ASSERT_FALSE(lied.ok());
    EXPECT_TRUE(lied.error().code == "gpu.mode-refused" || lied.error().code == "gpu.mode-off")
        << lied.error().ToString();
  }
}

TEST(GuestDriver, HostCannotTalkACcGpuDownToOff) {
  TestMachine machine({.connect = false});  // accepts every mode
  link::Store(machine.host().registers()->mode, static_cast<uint32_t>(Mode::kOff));
  const Status connected = machine.Connect();
  ASSERT_FALSE(connected.ok());
  EXPECT_EQ(connected.error().code, "gpu.session-required");
}

TEST(GuestDriver, NeedsTheLocksNonceAndHasOneTry) {
  TestMachine machine({.connect = false});
  const Bytes right = machine.lock.nonce;
  machine.lock.nonce = Bytes(32, 1);
  Status connected = machine.Connect();
  ASSERT_FALSE(connected.ok());
  EXPECT_EQ(connected.error().code, "gpu.lock-nonce");
  EXPECT_EQ(machine.gpu->state(), device::DeviceState::kLocked);
  machine.lock.nonce = right;
  EXPECT_FALSE(machine.Connect().ok());
  machine.gpu->Release();
  machine.lock = machine.gpu->Lock("again").value();
  connected = machine.Connect();
  EXPECT_TRUE(connected.ok()) << connected.error().ToString();
  EXPECT_EQ(machine.gpu->state(), device::DeviceState::kRun);
}

TEST(GuestDriver, EndOfTheSessionEndsWorkButNotTheLock) {
  TestMachine machine({});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  machine.server.reset();
  machine.agent_server.reset();
  machine.driver.reset();
  EXPECT_TRUE(Eventually([&] { return machine.gpu->state() == device::DeviceState::kLocked; }));
  EXPECT_TRUE(machine.gpu->held());
  EXPECT_FALSE(machine.gpu->ready());
  machine.gpu->Release();
  EXPECT_EQ(machine.gpu->state(), device::DeviceState::kUnlocked);
}

TEST(GuestDriver, ReadyOnceTakenBackIsGone) {
  TestMachine machine({});
  EXPECT_TRUE(machine.gpu->ready());
  EXPECT_TRUE(machine.driver->SetReady(false).ok());
  EXPECT_FALSE(machine.gpu->ready());
  EXPECT_EQ(machine.driver->SetReady(true).error().code, "gpu.ready-latched");
  EXPECT_EQ(machine.driver->OpenChannel().error().code, "gpu.not-ready");
}

struct Loss {
  const char* name;
  std::function<void(TestMachine&)> cause;
};
class Lost : public testing::TestWithParam<Loss> {};
INSTANTIATE_TEST_SUITE_P(
    Causes, Lost,
    testing::Values(Loss{"drop", [](TestMachine& m) { m.gpu->SetLinkDown(true); }},
                    Loss{"hang", [](TestMachine& m) { m.gpu->SetHang(true); }},
                    Loss{"release", [](TestMachine& m) { m.gpu->Release(); }},
                    Loss{"reset", [](TestMachine& m) { m.gpu->Reset(Mode::kHopperCc, m.identity.Config()); }}),
    [](const auto& info) { return info.param.name; });

// A kernel runs for ever while the GPU goes away: the program gets an error, guestd is told once.
TEST_P(Lost, EndsWaitingProgramsAndTellsTheGuest) {
  TestMachine machine({.exchange_timeout_ms = 300});
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  CUmodule module;
  ASSERT_EQ(cuda.cuModuleLoadDataEx(&module, "spin", 0, nullptr, nullptr), CUDA_SUCCESS);
  CUfunction spin;
  ASSERT_EQ(cuda.cuModuleGetFunction(&spin, module, "spin"), CUDA_SUCCESS);
  ASSERT_EQ(cuda.cuLaunchKernel(spin, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(cuda.cuStreamQuery(nullptr), CUDA_ERROR_NOT_READY);
  GetParam().cause(machine);
  EXPECT_EQ(cuda.cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_TRUE(Eventually([&] { return machine.driver->lost(); }));
  EXPECT_TRUE(Eventually([&] { return machine.lost_calls == 1; }));
  EXPECT_EQ(machine.driver->OpenChannel().error().code, "gpu.lost");
  EXPECT_EQ(machine.driver->Attest(Bytes(32)).error().code, "gpu.lost");
  machine.gpu->SetHang(false);
}

TEST(Gpu, NextHolderFindsZeros) {
  TestMachine machine({});
  CUdeviceptr address = 0;
  {
    Cuda cuda(machine);
    ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
    ASSERT_EQ(cuda.cuMemAlloc_v2(&address, 4096), CUDA_SUCCESS);
    ASSERT_EQ(cuda.cuMemsetD32_v2(address, 0xdeadbeef, 1024), CUDA_SUCCESS);
    machine.gpu->Release();
  }
  machine.server.reset();
  machine.agent_server.reset();
  machine.driver.reset();
  machine.lock = machine.gpu->Lock("next").value();
  ASSERT_TRUE(machine.Connect().ok());
  Cuda cuda(machine);
  ASSERT_EQ(cuda.Begin(), CUDA_SUCCESS);
  CUdeviceptr again = 0;
  ASSERT_EQ(cuda.cuMemAlloc_v2(&again, 4096), CUDA_SUCCESS);
  ASSERT_EQ(again, address);
  std::vector<uint32_t> words(1024, 1);
  ASSERT_EQ(cuda.cuMemcpyDtoH_v2(words.data(), again, 4096), CUDA_SUCCESS);
  EXPECT_EQ(words, std::vector<uint32_t>(1024, 0));
}

TEST(DriverServer, ClosesTheChannelsOfAPeerThatLeaves) {
  TestMachine machine({});
  auto client = socket::Client::Connect(machine.socket_path()).value();
  for (uint32_t i = 0; i < link::kChannels; ++i) {
    const auto opened = client->OpenChannel(0);
    ASSERT_TRUE(opened.ok()) << i << " " << opened.error().ToString();
    EXPECT_EQ(opened->first.channel, i);
  }
  EXPECT_EQ(client->OpenChannel(0).error().code, "gpu.no-channel");
  ASSERT_TRUE(client->CloseChannel(0, 7).ok());
  EXPECT_EQ(client->OpenChannel(0)->first.channel, 7u);
  client.reset();
  auto next = socket::Client::Connect(machine.socket_path()).value();
  EXPECT_TRUE(Eventually([&] {
    const auto opened = next->OpenChannel(0);
    return opened.ok() && opened->first.channel == 0;
  }));
}

// No key and no IV space is ever used twice in a session.
TEST(DriverServer, EveryOpeningHasItsOwnKey) {
  TestMachine machine({});
  auto client = socket::Client::Connect(machine.socket_path()).value();
  std::set<std::array<uint8_t, 32>> keys;
  std::set<uint64_t> counters;
  for (int i = 0; i < 5; ++i) {
    const auto opened = client->OpenChannel(0);
    ASSERT_TRUE(opened.ok());
    keys.insert(opened->first.h2d.key);
    keys.insert(opened->first.d2h.key);
    counters.insert(opened->first.h2d.channel_counter);
    ASSERT_TRUE(client->CloseChannel(0, opened->first.channel).ok());
  }
  EXPECT_EQ(keys.size(), 10u);
  EXPECT_EQ(counters.size(), 5u);
}

TEST(DriverServer, ServesOnlyItsGpusAndRights) {
  TestMachine machine({.ready = false});
  auto container = socket::Client::Connect(machine.socket_path()).value();
  EXPECT_EQ(container->SetReady(true).error().code, "gpu.not-permitted");
  EXPECT_FALSE(machine.gpu->ready());
  EXPECT_EQ(container->Info(1).error().code, "driver.bad-request");
  EXPECT_EQ(container->OpenChannel(1).error().code, "driver.bad-request");
  EXPECT_EQ(container->CloseChannel(0, 3).error().code, "driver.bad-request");
  auto agent = socket::Client::Connect(machine.socket_path(true)).value();
  EXPECT_TRUE(agent->SetReady(true).ok());
  EXPECT_TRUE(machine.gpu->ready());
  EXPECT_TRUE(container->GetReady().value());
  auto none = DriverServer::Start({.path = machine.folder() + "/none.sock"});
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(socket::Client::Connect(machine.folder() + "/none.sock").value()->gpus(), 0u);
}

TEST(DriverServer, SurvivesNonsense) {
  TestMachine machine({});
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    auto fd = socket::Connect(machine.socket_path());
    ASSERT_TRUE(fd.ok());
    Bytes message(random() % 60 + 1);
    for (uint8_t& byte : message) byte = static_cast<uint8_t>(random());
    if (i % 2 == 0)
      message[0] = static_cast<uint8_t>(i / 2 % 10),
      message.size() >= 4 ? (void)(message[1] = message[2] = message[3] = 0) : (void)0;
    ASSERT_TRUE(socket::Send(fd->get(), message).ok());
    EXPECT_TRUE(socket::Receive(fd->get(), socket::kMaxMessage).ok());
  }
  EXPECT_TRUE(socket::Client::Connect(machine.socket_path()).ok());
}

}  // namespace
}  // namespace ccgpu::driver
