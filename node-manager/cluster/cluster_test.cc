#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>

#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "device-plugin/testing/stub_emulator.h"
#include "kube/names.h"
#include "kube/testing/fake_api.h"
#include "kube/testing/manual_timer.h"
#include "node-manager/cluster/names.h"
#include "node-manager/cluster/node_state.h"

namespace ccgpu::nodemanager {
namespace {

using deviceplugin::StubEmulator;
using kube::testing::FakeApi;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Names, LabelsAreSafe) {
  EXPECT_EQ(LabelSafe("NVIDIA H100 80GB HBM3 (EMULATED)"), "NVIDIA-H100-80GB-HBM3-EMULATED");
  EXPECT_EQ(LabelSafe("-.x y._-"), "x-y");
  EXPECT_EQ(LabelSafe("ü"), "");
  EXPECT_EQ(LabelSafe(std::string(62, 'a') + " b").size(), 62u);
  EXPECT_EQ(CamelCase("gpu.link-down"), "GpuLinkDown");
  EXPECT_EQ(CamelCase(""), "Code");
  EXPECT_EQ(CamelCase("802.1x"), "Code8021x");
}

TEST(Events, TimesAndNotesAsTheApiTakesThem) {
  const TimePoint now(seconds(1790000000));
  EXPECT_EQ(MicroTime("2026-11-22T06:30:00.123Z", now), "2026-11-22T06:30:00.123000Z");
  EXPECT_EQ(MicroTime("2026-11-22T06:30:00Z", now), "2026-11-22T06:30:00.000000Z");
  for (const char* bad : {"", "soon", "2026-11-22T06:30:00", "2026-11-22T06:30:00.12x4Z", "2026-13-22T06:30:00Z",
                          "2026-11-22T06:30:00+02:00"})
    EXPECT_EQ(MicroTime(bad, now), FormatTime(now).substr(0, 19) + ".000000Z") << bad;
  EXPECT_EQ(Cut("abc", 3), "abc");
  EXPECT_EQ(Cut("äöüäöü", 8), "äö ...");
  EXPECT_LE(EventName(std::string(253, 'a'), "x").size(), 253u);
  EXPECT_EQ(EventName("n.-", "x").substr(0, 2), "n.");
  EXPECT_NE(EventName("n", "x"), EventName("n", "y"));
}

class EmulatorTest : public ::testing::Test {
 protected:
  const TempDir folder_;
  const std::string socket_ = folder_ / "emulator.sock";
};

TEST_F(EmulatorTest, AWatchTellsEachChangeAndThatTheEmulatorWent) {
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<std::vector<Gpu>> seen;
  auto sees = [&](const std::function<bool()>& holds) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, seconds(20), holds);
  };
  auto stub = std::make_unique<StubEmulator>(socket_);
  stub->Set({StubEmulator::MakeGpu(0)});
  EmulatorWatch watch(socket_, [&](const auto& gpus) {
    std::lock_guard lock(mutex);
    seen = gpus;
    changed.notify_all();
  });
  EXPECT_TRUE(sees([&] { return seen && seen->size() == 1; }));
  auto sick = StubEmulator::MakeGpu(1);
  sick.set_healthy(false);
  sick.set_health_reason("gpu.link-down");
  stub->Set({StubEmulator::MakeGpu(0), sick});
  EXPECT_TRUE(sees([&] { return seen && seen->size() == 2 && (*seen)[1].health_reason == "gpu.link-down"; }));
  stub.reset();
  EXPECT_TRUE(sees([&] { return !seen; }));
  stub = std::make_unique<StubEmulator>(socket_);
  stub->Set({StubEmulator::MakeGpu(0)});
  EXPECT_TRUE(sees([&] { return seen && seen->size() == 1; }));
}

TEST_F(EmulatorTest, WhatItRefusesHasACode) {
  auto emulator = ConnectEmulator(socket_);
  EXPECT_EQ(emulator->List().error().code, "manager.emulator-gone");
  StubEmulator stub(socket_);  // knows neither modes nor resets
  EXPECT_EQ(emulator->SetMode(0, "off").error().code, "manager.gpu-refused");
}

