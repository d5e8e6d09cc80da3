#include "node-manager/modes/mode_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "kube/names.h"
#include "kube/paths.h"
#include "kube/testing/fake_api.h"
#include "kube/testing/manual_timer.h"
#include "node-manager/modes/test_gpus.h"

namespace ccgpu::nodemanager {
namespace {

using kube::testing::FakeApi;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class FakeEmulator final : public Emulator {
 public:
  std::vector<Gpu> gpus;
  bool gone = false;
  std::string refuse;  // reason text of every SetMode
  std::function<void(uint32_t)> on_set;
  std::vector<uint32_t> resets;

  Result<std::vector<Gpu>> List() override {
    if (gone) return Err("manager.emulator-gone", "socket", "nobody");
    return gpus;
  }
  Result<Gpu> SetMode(uint32_t index, const std::string& mode) override {
    if (on_set) on_set(index);
    if (gone) return Err("manager.emulator-gone", "socket", "nobody");
    if (!refuse.empty()) return Err("manager.gpu-refused", "gpu", refuse);
    if (!gpus[index].sandbox_id.empty()) return Err("manager.gpu-held", "gpu", "held");
    gpus[index].mode = mode;
    return gpus[index];
  }
  Result<Gpu> Reset(uint32_t index) override {
    if (gone) return Err("manager.emulator-gone", "socket", "nobody");
    resets.push_back(index);
    return gpus[index];
  }
  Result<std::string> Tee() override { return std::string("snp"); }
};

class ModeManagerTest : public ::testing::Test {
 protected:
  ModeManagerTest() {
    kube::Options options;
    options.timer = &timer_;
    client_ = kube::Client::Make(api_.access(), options).value();
    node_ = std::make_unique<NodeApi>(*client_, "n1", clock_);
    events_ = std::make_unique<NodeEvents>(*client_, "n1", clock_);
    emulator_.gpus = {MakeGpu(0), MakeGpu(1)};
    api_.objects().Create("/api/v1/nodes", {{"apiVersion", "v1"},
                                            {"kind", "Node"},
                                            {"metadata", {{"name", "n1"}, {"labels", {{"keep", "me"}}}}},
                                            {"spec", {{"taints", {{{"key", "other"}, {"effect", "NoSchedule"}}}}}}});
    Restart();
  }
  // Another process, with nothing in its memory.
  void Restart() {
    manager_ = std::make_unique<ModeManager>(ModeOptions{}, *client_, *node_, emulator_, *events_, clock_);
  }
  void SetLabel(const Json& value) {
    api_.objects().Patch("/api/v1/nodes/n1", "application/merge-patch+json",
                         {{"metadata", {{"labels", {{kube::kModeLabel, value}}}}}});
  }
  Json Node() { return api_.objects().Get("/api/v1/nodes/n1").body; }
  std::string State() { return LabelOf(Node(), kube::kModeStateLabel) + "/" + LabelOf(Node(), kube::kReadyStateLabel); }
  size_t Taints() { return Node()["spec"]["taints"].size(); }
  void MakePod(const std::string& name, bool gpu = true, const Json& more = Json::object()) {
    Json pod = {{"apiVersion", "v1"},
                {"kind", "Pod"},
                {"metadata", {{"name", name}, {"namespace", "team"}}},
                {"spec", {{"nodeName", "n1"}, {"containers", {{{"name", "c"}}}}}}};
    if (gpu) pod["spec"]["containers"][0]["resources"]["limits"]["ccgpu.dev/cc-gpu"] = "1";
    pod.merge_patch(more);
    api_.objects().Create("/api/v1/namespaces/team/pods", pod);
  }
  bool HasPod(const std::string& name) {
    return api_.objects().Get("/api/v1/namespaces/team/pods/" + name).status == 200;
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
  FakeEmulator emulator_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<NodeApi> node_;
  std::unique_ptr<NodeEvents> events_;
  std::unique_ptr<ModeManager> manager_;
};

TEST_F(ModeManagerTest, ANodeWithoutTheLabelOnlyTellsItsMode) {
  EXPECT_EQ(manager_->Step(), seconds(60));
  EXPECT_EQ(State(), "hopper-cc/true");
  const Json before = Node();
  manager_->Step();
  EXPECT_EQ(Node(), before);  // nothing is written twice
  emulator_.gpus[1].healthy = false;
  manager_->Step();
  EXPECT_EQ(State(), "hopper-cc/false");
}

TEST_F(ModeManagerTest, ASwitchEvictsOnlyGpuPodsAndPutsEverythingBack) {
  MakePod("with-gpu");
  MakePod("without", false);
  MakePod("done", true, {{"status", {{"phase", "Succeeded"}}}});
  MakePod("elsewhere", true, {{"spec", {{"nodeName", "n2"}}}});
  SetLabel("off");
  manager_->Step();
  EXPECT_EQ(State(), "switching/false");
  EXPECT_EQ(Taints(), 2u);
  EXPECT_FALSE(HasPod("with-gpu"));
  manager_->Step();
  EXPECT_EQ(State(), "off/true");
  EXPECT_EQ(Taints(), 1u);
  EXPECT_EQ(Node()["spec"]["taints"][0]["key"], "other");
  EXPECT_EQ(LabelOf(Node(), "keep"), "me");
  EXPECT_FALSE(Node()["metadata"]["annotations"].contains(kube::kSwitchAnnotation));
  EXPECT_EQ(emulator_.resets, (std::vector<uint32_t>{0, 1}));
  for (const char* pod : {"without", "done", "elsewhere"}) EXPECT_TRUE(HasPod(pod)) << pod;
  EXPECT_THAT(Reasons(), ::testing::UnorderedElementsAre("ModeSwitchStarted", "DrainingGpuPods", "GpuModeSet",
                                                         "GpuModeSet", "ModeSwitched"));
  EXPECT_EQ(manager_->switched(), 1u);
  manager_->Step();
  EXPECT_EQ(manager_->switched(), 1u);
}

TEST_F(ModeManagerTest, ALabelThatCannotBeIsRefusedOnceAndMoved) {
  SetLabel("apm");
  manager_->Step();
  manager_->Step();
  Restart();
  manager_->Step();
  EXPECT_EQ(State(), "failed/false");
  EXPECT_EQ(Taints(), 1u);
  EXPECT_EQ(Reasons().size(), 1u);
  EXPECT_THAT(AnnotationOf(Node(), kube::kFailureAnnotation), HasSubstr("apm manager.mode-unsupported"));
  SetLabel(nullptr);
  manager_->Step();
  EXPECT_EQ(State(), "hopper-cc/true");
  EXPECT_THAT(AnnotationOf(Node(), kube::kFailureAnnotation), IsEmpty());
}

TEST_F(ModeManagerTest, ADisruptionBudgetIsRespectedUntilTheTimeIsUpThenNothingHasChanged) {
  MakePod("guarded");
  api_.Protect("team/guarded", true);
  SetLabel("off");
  for (int second = 0; second < 300; second += 10) {
    manager_->Step();
    EXPECT_EQ(State(), "switching/false");
    EXPECT_TRUE(HasPod("guarded"));
    clock_.Advance(seconds(10));
  }
  clock_.Advance(seconds(10));
  manager_->Step();
  EXPECT_EQ(State(), "failed/false");
  EXPECT_EQ(Taints(), 1u);
  EXPECT_TRUE(HasPod("guarded"));
  EXPECT_EQ(CommonMode(emulator_.gpus), "hopper-cc");
  EXPECT_THAT(AnnotationOf(Node(), kube::kFailureAnnotation), HasSubstr("manager.drain-timeout"));
  EXPECT_THAT(Reasons(), Contains("DrainBlocked"));
  EXPECT_LE(Reasons().size(), 4u);  // not one each round
  // It does not try again by itself, but on a label that was set anew.
  api_.Protect("team/guarded", false);
  manager_->Step();
  EXPECT_EQ(State(), "failed/false");
  SetLabel(nullptr);
  manager_->Step();
  SetLabel("off");
  manager_->Step();
  manager_->Step();
  EXPECT_EQ(State(), "off/true");
}

TEST_F(ModeManagerTest, AStaticPodFailsTheSwitchAtOnce) {
  MakePod("static", true, {{"metadata", {{"annotations", {{"kubernetes.io/config.mirror", "x"}}}}}});
  SetLabel("off");
  manager_->Step();
  EXPECT_EQ(State(), "failed/false");
  EXPECT_THAT(AnnotationOf(Node(), kube::kFailureAnnotation), HasSubstr("drain-static-pod"));
}

TEST_F(ModeManagerTest, ARestartAtEveryStepComesToTheSameEnd) {
  // The process ends after its n-th request to the API server, for every n there is.
  for (int n = 1; n < 40; n++) {
    SetLabel(nullptr);
    emulator_.gpus = {MakeGpu(0), MakeGpu(1)};
    manager_->Step();
    ASSERT_EQ(State(), "hopper-cc/true") << n;
    if (!HasPod("p")) MakePod("p");
    SetLabel("off");
    int seen = 0;
    api_.OnRequest([&](const std::string&) {
      if (++seen == n) api_.FailNext(1000, 503);
    });
    manager_->Step();
    api_.OnRequest(nullptr);
    api_.ForgetMisfortunes();
    Restart();
    for (int i = 0; i < 4; i++) manager_->Step();
    ASSERT_EQ(State(), "off/true") << n;
    ASSERT_EQ(Taints(), 1u) << n;
  }
}

TEST_F(ModeManagerTest, TheEmulatorDiesInTheMiddleAndComesBack) {
  SetLabel("off");
  emulator_.on_set = [&](uint32_t index) { emulator_.gone = index == 1; };
  manager_->Step();
  EXPECT_EQ(State(), "switching/false");
  EXPECT_EQ(emulator_.gpus[0].mode, "off");
  EXPECT_EQ(emulator_.gpus[1].mode, "hopper-cc");
  clock_.Advance(seconds(60));
  manager_->Step();
  EXPECT_EQ(State(), "switching/false");
  emulator_.gone = false;
  emulator_.on_set = nullptr;
  Restart();
  manager_->Step();
  EXPECT_EQ(State(), "off/true");
}

TEST_F(ModeManagerTest, TheEmulatorDiesForGood) {
  SetLabel("off");
  emulator_.on_set = [&](uint32_t) { emulator_.gone = true; };
  manager_->Step();
  clock_.Advance(seconds(301));
  manager_->Step();
  EXPECT_EQ(State(), "switching/false");  // it may still come back to go back
  clock_.Advance(seconds(61));
  manager_->Step();
  EXPECT_EQ(State(), "failed/false");
  EXPECT_EQ(Taints(), 1u);
  EXPECT_THAT(AnnotationOf(Node(), kube::kFailureAnnotation), HasSubstr("manager.emulator-gone"));
}

TEST_F(ModeManagerTest, TheLabelFlipsBackInTheMiddle) {
  MakePod("guarded");
  api_.Protect("team/guarded", true);
  SetLabel("off");
  manager_->Step();
  EXPECT_EQ(State(), "switching/false");
  SetLabel("hopper-cc");
  manager_->Step();
  EXPECT_EQ(State(), "hopper-cc/true");
  EXPECT_EQ(Taints(), 1u);
  EXPECT_TRUE(HasPod("guarded"));

  // And after one GPU was switched already.
  api_.Protect("team/guarded", false);
  emulator_.on_set = [&](uint32_t index) { emulator_.gone = index == 1; };
  SetLabel("off");
  manager_->Step();
  manager_->Step();
  EXPECT_EQ(CommonMode(emulator_.gpus), "mixed");
  emulator_.gone = false;
  emulator_.on_set = nullptr;
  SetLabel("hopper-cc");
  manager_->Step();
  EXPECT_EQ(State(), "hopper-cc/true");
  EXPECT_EQ(CommonMode(emulator_.gpus), "hopper-cc");
}

TEST_F(ModeManagerTest, ASandboxThatSlippedInIsNotTrodOn) {
  SetLabel("off");
  emulator_.on_set = [&](uint32_t index) {
    if (index == 1) emulator_.gpus[1].sandbox_id = "late";
  };
  manager_->Step();
  EXPECT_EQ(emulator_.gpus[1].mode, "hopper-cc");
  EXPECT_EQ(State(), "switching/false");
  manager_->Step();
  EXPECT_EQ(State(), "switching/false");
  emulator_.on_set = nullptr;
  emulator_.gpus[1].sandbox_id = "";
  manager_->Step();
  EXPECT_EQ(State(), "off/true");
}

TEST_F(ModeManagerTest, ARefusalOfTheEmulatorFailsAtOnceAndInItsWords) {
  SetLabel("off");
  emulator_.refuse = "the firmware says no";
  manager_->Step();
  EXPECT_EQ(State(), "failed/false");
  EXPECT_THAT(AnnotationOf(Node(), kube::kFailureAnnotation), HasSubstr("the firmware says no"));
}

TEST_F(ModeManagerTest, TheApiIsAwayForTwoMinutes) {
  SetLabel("off");
  MakePod("p");
  manager_->Step();
  api_.SetAway(true);
  for (int i = 0; i < 60; i++) {
    EXPECT_LE(manager_->Step(), seconds(2));
    clock_.Advance(seconds(2));
  }
  EXPECT_EQ(CommonMode(emulator_.gpus), "hopper-cc");  // nothing moves while nobody can be asked
  api_.SetAway(false);
  manager_->Step();
  EXPECT_EQ(State(), "off/true");
}

TEST_F(ModeManagerTest, SomebodyElseChangesTheNodeAtTheSameTime) {
  SetLabel("off");
  int patches = 0;
  api_.OnRequest([&](const std::string& what) {
    if (what.starts_with("PATCH /api/v1/nodes/n1") && patches++ < 3)
      api_.objects().Patch("/api/v1/nodes/n1", "application/merge-patch+json",
                           {{"metadata", {{"labels", {{"theirs", std::to_string(patches)}}}}}});
  });
  manager_->Step();
  EXPECT_EQ(State(), "off/true");
  EXPECT_EQ(LabelOf(Node(), "theirs"), "3");
}

TEST_F(ModeManagerTest, AForgedJournalIsRefusedAndNoGpuIsTouched) {
  SetLabel("off");
  api_.objects().Patch("/api/v1/nodes/n1", "application/merge-patch+json",
                       {{"metadata", {{"annotations", {{kube::kSwitchAnnotation, "{\"to\":\"warp\"}"}}}}}});
  manager_->Step();
  EXPECT_EQ(State(), "failed/false");
  EXPECT_THAT(emulator_.resets, IsEmpty());
}

TEST_F(ModeManagerTest, MissingRightsFailTheSwitchInsteadOfHangingIt) {
  MakePod("p");
  api_.Forbid("POST /api/v1/namespaces/team/pods");
  SetLabel("off");
  manager_->Step();
  EXPECT_EQ(State(), "failed/false");
  EXPECT_THAT(AnnotationOf(Node(), kube::kFailureAnnotation), HasSubstr("kube.forbidden"));
}

}  // namespace
}  // namespace ccgpu::nodemanager
