#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>

#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "device-plugin/testing/stub_emulator.h"
#include "kube/names.h"
#include "kube/testing/fake_api.h"
#include "node-manager/service/manager.h"

namespace ccgpu::nodemanager {
namespace {

using deviceplugin::StubEmulator;
using kube::testing::FakeApi;
using ::testing::HasSubstr;

TEST(Config, EveryKeyAndNothingElse) {
  const TempDir folder;
  const std::string file = folder / "config.yaml";
  (void)WriteFileAtomic(file, R"(apiVersion: ccgpu.dev/v1alpha1
kind: NodeManagerConfig
spec:
  node: n1
  apiServer: https://10.0.0.1:443
  tokenFile: /t
  caFile: /c
  emulatorSocket: /e
  resolverSocket: /r
  eventsDir: /p
  stateDir: /s
  http: 127.0.0.1:1
  resource: a.b/c
  defaultMode: on
  drainTimeout: 5
  logLevel: debug
)");
  RunConfig config;
  ASSERT_TRUE(LoadConfig(file, config).ok());
  EXPECT_TRUE(CheckConfig(config).ok());
  EXPECT_EQ(config.default_mode, "on");
  EXPECT_EQ(config.drain_timeout, 5);
  EXPECT_EQ(config.state_dir, "/s");
  (void)WriteFileAtomic(file, "apiVersion: ccgpu.dev/v1alpha1\nkind: NodeManagerConfig\nspec:\n  nodes: x\n");
  EXPECT_THAT(LoadConfig(file, config).error().ToString(), HasSubstr("4:"));
  config.default_mode = "warp";
  EXPECT_EQ(CheckConfig(config).error().code, "manager.bad-config");
  config.default_mode = "";
  config.drain_timeout = 0;
  EXPECT_EQ(CheckConfig(config).error().code, "manager.bad-config");
  EXPECT_EQ(CheckConfig(RunConfig{}).error().subject, "node");
}

class ManagerTest : public ::testing::Test {
 protected:
  ManagerTest() {
    (void)MakeDirs(folder_ / "pods");
    emulator_ = std::make_unique<StubEmulator>(folder_ / "emulator.sock");
    auto gpu = StubEmulator::MakeGpu(0);
    gpu.set_model("NVIDIA H100 NVL (EMULATED)");
    emulator_->Set({gpu});
    config_.node = "n1";
    config_.emulator_socket = folder_ / "emulator.sock";
    config_.resolver_socket = "";
    config_.events_dir = folder_ / "pods";
    config_.state_dir = folder_ / "state";
    api_.objects().Create(
        "/api/v1/nodes",
        {{"kind", "Node"},
         {"metadata", {{"name", "n1"}, {"labels", {{kube::kEnabledLabel, "true"}, {kube::kInstalledLabel, "1"}}}}}});
    client_ = kube::Client::Make(api_.access()).value();
    manager_ = std::make_unique<Manager>(config_, *client_, clock_);
  }
  Json Node() { return api_.objects().Get("/api/v1/nodes/n1").body; }
  bool Sees(const std::function<bool()>& holds) { return api_.objects().WaitFor(holds); }
  void Label(const char* label, const Json& value) {
    api_.objects().Patch("/api/v1/nodes/n1", "application/merge-patch+json",
                         {{"metadata", {{"labels", {{label, value}}}}}});
  }
  // Each change of the GPUs wakes the worker, whose rounds read the Node at least once and a few times at most.
  void SomeRoundsPass() {
    for (int i = 0; i < 10; i++) {
      const size_t read = api_.CountRequests("GET /api/v1/nodes/n1");
      if (i % 2 == 0) emulator_->Set({StubEmulator::MakeGpu(0)});
      else emulator_->Set({StubEmulator::MakeGpu(0), StubEmulator::MakeGpu(1)});
      EXPECT_TRUE(Sees([&] { return api_.CountRequests("GET /api/v1/nodes/n1") > read; }));
    }
  }