class NodeStateTest : public ::testing::Test {
 protected:
  NodeStateTest() {
    kube::Options options;
    options.timer = &timer_;
    client_ = kube::Client::Make(api_.access(), options).value();
    node_ = std::make_unique<NodeApi>(*client_, "n1", clock_);
    events_ = std::make_unique<NodeEvents>(*client_, "n1", clock_);
    state_ = std::make_unique<NodeState>(*node_, *events_);
    Gpu gpu;
    gpu.uuid = "GPU-0";
    gpu.model = "NVIDIA H100 NVL (EMULATED)";
    gpu.mode = "hopper-cc";
    facts_.gpus = {gpu, gpu};
    (*facts_.gpus)[1].uuid = "GPU-1";
    facts_.tee = "snp";
    api_.objects().Create("/api/v1/nodes", {{"kind", "Node"},
                                            {"metadata", {{"name", "n1"}, {"labels", {{"theirs", "x"}}}}},
                                            {"status", {{"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}});
  }
  Json Node() { return api_.objects().Get("/api/v1/nodes/n1").body; }
  Json Ready() {
    const Json conditions = Node()["status"]["conditions"];
    return conditions.size() > 1 ? conditions[1] : Json::object();
  }
  std::vector<std::string> Reasons() {
    std::vector<std::string> out;
    const Json list = api_.objects().List("/apis/events.k8s.io/v1/namespaces/default/events", {}).body;
    for (const auto& event : list["items"]) out.push_back(event["reason"]);
    return out;
  }
  FakeApi api_;
  kube::testing::ManualTimer timer_;
  ManualClock clock_{TimePoint(seconds(1790000000))};
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<NodeApi> node_;
  std::unique_ptr<NodeEvents> events_;
  std::unique_ptr<NodeState> state_;
  NodeFacts facts_;
};

TEST_F(NodeStateTest, LabelsAndConditionAreWrittenOnceAndTakenOffWhole) {
  ASSERT_TRUE(state_->Write(facts_).ok());
  const Json before = Node();
  EXPECT_EQ(LabelOf(before, kube::kModelLabel), "NVIDIA-H100-NVL-EMULATED");
  EXPECT_EQ(LabelOf(before, kube::kCountLabel), "2");
  EXPECT_EQ(LabelOf(before, kube::kTeeLabel), "snp");
  EXPECT_EQ(Ready()["status"], "True");
  clock_.Advance(seconds(60));
  ASSERT_TRUE(state_->Write(facts_).ok());
  EXPECT_EQ(Node(), before);
  ASSERT_TRUE(state_->Remove().ok());
  EXPECT_EQ(Node()["metadata"]["labels"], Json({{"theirs", "x"}}));
  EXPECT_EQ(Node()["status"]["conditions"].size(), 1u);
}

TEST_F(NodeStateTest, TheConditionSaysWhatIsWrong) {
  auto reason = [&] {
    EXPECT_TRUE(state_->Write(facts_).ok());
    return Ready()["reason"].get<std::string>();
  };
  EXPECT_EQ(reason(), "AllGpusHealthy");
  const std::string since = Ready()["lastTransitionTime"];
  clock_.Advance(seconds(60));
  facts_.plugin_answers = false;
  EXPECT_EQ(reason(), "DevicePluginGone");
  const std::string failed = Ready()["lastTransitionTime"];
  EXPECT_NE(failed, since);
  clock_.Advance(seconds(60));
  (*facts_.gpus)[1].healthy = false;
  (*facts_.gpus)[1].health_reason = "gpu.link-down";
  EXPECT_EQ(reason(), "GpuUnhealthy");
  EXPECT_EQ(Ready()["lastTransitionTime"], failed);  // False all the time
  EXPECT_THAT(Ready()["message"].get<std::string>(), HasSubstr("GPU-1 (gpu.link-down)"));
  auto gpus = facts_.gpus;
  facts_.gpus.reset();
  EXPECT_EQ(reason(), "EmulatorGone");
  EXPECT_EQ(LabelOf(Node(), kube::kCountLabel), "2");  // still built in
  facts_.gpus = std::vector<Gpu>();
  EXPECT_EQ(reason(), "NoGpu");
  EXPECT_EQ(LabelOf(Node(), kube::kCountLabel), "0");
}

TEST_F(NodeStateTest, AGpusHealthIsToldWhenItChanges) {
  (void)state_->Write(facts_);
  EXPECT_TRUE(events_->Flush());
  EXPECT_TRUE(Reasons().empty());
  (*facts_.gpus)[1].healthy = false;
  (*facts_.gpus)[1].health_reason = "gpu.link-down";
  for (int i = 0; i < 3; i++) (void)state_->Write(facts_);
  api_.SetAway(true);
  EXPECT_FALSE(events_->Flush());
  api_.SetAway(false);
  EXPECT_TRUE(events_->Flush());
  EXPECT_THAT(Reasons(), ElementsAre("GpuUnhealthy"));
  (*facts_.gpus)[1].healthy = true;
  (void)state_->Write(facts_);
  (void)events_->Flush();
  EXPECT_THAT(Reasons(), ::testing::UnorderedElementsAre("GpuUnhealthy", "GpuHealthy"));
}

}  // namespace
}  // namespace ccgpu::nodemanager
