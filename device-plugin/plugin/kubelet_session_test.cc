// The kubelet goes, comes, forgets and refuses; the plugin is there again.
#include "device-plugin/plugin/kubelet_session.h"

#include <unistd.h>

#include "base/file.h"
#include "device-plugin/api/pluginregistration.grpc.pb.h"
#include "device-plugin/plugin/test_plugin.h"

namespace ccgpu::deviceplugin {
namespace {

TEST_F(PluginTest, ComesBackToARestartedKubelet) {
  StartAndRegister();
  const std::string first = kubelet_->last().endpoint();
  kubelet_.reset();
  kubelet_ = std::make_unique<FakeKubelet>(dir_ / "dp");  // wipes the sockets, as the real one does
  EXPECT_TRUE(Eventually([&] { return kubelet_->Count("Healthy") == 2; }));
  EXPECT_NE(kubelet_->last().endpoint(), first);
  v1beta1::AllocateResponse response;
  EXPECT_TRUE(Allocate({{kGpu0}}, &response).ok());
}

TEST_F(PluginTest, ComesBackWhenOnlyItsSocketIsRemoved) {
  StartAndRegister();
  ::unlink(session_->socket().c_str());
  EXPECT_TRUE(Eventually([&] { return kubelet_->registrations() == 2 && kubelet_->Count("Healthy") == 2; }));
}

// kubelet 1.35 ends the new instance's stream when the old one's ends, and opens no other.
TEST_F(PluginTest, ComesBackWhenTheKubeletEndsItsStream) {
  StartAndRegister();
  const std::string socket = session_->socket();
  kubelet_->EndStream();
  EXPECT_TRUE(Eventually([&] { return kubelet_->registrations() == 2 && kubelet_->Count("Healthy") == 2; }));
  EXPECT_EQ(session_->socket(), socket) << "the same socket, registered once more";
}

TEST_F(PluginTest, RegistersAgainWhenAnyOtherPluginsSocketGoes) {
  StartAndRegister();
  ASSERT_TRUE(WriteFileAtomic(dir_ / "dp/other.sock", "", 0600).ok());
  ::unlink((dir_ / "dp/other.sock").c_str());
  EXPECT_TRUE(Eventually([&] { return kubelet_->registrations() > 1; })) << "real kubelets forget our GPUs with theirs";
}

TEST_F(PluginTest, ComesBackWhenTheKubeletKeepsOurSocket) {
  StartAndRegister();
  const std::string socket = session_->socket();
  kubelet_.reset();
  kubelet_ = std::make_unique<FakeKubelet>(dir_ / "dp", false);
  EXPECT_TRUE(Eventually([&] { return kubelet_->Count("Healthy") == 2; }));
  EXPECT_EQ(session_->socket(), socket);
}

TEST_F(PluginTest, KeepsTryingWhenTheKubeletRefuses) {
  kubelet_->RefuseNext(3);
  Start();
  EXPECT_TRUE(Eventually([&] { return kubelet_->Count("Healthy") == 2; }));
  EXPECT_EQ(metrics_.registrations_failed, 3u);
}

TEST_F(PluginTest, WaitsForAKubeletThatStartsLater) {
  kubelet_.reset();
  std::filesystem::remove_all(dir_ / "dp");
  Start();
  ASSERT_TRUE(Eventually([&] { return !session_->socket().empty(); }));
  kubelet_ = std::make_unique<FakeKubelet>(dir_ / "dp");
  EXPECT_TRUE(Eventually([&] { return kubelet_->Count("Healthy") == 2; }));
}

TEST_F(PluginTest, TwoInstancesOverlap) {
  StartAndRegister();
  const std::string old_socket = session_->socket();
  KubeletSession second({RegistrationMode::kRegister, dir_ / "dp", kResourceName, {}, milliseconds(200)}, table_,
                        metrics_);
  second.Start();
  EXPECT_TRUE(Eventually([&] { return kubelet_->registrations() == 2; }));
  EXPECT_TRUE(Exists(old_socket));
  session_->Stop();
  EXPECT_FALSE(Exists(old_socket));
  v1beta1::AllocateResponse response;
  EXPECT_TRUE(Allocate({{kGpu0}}, &response).ok());
  second.Stop();
}

// Both may have registered in either order when the kubelet came back, and it forgets the one with the other.
TEST_F(PluginTest, TheInstanceThatStaysRegistersAgainWhenTheOtherHasGone) {
  KubeletSession second({RegistrationMode::kRegister, dir_ / "dp", kResourceName, {}, milliseconds(200)}, table_,
                        metrics_);
  second.Start();
  ASSERT_TRUE(Eventually([&] { return kubelet_->registrations() == 1; }));
  StartAndRegister();  // the last to register, and the first to go
  ASSERT_TRUE(Eventually([&] { return kubelet_->registrations() == 2; }));
  session_->Stop();
  EXPECT_TRUE(Eventually([&] { return kubelet_->registrations() >= 3 && kubelet_->stream_open(); }));
  EXPECT_EQ(dir_ / "dp/" + kubelet_->last().endpoint(), second.socket());
  second.Stop();
}

TEST_F(PluginTest, WatcherModeAnswersTheKubeletsQuestion) {
  Start(RegistrationMode::kWatcher);
  ASSERT_TRUE(Eventually([&] { return !session_->socket().empty() && table_.Get()->gpus.size() == 2; }));
  auto channel = grpc::CreateChannel("unix:" + session_->socket(), grpc::InsecureChannelCredentials());
  auto stub = pluginregistration::Registration::NewStub(channel);
  pluginregistration::PluginInfo info;
  grpc::ClientContext context;
  ASSERT_TRUE(stub->GetInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.type(), "DevicePlugin");
  EXPECT_EQ(info.name(), "ccgpu.dev/cc-gpu");
  EXPECT_EQ(info.supported_versions(0), "v1beta1");
  pluginregistration::RegistrationStatus status;
  status.set_plugin_registered(true);
  pluginregistration::RegistrationStatusResponse done;
  grpc::ClientContext context2;
  ASSERT_TRUE(stub->NotifyRegistrationStatus(&context2, status, &done).ok());
  EXPECT_TRUE(metrics_.registered);
  EXPECT_EQ(kubelet_->registrations(), 0);
  grpc::ClientContext context3;
  v1beta1::ListAndWatchResponse list;
  auto reader = v1beta1::DevicePlugin::NewStub(channel)->ListAndWatch(&context3, {});
  ASSERT_TRUE(reader->Read(&list));
  EXPECT_EQ(list.devices_size(), 2);
  context3.TryCancel();
  (void)reader->Finish();
}

// Somebody's plugin under our name was killed: its socket stays, our stream is open, and the kubelet has no GPU of
// ours.
TEST_F(PluginTest, RegistersAgainWhenTheKubeletSaysThatItKnowsNoGpuOfOurs) {
  pod_resources_socket_ = dir_ / "pr.sock";
  FakePodResources pod_resources(pod_resources_socket_);
  pod_resources.Knows({kGpu0, kGpu1});
  StartAndRegister();
  ASSERT_TRUE(Eventually([&] { return pod_resources.asked() >= 4; }));
  EXPECT_EQ(kubelet_->registrations(), 1) << "it knows them all";
  pod_resources.Knows({"Foreign-1", kGpu1});
  EXPECT_TRUE(Eventually([&] { return kubelet_->registrations() == 2 && kubelet_->Count("Healthy") == 2; }));
  pod_resources.Knows({kGpu0, kGpu1});
  EXPECT_GE(metrics_.forgotten, 1u);
}

TEST_F(PluginTest, AGpuThatIsNotHealthyNeedNotBeKnown) {
  pod_resources_socket_ = dir_ / "pr.sock";
  FakePodResources pod_resources(pod_resources_socket_);
  pod_resources.Knows({kGpu0, kGpu1});
  StartAndRegister();
  auto gpus = emulator_->Get();
  gpus[1].set_healthy(false);
  emulator_->Set(gpus);
  ASSERT_TRUE(Eventually([&] { return kubelet_->Count("Unhealthy") == 1; }));
  pod_resources.Knows({kGpu0});
  const int asked = pod_resources.asked();
  ASSERT_TRUE(Eventually([&] { return pod_resources.asked() >= asked + 4; }));
  EXPECT_EQ(kubelet_->registrations(), 1);
}

TEST_F(PluginTest, AKubeletThatDoesNotSayWhatItKnowsIsLeftAlone) {
  pod_resources_socket_ = dir_ / "nobody.sock";
  StartAndRegister();
  FakePodResources later(pod_resources_socket_);
  later.Knows({kGpu0, kGpu1});
  ASSERT_TRUE(Eventually([&] { return later.asked() >= 2; }));
  EXPECT_EQ(kubelet_->registrations(), 1);
  EXPECT_EQ(metrics_.forgotten, 0u);
}

}  // namespace
}  // namespace ccgpu::deviceplugin
