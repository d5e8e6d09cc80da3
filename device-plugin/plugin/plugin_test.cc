// What the plugin tells a kubelet, shims and Prometheus.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/testing/temp_dir.h"
#include "base/ttrpc/client.h"
#include "device-plugin/plugin/cdi_spec.h"
#include "device-plugin/plugin/config.h"
#include "device-plugin/plugin/http.h"
#include "device-plugin/plugin/resolver.h"
#include "device-plugin/plugin/test_plugin.h"

namespace ccgpu::deviceplugin {
namespace {

using ::testing::HasSubstr;

TEST_F(PluginTest, RegistersAndListsDevicesWithTopology) {
  StartAndRegister();
  EXPECT_EQ(kubelet_->last().version(), "v1beta1");
  EXPECT_EQ(kubelet_->last().resource_name(), "ccgpu.dev/cc-gpu");
  EXPECT_EQ(kubelet_->last().endpoint().find('/'), std::string::npos);
  EXPECT_TRUE(kubelet_->last().options().pre_start_required());
  EXPECT_TRUE(kubelet_->last().options().get_preferred_allocation_available());
  const auto devices = kubelet_->devices();
  EXPECT_EQ(devices[0].id(), kGpu0);
  EXPECT_EQ(devices[1].topology().nodes(0).id(), 1);
  EXPECT_LE(devices[0].id().size(), 63u);
  struct stat info;
  ASSERT_EQ(::stat((dir_ / "dp/" + kubelet_->last().endpoint()).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(PluginTest, HealthGoesAndComesBackForOneDeviceAlone) {
  StartAndRegister();
  auto sick = emulator_->Get();
  sick[1].set_healthy(false);
  sick[1].set_health_reason("gpu.link-down");
  emulator_->Set(sick);
  EXPECT_TRUE(
      Eventually([&] { return kubelet_->Count("Unhealthy") == 1 && kubelet_->devices()[0].health() == "Healthy"; }));
  v1beta1::AllocateResponse response;
  const auto refused = Allocate({{kGpu1}}, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr("gpu.link-down"));
  EXPECT_TRUE(Allocate({{kGpu0}}, &response).ok());
  sick[1].set_healthy(true);
  emulator_->Set(sick);
  EXPECT_TRUE(Eventually([&] { return kubelet_->Count("Healthy") == 2; }));
  EXPECT_EQ(kubelet_->registrations(), 1);
}

TEST_F(PluginTest, EmulatorGoneMeansUnhealthyUntilItIsBack) {
  StartAndRegister();
  emulator_.reset();
  EXPECT_TRUE(Eventually([&] { return kubelet_->Count("Unhealthy") == 2; }));
  v1beta1::AllocateResponse response;
  EXPECT_EQ(Allocate({{kGpu0}}, &response).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  emulator_ = std::make_unique<StubEmulator>(dir_ / "emulator.sock");
  emulator_->Set({StubEmulator::MakeGpu(0, 0), StubEmulator::MakeGpu(1, 1)});
  EXPECT_TRUE(Eventually([&] { return kubelet_->Count("Healthy") == 2; }));
}

TEST_F(PluginTest, AHungEmulatorIsNoticed) {
  StartAndRegister();
  emulator_->Hang(true);
  EXPECT_TRUE(Eventually([&] { return kubelet_->Count("Unhealthy") == 2; }));
  emulator_->Hang(false);
  EXPECT_TRUE(Eventually([&] { return kubelet_->Count("Healthy") == 2; }));
}

TEST_F(PluginTest, OtherModesAreUnhealthyWhereTheOperatorSaysSo) {
  auto gpus = emulator_->Get();
  gpus[1].set_mode("devtools");
  emulator_->Set(gpus);
  Start(RegistrationMode::kRegister, {"hopper-cc"});
  EXPECT_TRUE(Eventually([&] { return kubelet_->Count("Healthy") == 1 && kubelet_->Count("Unhealthy") == 1; }));
}

TEST_F(PluginTest, AllocateAnswersEachContainer) {
  StartAndRegister();
  v1beta1::AllocateResponse response;
  ASSERT_TRUE(Allocate({{kGpu0}, {kGpu1}}, &response).ok());
  ASSERT_EQ(response.container_responses_size(), 2);
  const auto& one = response.container_responses(1);
  EXPECT_EQ(one.envs().at("CCGPU_VISIBLE_DEVICES"), kGpu1);
  EXPECT_EQ(one.annotations().at("cdi.k8s.io/ccgpu_" + kGpu1), "ccgpu.dev/cc-gpu=" + kGpu1);
  EXPECT_EQ(one.cdi_devices(0).name(), "ccgpu.dev/cc-gpu=" + kGpu1);
  EXPECT_EQ(one.devices_size() + one.mounts_size(), 0);  // nothing of the host's goes into the container
  v1beta1::AllocateResponse again;
  ASSERT_TRUE(Allocate({{kGpu0}, {kGpu1}}, &again).ok());
  EXPECT_EQ(again.SerializeAsString().size(), response.SerializeAsString().size());
}

TEST_F(PluginTest, AllocateIsStrict) {
  StartAndRegister();
  v1beta1::AllocateResponse response;
  for (const auto& containers : std::vector<std::vector<std::vector<std::string>>>{
           {}, {{}}, {{"GPU-x"}}, {{kGpu0, kGpu0}}, {{kGpu0}, {kGpu0}}, {{kGpu0}, {"GPU-x"}}}) {
    EXPECT_EQ(Allocate(containers, &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(response.container_responses_size(), 0);
  }
}

TEST_F(PluginTest, AllocateWaitsForAScrubAndGivesUpAtItsOwnDeadline) {
  StartAndRegister();
  auto held = emulator_->Get();
  held[0].set_sandbox_id("old-pod");
  emulator_->Set(held);
  ASSERT_TRUE(Eventually([&] { return table_.Get()->Find(kGpu0)->sandbox_id == "old-pod"; }));
  v1beta1::AllocateResponse response;
  const auto start = std::chrono::steady_clock::now();
  const auto refused = Allocate({{kGpu0}}, &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr("old-pod"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(5000));
  std::thread freeing([&] {
    held[0].set_sandbox_id("");
    emulator_->Set(held);
  });
  EXPECT_TRUE(Allocate({{kGpu0}}, &response).ok());
  freeing.join();
}

TEST_F(PluginTest, PreStartChecksHealthAgain) {
  StartAndRegister();
  auto call = [&](const std::string& id) {
    grpc::ClientContext context;
    v1beta1::PreStartContainerRequest request;
    request.add_devices_ids(id);
    v1beta1::PreStartContainerResponse response;
    return kubelet_->plugin().PreStartContainer(&context, request, &response).error_code();
  };
  EXPECT_EQ(call(kGpu0), grpc::StatusCode::OK);
  EXPECT_EQ(call("GPU-x"), grpc::StatusCode::INVALID_ARGUMENT);
  auto gpus = emulator_->Get();
  gpus[0].set_healthy(false);
  emulator_->Set(gpus);
  EXPECT_TRUE(Eventually([&] { return call(kGpu0) == grpc::StatusCode::FAILED_PRECONDITION; }));
}

TEST_F(PluginTest, CdiSpecIsThereBeforeTheDevices) {
  StartAndRegister();
  auto text = ReadFile(dir_ / "cdi/ccgpu.dev-cc-gpu.json");
  ASSERT_TRUE(text.ok());
  auto json = ParseJson(*text, "cdi");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ((*json)["cdiVersion"], "0.5.0");
  EXPECT_EQ((*json)["kind"], "ccgpu.dev/cc-gpu");
  ASSERT_EQ((*json)["devices"].size(), 2u);
  EXPECT_EQ((*json)["devices"][0]["name"], kGpu0);
  EXPECT_EQ((*json)["devices"][0]["containerEdits"]["env"][0], "CCGPU_GPU_UUIDS=" + kGpu0);
  EXPECT_EQ((*json)["devices"][0]["containerEdits"].size(), 1u);
}

TEST_F(PluginTest, NoCdiSpecNoDevice) {
  ASSERT_TRUE(WriteFileAtomic(dir_ / "cdi", "in the way").ok());  // a file where the folder should be
  Start();
  EXPECT_TRUE(Eventually([&] { return kubelet_->Count("Unhealthy") == 2; }));
  EXPECT_GT(metrics_.cdi_write_failures, 0u);
}

::v1::PodResources PodHolding(const std::string& name, const std::string& resource, const std::string& id) {
  ::v1::PodResources pod;
  pod.set_name(name);
  pod.set_namespace_("default");
  auto* container = pod.add_containers();
  container->set_name("app");
  auto* devices = container->add_devices();
  devices->set_resource_name(resource);
  devices->add_device_ids(id);
  return pod;
}

TEST_F(PluginTest, ResolverTellsShimsWhichGpusAPodHolds) {
  StartAndRegister();
  FakePodResources pod_resources(dir_ / "pr.sock");
  pod_resources.pods = {PodHolding("one", kResourceName, kGpu1), PodHolding("other", "example.com/thing", "Dev-1"),
                        PodHolding("odd", kResourceName, "GPU-x")};
  Resolver resolver(dir_ / "pr.sock", kResourceName, table_, metrics_);
  ASSERT_TRUE(resolver.Serve(dir_ / "resolver.sock").ok());
  auto client = ttrpc::Client::ConnectUnix(dir_ / "resolver.sock");
  ASSERT_TRUE(client.ok());
  auto ask = [&](const std::string& name) {
    deviceplugin::v1::PodGpusRequest request;
    request.set_pod_name(name);
    request.set_pod_namespace("default");
    return client->Call<deviceplugin::v1::PodGpusResponse>("ccgpu.deviceplugin.v1.Resolver", "PodGpus", request,
                                                           milliseconds(5000));
  };
  for (bool get : {true, false}) {
    pod_resources.get_enabled = get;
    auto answer = ask("one");
    ASSERT_TRUE(answer.ok()) << answer.error().ToString();
    ASSERT_EQ(answer->containers_size(), 1);
    EXPECT_EQ(answer->containers(0).container_name(), "app");
    EXPECT_EQ(answer->containers(0).gpus(0).device_id(), kGpu1);
    EXPECT_EQ(answer->containers(0).gpus(0).cdi_name(), "ccgpu.dev/cc-gpu=" + kGpu1);
    EXPECT_EQ(answer->containers(0).gpus(0).index(), 1u);
  }
  EXPECT_GT(pod_resources.lists, 0);
  auto none = ask("other");
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(none->containers_size(), 0);
  EXPECT_EQ(ask("nobody").ok() ? ask("nobody")->containers_size() : -1, 0);
  auto odd = ask("odd");
  ASSERT_FALSE(odd.ok());
  EXPECT_EQ(odd.error().code, "plugin.unknown-device");
}

TEST_F(PluginTest, ResolverFailsWhenNobodyKnows) {
  Resolver resolver(dir_ / "nobody.sock", kResourceName, table_, metrics_);
  auto answer = resolver.PodGpus("one", "default");
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, "plugin.pod-resources-unavailable");
}

TEST_F(PluginTest, MetricsAndHealth) {
  auto http = ServeHttp("127.0.0.1:0", table_, metrics_);
  ASSERT_TRUE(http.ok());
  httplib::Client client("127.0.0.1", (*http)->port());
  auto ready = client.Get("/readyz");
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->status, 503);
  StartAndRegister();
  v1beta1::AllocateResponse response;
  ASSERT_TRUE(Allocate({{kGpu0}}, &response).ok());
  EXPECT_TRUE(Eventually([&] { return client.Get("/readyz")->status == 200; }));
  EXPECT_EQ(client.Get("/healthz")->status, 200);
  const std::string text = client.Get("/metrics")->body;
  EXPECT_THAT(text, HasSubstr("ccgpu_device_plugin_devices{health=\"healthy\"} 2"));
  EXPECT_THAT(text, HasSubstr("ccgpu_device_plugin_allocations_total{result=\"ok\"} 1"));
  EXPECT_THAT(text, HasSubstr("ccgpu_device_plugin_allocate_seconds_bucket{le=\"0.001\"} 1"));
  EXPECT_THAT(text, HasSubstr("ccgpu_device_plugin_registered 1"));
  EXPECT_FALSE(ServeHttp("127.0.0.1:" + std::to_string((*http)->port()), table_, metrics_).ok());
  EXPECT_EQ(ServeHttp("nonsense", table_, metrics_).error().code, "plugin.bad-config");
}

std::vector<GpuView> ManyGpus(size_t count) {
  std::vector<GpuView> gpus(count);
  for (size_t i = 0; i < count; ++i) {
    char id[64];
    std::snprintf(id, sizeof id, "GPU-%08zx-0000-4000-8000-000000000000", i);
    gpus[i] = {id, static_cast<uint32_t>(i), true, "", 0, "hopper-cc", "UNLOCKED", ""};
  }
  return gpus;
}

TEST_F(PluginTest, AllocateIsFastAmongAThousandDevices) {
  table_.Replace(ManyGpus(1000));
  session_ = std::make_unique<KubeletSession>(
      SessionOptions{RegistrationMode::kRegister, dir_ / "dp", kResourceName, {}, milliseconds(200)}, table_, metrics_);
  session_->Start();
  ASSERT_TRUE(Eventually([&] { return kubelet_->Count("Healthy") == 1000; }));
  v1beta1::AllocateResponse response;
  std::vector<double> times;
  for (size_t i = 0; i < 2000; ++i) {
    const std::string id = table_.Get()->gpus[i * 7 % 1000].id;
    const auto start = std::chrono::steady_clock::now();
    ASSERT_TRUE(Allocate({{id}}, &response).ok());
    times.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  RecordProperty("allocate_p99_ms", std::to_string(times[1980]));
  std::printf("Allocate over its socket, 1,000 devices: p50 %.3f ms, p99 %.3f ms (aim p99 < 1 ms)\n", times[1000],
              times[1980]);
  EXPECT_LT(times[1000], 1.0);
}

// A message over 4 MiB would only be logged by the kubelet: it is refused here, and not tried again and again.
TEST_F(PluginTest, MoreDevicesThanAMessageHoldsAreRefusedClearly) {
  table_.Replace(ManyGpus(90000));
  session_ = std::make_unique<KubeletSession>(
      SessionOptions{RegistrationMode::kRegister, dir_ / "dp", kResourceName, {}, milliseconds(200)}, table_, metrics_);
  session_->Start();
  ASSERT_TRUE(Eventually([&] { return kubelet_->registrations() == 1; }));
  v1beta1::ListAndWatchResponse message;
  grpc::ClientContext context;
  auto stream = kubelet_->plugin().ListAndWatch(&context, {});
  EXPECT_FALSE(stream->Read(&message));
  const auto status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(status.error_message().find("plugin.list-too-large"), std::string::npos) << status.error_message();
  EXPECT_EQ(kubelet_->registrations(), 1);
}

TEST(Config, FileThenChecks) {
  const TempDir dir;
  const std::string path = dir / "config.yaml";
  ASSERT_TRUE(WriteFileAtomic(path,
                              "apiVersion: ccgpu.dev/v1alpha1\nkind: DevicePluginConfig\nspec:\n  mode: watcher\n  "
                              "allowedModes: [hopper-cc]\n  http: ''\n")
                  .ok());
  Config config;
  ASSERT_TRUE(LoadConfig(path, config).ok());
  EXPECT_EQ(config.mode, "watcher");
  EXPECT_EQ(config.http, "");
  config.FillFrom("/s");
  EXPECT_EQ(config.resolver_socket, "/s/run/resolver.sock");
  EXPECT_TRUE(CheckConfig(config).ok());
  ASSERT_TRUE(
      WriteFileAtomic(path, "apiVersion: ccgpu.dev/v1alpha1\nkind: DevicePluginConfig\nspec:\n  moode: watcher\n")
          .ok());
  auto bad = LoadConfig(path, config);
  ASSERT_FALSE(bad.ok());
  EXPECT_THAT(bad.error().subject, HasSubstr(":4:3: spec.moode"));
  for (const char* resource : {"gpu", "/gpu", "x/", "x.kubernetes.io/gpu"}) {
    Config wrong = config;
    wrong.resource = resource;
    EXPECT_FALSE(CheckConfig(wrong).ok()) << resource;
  }
}

}  // namespace
}  // namespace ccgpu::deviceplugin
