// The device manager and its two sockets against the plugin's own fake: a plugin played by the test.
#include "node/devices/device_manager.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "device-plugin/api/podresources.grpc.pb.h"
#include "device-plugin/api/v1beta1.grpc.pb.h"
#include "node/devices/kubelet_server.h"

namespace ccgpu::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) ::poll(nullptr, 0, 5);
  return condition();
}

class FakePlugin final : public v1beta1::DevicePlugin::Service {
 public:
  FakePlugin(const std::string& socket, std::vector<std::pair<std::string, bool>> devices)
      : devices_(std::move(devices)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakePlugin() override {
    stopping_ = true;
    server_->Shutdown(std::chrono::system_clock::now());
  }
  void Set(std::vector<std::pair<std::string, bool>> devices) {
    std::lock_guard lock(mutex_);
    devices_ = std::move(devices);
    version_++;
  }
  grpc::Status GetDevicePluginOptions(grpc::ServerContext*, const v1beta1::Empty*,
                                      v1beta1::DevicePluginOptions* options) override {
    options->set_get_preferred_allocation_available(prefer_last);
    options->set_pre_start_required(true);
    return fail_options ? grpc::Status(grpc::StatusCode::INTERNAL, "broken") : grpc::Status::OK;
  }
  grpc::Status ListAndWatch(grpc::ServerContext* context, const v1beta1::Empty*,
                            grpc::ServerWriter<v1beta1::ListAndWatchResponse>* writer) override {
    for (int sent = -1; !stopping_ && !context->IsCancelled(); ::poll(nullptr, 0, 5)) {
      std::lock_guard lock(mutex_);
      if (sent == version_) continue;
      sent = version_;
      v1beta1::ListAndWatchResponse list;
      for (const auto& [id, healthy] : devices_) {
        auto* device = list.add_devices();
        device->set_id(id);
        device->set_health(healthy ? "Healthy" : "Unhealthy");
        device->mutable_topology()->add_nodes()->set_id(1);
      }
      writer->Write(list);
    }
    return grpc::Status::OK;
  }
  grpc::Status GetPreferredAllocation(grpc::ServerContext*, const v1beta1::PreferredAllocationRequest* request,
                                      v1beta1::PreferredAllocationResponse* response) override {
    const auto& ids = request->container_requests(0).available_deviceids();
    auto* answer = response->add_container_responses();
    for (int i = 0; i < request->container_requests(0).allocation_size(); ++i)
      answer->add_deviceids(ids[ids.size() - 1 - i]);
    return grpc::Status::OK;
  }
  grpc::Status Allocate(grpc::ServerContext*, const v1beta1::AllocateRequest* request,
                        v1beta1::AllocateResponse* response) override {
    allocations++;
    if (refuse) return {grpc::StatusCode::FAILED_PRECONDITION, "GPU-9: is unhealthy [plugin.unhealthy-device]"};
    auto* answer = response->add_container_responses();
    for (const auto& id : request->container_requests(0).devices_ids()) (*answer->mutable_envs())[id] = "yes";
    return grpc::Status::OK;
  }
  grpc::Status PreStartContainer(grpc::ServerContext*, const v1beta1::PreStartContainerRequest*,
                                 v1beta1::PreStartContainerResponse*) override {
    pre_starts++;
    return refuse ? grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "no") : grpc::Status::OK;
  }
  std::atomic<bool> refuse{false}, prefer_last{false}, fail_options{false};
  std::atomic<int> allocations{0}, pre_starts{0};

 private:
  std::mutex mutex_;
  std::vector<std::pair<std::string, bool>> devices_;
  int version_ = 0;
  std::atomic<bool> stopping_{false};
  std::unique_ptr<grpc::Server> server_;
};

constexpr char kResource[] = "ccgpu.dev/cc-gpu";