  const TempDir folder_;
  FakeApi api_;
  SystemClock clock_;
  RunConfig config_;
  std::unique_ptr<StubEmulator> emulator_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<Manager> manager_;
};

TEST_F(ManagerTest, FollowsItsNodeItsGpusAndItsPods) {
  EXPECT_TRUE(Sees([&] { return LabelOf(Node(), kube::kModeStateLabel) == "hopper-cc"; }));
  EXPECT_EQ(LabelOf(Node(), kube::kModelLabel), "NVIDIA-H100-NVL-EMULATED");
  EXPECT_TRUE(Sees([&] { return manager_->NotReadyBecause().empty(); }));
  emulator_->Set({StubEmulator::MakeGpu(0), StubEmulator::MakeGpu(1)});
  EXPECT_TRUE(Sees([&] { return LabelOf(Node(), kube::kCountLabel) == "2"; }));
  // Refused by the label's watch, not by the next round of anything.
  Label(kube::kModeLabel, "warp");
  EXPECT_TRUE(Sees([&] { return LabelOf(Node(), kube::kModeStateLabel) == "failed"; }));

  // A denial reaches the API within the ten seconds that are promised.
  (void)MakeDirs(config_.events_dir + "/sb");
  (void)WriteFileAtomic(config_.events_dir + "/sb/pod.json", R"({"name":"p","namespace":"team","uid":"u"})");
  const auto begin = std::chrono::steady_clock::now();
  std::ofstream(config_.events_dir + "/sb/events.jsonl") << R"({"code":"policy.command","message":"denied"})"
                                                         << "\n";
  EXPECT_TRUE(Sees(
      [&] { return !api_.objects().List("/apis/events.k8s.io/v1/namespaces/team/events", {}).body["items"].empty(); }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  const std::string metrics = manager_->Metrics("1");
  for (const char* line :
       {"ccgpu_node_manager_gpus{mode=\"hopper-cc\",health=\"healthy\"} 2",
        "ccgpu_node_manager_mode_switches_total{result=\"failed\"} 1", "ccgpu_node_manager_emulator_up 1"})
    EXPECT_THAT(metrics, HasSubstr(line));
  emulator_.reset();
  EXPECT_TRUE(Sees([&] { return manager_->NotReadyBecause() == "the emulator does not answer"; }));
  EXPECT_EQ(manager_->NotAliveBecause(), "");
}

TEST_F(ManagerTest, WhenTheRuntimeIsUninstalledNothingOfOursStaysOrComesBack) {
  EXPECT_TRUE(Sees([&] { return LabelOf(Node(), kube::kModeStateLabel) == "hopper-cc"; }));
  EXPECT_TRUE(Sees([&] { return Node()["status"]["conditions"].size() == 1; }));
  (void)MakeDirs(config_.events_dir + "/sb");
  (void)WriteFileAtomic(config_.events_dir + "/sb/pod.json", R"({"name":"p","namespace":"team","uid":"u"})");
  std::ofstream(config_.events_dir + "/sb/events.jsonl") << R"({"code":"policy.command","message":"denied"})"
                                                         << "\n";
  EXPECT_TRUE(Sees([&] { return Exists(config_.state_dir + "/positions.json"); }));
  Label(kube::kInstalledLabel, nullptr);
  EXPECT_TRUE(Sees([&] { return !Exists(config_.state_dir); }));
  EXPECT_TRUE(Sees([&] {
    return Node()["metadata"]["labels"] == Json({{kube::kEnabledLabel, "true"}}) &&
           Node()["status"]["conditions"].empty();
  }));
  emulator_->Set({StubEmulator::MakeGpu(0), StubEmulator::MakeGpu(1), StubEmulator::MakeGpu(2)});
  Label("theirs", "x");
  EXPECT_TRUE(Sees([&] { return manager_->Metrics("1").find("health=\"healthy\"} 3") != std::string::npos; }));
  EXPECT_EQ(Node()["metadata"]["labels"], Json({{kube::kEnabledLabel, "true"}, {"theirs", "x"}}));
  Label(kube::kInstalledLabel, "2");  // installed again
  EXPECT_TRUE(Sees([&] { return LabelOf(Node(), kube::kCountLabel) == "3"; }));
}

TEST_F(ManagerTest, AnEndKeepsEverythingUnlessTheNodeIsOursNoMore) {
  EXPECT_TRUE(Sees([&] { return LabelOf(Node(), kube::kModeStateLabel) == "hopper-cc"; }));
  EXPECT_TRUE(Sees([&] { return Node()["status"]["conditions"].size() == 1; }));
  manager_->Leave();
  EXPECT_EQ(LabelOf(Node(), kube::kCountLabel), "1");
  Label(kube::kEnabledLabel, "false");
  manager_->Leave();
  EXPECT_EQ(Node()["metadata"]["labels"], Json({{kube::kEnabledLabel, "false"}, {kube::kInstalledLabel, "1"}}));
  EXPECT_TRUE(Node()["status"]["conditions"].empty());
  manager_.reset();
  EXPECT_FALSE(Exists(config_.state_dir));
}

// The installer's label goes last; the watch tells of ours that went before it, and the worker must not write them
// again.
TEST_F(ManagerTest, WhatWentAtTheEndDoesNotComeBackWhileTheInstallerIsStillAtWork) {
  EXPECT_TRUE(Sees([&] { return LabelOf(Node(), kube::kModeStateLabel) == "hopper-cc"; }));
  Label(kube::kEnabledLabel, nullptr);
  manager_->Leave();
  SomeRoundsPass();
  EXPECT_EQ(Node()["metadata"]["labels"], Json({{kube::kInstalledLabel, "1"}}));
}

// A write that was under way when the end came, and that the API server took only afterwards.
TEST_F(ManagerTest, AWriteUnderWayIsOverBeforeTheLabelsGo) {
  EXPECT_TRUE(Sees([&] { return LabelOf(Node(), kube::kModeStateLabel) == "hopper-cc"; }));
  std::promise<void> reached, go_on;
  std::atomic<bool> first{true};
  api_.OnRequest([&](const std::string& request) {
    if (!request.starts_with("PATCH /api/v1/nodes/n1") || !first.exchange(false)) return;
    reached.set_value();
    go_on.get_future().wait();
  });
  emulator_->Set({StubEmulator::MakeGpu(0), StubEmulator::MakeGpu(1)});
  ASSERT_EQ(reached.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  Label(kube::kEnabledLabel, nullptr);  // under the held patch's version: it will be made and sent once more
  auto left = std::async(std::launch::async, [&] { manager_->Leave(); });
  left.wait_for(std::chrono::milliseconds(200));  // it waits for the write, and would be done if it did not
  go_on.set_value();
  left.get();
  SomeRoundsPass();
  EXPECT_EQ(Node()["metadata"]["labels"], Json({{kube::kInstalledLabel, "1"}}));
  manager_.reset();  // before what its requests call
}

}  // namespace
}  // namespace ccgpu::nodemanager