class DeviceManagerTest : public ::testing::Test {
 protected:
  DeviceManagerTest() {
    std::filesystem::create_directories(dir_ / "dp");
    Open();
  }
  ~DeviceManagerTest() override {
    server_.reset();
    if (manager_) manager_->StopAll();
    manager_.reset();
    plugin_.reset();
  }
  void Open() {
    server_.reset();
    if (manager_) manager_->StopAll();
    auto opened = DeviceManager::Open(dir_ / "checkpoint");
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    manager_ = std::move(*opened);
    auto server = KubeletServer::Start(dir_ / "dp", dir_ / "pr", *manager_);
    ASSERT_TRUE(server.ok()) << server.error().ToString();
    server_ = std::move(*server);
  }
  std::string Register(const std::string& endpoint, const std::string& resource = kResource,
                       const std::string& version = "v1beta1") {
    auto stub = v1beta1::Registration::NewStub(
        grpc::CreateChannel("unix:" + dir_ / "dp/kubelet.sock", grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    v1beta1::RegisterRequest request;
    request.set_version(version);
    request.set_endpoint(endpoint);
    request.set_resource_name(resource);
    v1beta1::Empty response;
    return stub->Register(&context, request, &response).error_message();
  }
  void StartPlugin(std::vector<std::pair<std::string, bool>> devices, const std::string& name = "p.sock") {
    const auto healthy = std::count_if(devices.begin(), devices.end(), [](const auto& d) { return d.second; });
    plugin_ = std::make_unique<FakePlugin>(dir_ / "dp/" + name, std::move(devices));
    ASSERT_EQ(Register(name), "");
    ASSERT_TRUE(Eventually([&] { return manager_->Allocatable()[kResource] == healthy; }));
  }
  std::string Admit(const std::string& uid, std::vector<ContainerDemand> demands) {
    auto status = manager_->Admit(uid, {"default", uid}, demands);
    return status.ok() ? "" : status.error().code;
  }
  std::string AdmitOne(const std::string& uid, int64_t count) {
    return Admit(uid, {{"app", false, {{kResource, count}}}});
  }
  std::vector<std::string> Ids(const std::string& uid, const std::string& container = "app") {
    std::vector<std::string> out;
    for (const auto& held : manager_->Held()) {
      if (held.pod_uid == uid && held.entry.container == container) out = held.entry.Ids();
    }
    return out;
  }

  const TempDir dir_;
  std::unique_ptr<DeviceManager> manager_;
  std::unique_ptr<KubeletServer> server_;
  std::unique_ptr<FakePlugin> plugin_;
};

TEST_F(DeviceManagerTest, GivesEachDeviceOnce) {
  StartPlugin({{"a", true}, {"b", true}});
  EXPECT_EQ(AdmitOne("one", 1), "");
  EXPECT_EQ(AdmitOne("two", 1), "");
  EXPECT_NE(Ids("one"), Ids("two"));
  EXPECT_EQ(AdmitOne("three", 1), "node.insufficient-devices");
  manager_->Release("one");
  EXPECT_EQ(AdmitOne("three", 1), "");
  EXPECT_EQ(manager_->Answer("three", "app")->envs().size(), 1u);
  EXPECT_EQ(manager_->Answer("three", "other")->envs().size(), 0u);
}

TEST_F(DeviceManagerTest, AllOrNothing) {
  StartPlugin({{"a", true}, {"b", true}});
  EXPECT_EQ(Admit("one", {{"x", false, {{kResource, 1}}}, {"y", false, {{kResource, 2}}}}),
            "node.insufficient-devices");
  EXPECT_TRUE(manager_->Held().empty());
  EXPECT_EQ(AdmitOne("two", 2), "");
}

TEST_F(DeviceManagerTest, InitContainersHandTheirDevicesOn) {
  StartPlugin({{"a", true}, {"b", true}});
  EXPECT_EQ(
      Admit("one", {{"i", true, {{kResource, 2}}}, {"x", false, {{kResource, 1}}}, {"y", false, {{kResource, 1}}}}),
      "");
  EXPECT_NE(Ids("one", "x"), Ids("one", "y"));
  EXPECT_EQ(AdmitOne("two", 1), "node.insufficient-devices");
}

TEST_F(DeviceManagerTest, RefusesWithoutPluginOrHealth) {
  EXPECT_EQ(AdmitOne("one", 1), "node.unknown-resource");
  EXPECT_EQ(Admit("none", {{"app", false, {}}}), "");
  StartPlugin({{"a", false}});
  EXPECT_EQ(AdmitOne("one", 1), "node.no-healthy-devices");
  plugin_->Set({{"a", true}});
  ASSERT_TRUE(Eventually([&] { return manager_->Allocatable()[kResource] == 1; }));
  EXPECT_EQ(AdmitOne("one", 1), "");
}

TEST_F(DeviceManagerTest, KeepsThePluginsOwnReason) {
  StartPlugin({{"a", true}});
  plugin_->refuse = true;
  auto status = manager_->Admit("one", {"default", "one"}, {{"app", false, {{kResource, 1}}}});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, "plugin.unhealthy-device");
  EXPECT_THAT(status.error().subject, HasSubstr("GPU-9"));
  EXPECT_TRUE(manager_->Held().empty());
}

TEST_F(DeviceManagerTest, FollowsThePluginsPreference) {
  auto plugin = std::make_unique<FakePlugin>(
      dir_ / "dp/q.sock", std::vector<std::pair<std::string, bool>>{{"a", true}, {"b", true}, {"c", true}});
  plugin->prefer_last = true;
  plugin_ = std::move(plugin);
  ASSERT_EQ(Register("q.sock"), "");
  ASSERT_TRUE(Eventually([&] { return manager_->Allocatable()[kResource] == 3; }));
  EXPECT_EQ(AdmitOne("one", 1), "");
  EXPECT_THAT(Ids("one"), ElementsAre("c"));
}

TEST_F(DeviceManagerTest, PreStartAsksThePlugin) {
  StartPlugin({{"a", true}});
  ASSERT_EQ(AdmitOne("one", 1), "");
  EXPECT_TRUE(manager_->PreStart("one", "app").ok());
  EXPECT_TRUE(manager_->PreStart("one", "without").ok());
  EXPECT_EQ(plugin_->pre_starts, 1);
  plugin_->refuse = true;
  EXPECT_EQ(manager_->PreStart("one", "app").error().code, "node.prestart-failed");
  plugin_.reset();
  ASSERT_TRUE(Eventually([&] { return manager_->Allocatable()[kResource] == 0; }));
  EXPECT_EQ(manager_->PreStart("one", "app").error().code, "node.no-healthy-devices");
}

TEST_F(DeviceManagerTest, APluginThatGoesLeavesCapacityAndPods) {
  StartPlugin({{"a", true}, {"b", true}});
  ASSERT_EQ(AdmitOne("one", 1), "");
  plugin_.reset();
  ASSERT_TRUE(Eventually([&] { return manager_->Allocatable()[kResource] == 0; }));
  EXPECT_EQ(manager_->Capacity()[kResource], 2);
  EXPECT_EQ(Ids("one").size(), 1u);
  EXPECT_EQ(manager_->UnhealthyHeld().size(), 1u);
  EXPECT_EQ(AdmitOne("two", 1), "node.no-healthy-devices");
  StartPlugin({{"a", true}, {"b", true}}, "again.sock");
  EXPECT_TRUE(manager_->UnhealthyHeld().empty());
  EXPECT_EQ(AdmitOne("two", 1), "");
  EXPECT_NE(Ids("one"), Ids("two"));
}

TEST_F(DeviceManagerTest, ASecondInstanceTakesOverAndTheFirstIsTheSpare) {
  StartPlugin({{"a", true}});
  auto first = std::move(plugin_);
  StartPlugin({{"a", true}, {"b", true}}, "second.sock");
  EXPECT_EQ(manager_->Allocatable()[kResource], 2);
  plugin_.reset();
  EXPECT_TRUE(Eventually([&] { return manager_->Allocatable()[kResource] == 1; }));  // the first one again
  EXPECT_EQ(AdmitOne("one", 1), "");
  EXPECT_EQ(first->allocations, 1);
}

TEST_F(DeviceManagerTest, AssignmentsSurviveARestart) {
  StartPlugin({{"a", true}, {"b", true}});
  ASSERT_EQ(AdmitOne("keeps", 1), "");
  ASSERT_EQ(AdmitOne("gone", 1), "");
  const auto before = Ids("keeps");
  Open();
  // Nothing is allocatable until the plugin registers again; what is known is unhealthy, not unknown.
  EXPECT_EQ(AdmitOne("three", 1), "node.no-healthy-devices");
  ASSERT_TRUE(manager_->RestorePods({{"keeps", {"default", "keeps"}}}).ok());
  EXPECT_EQ(Ids("keeps"), before);
  EXPECT_TRUE(Ids("gone").empty());
  StartPlugin({{"a", true}, {"b", true}}, "again.sock");
  EXPECT_EQ(AdmitOne("three", 1), "");
  EXPECT_NE(Ids("three"), before);
  EXPECT_EQ(manager_->Answer("keeps", "app")->envs().count(before[0]), 1u);
}

TEST_F(DeviceManagerTest, ADamagedCheckpointStopsTheNode) {
  ASSERT_TRUE(WriteFileAtomic(dir_ / "checkpoint", "{}").ok());
  auto opened = DeviceManager::Open(dir_ / "checkpoint");
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, "node.bad-checkpoint");
}

TEST_F(DeviceManagerTest, RefusesBadRegistrations) {
  StartPlugin({{"a", true}});
  EXPECT_THAT(Register("p.sock", kResource, "v1alpha1"), HasSubstr("node.bad-registration"));
  for (const char* resource : {"gpu", "/x", "x/", "a.kubernetes.io/x", "requests.x/y"})
    EXPECT_THAT(Register("p.sock", resource), HasSubstr("node.bad-registration"));
  EXPECT_THAT(Register("../p.sock"), HasSubstr("node.bad-registration"));
  EXPECT_THAT(Register(""), HasSubstr("node.bad-registration"));
  EXPECT_THAT(Register("nobody.sock"), HasSubstr("node.plugin-unreachable"));
  plugin_->fail_options = true;
  EXPECT_THAT(Register("p.sock"), HasSubstr("failed to get device plugin options"));
}

TEST_F(DeviceManagerTest, PodResourcesTellsWhoHoldsWhat) {
  StartPlugin({{"a", true}, {"b", true}, {"c", false}});
  ASSERT_EQ(Admit("one", {{"x", false, {{kResource, 1}}}, {"y", false, {{kResource, 1}}}}), "");
  auto stub = ::v1::PodResourcesLister::NewStub(
      grpc::CreateChannel("unix:" + dir_ / "pr/kubelet.sock", grpc::InsecureChannelCredentials()));
  ::v1::ListPodResourcesResponse list;
  grpc::ClientContext c1;
  ASSERT_TRUE(stub->List(&c1, {}, &list).ok());
  ASSERT_EQ(list.pod_resources_size(), 1);
  EXPECT_EQ(list.pod_resources(0).name(), "one");
  ASSERT_EQ(list.pod_resources(0).containers_size(), 2);
  EXPECT_EQ(list.pod_resources(0).containers(0).devices(0).topology().nodes(0).id(), 1);
  ::v1::GetPodResourcesRequest request;
  request.set_pod_name("one");
  request.set_pod_namespace("default");
  ::v1::GetPodResourcesResponse got;
  grpc::ClientContext c2;
  ASSERT_TRUE(stub->Get(&c2, request, &got).ok());
  EXPECT_EQ(got.pod_resources().containers_size(), 2);
  request.set_pod_namespace("other");
  grpc::ClientContext c3;
  EXPECT_EQ(stub->Get(&c3, request, &got).error_code(), grpc::StatusCode::NOT_FOUND);
  ::v1::AllocatableResourcesResponse allocatable;
  grpc::ClientContext c4;
  ASSERT_TRUE(stub->GetAllocatableResources(&c4, {}, &allocatable).ok());
  EXPECT_EQ(allocatable.devices_size(), 2);  // healthy ones
}

TEST_F(DeviceManagerTest, OneKubeletForAFolder) {
  auto second = KubeletServer::Start(dir_ / "dp", dir_ / "pr", *manager_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, "node.socket");
}

TEST_F(DeviceManagerTest, AdmissionsFromManyThreads) {
  std::vector<std::pair<std::string, bool>> devices;
  for (int i = 0; i < 8; ++i) devices.emplace_back("d" + std::to_string(i), true);
  StartPlugin(devices);
  std::vector<std::thread> threads;
  std::atomic<int> admitted{0};
  for (int i = 0; i < 16; ++i)
    threads.emplace_back([&, i] { admitted += AdmitOne("p" + std::to_string(i), 1).empty(); });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(admitted, 8);
  std::set<std::string> all;
  for (const auto& held : manager_->Held()) all.insert(held.entry.Ids().front());
  EXPECT_EQ(all.size(), 8u);
}

}  // namespace
}  // namespace ccgpu::node
