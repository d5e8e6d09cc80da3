#include "node-manager/modes/mode_rules.h"

#include <gtest/gtest.h>

#include "node-manager/modes/test_gpus.h"

namespace ccgpu::nodemanager {
namespace {

using std::chrono::seconds;

Facts FactsOf(const std::string& label, std::vector<Gpu> gpus) {
  Facts facts;
  facts.label = label;
  facts.gpus = std::move(gpus);
  facts.now = TimePoint(seconds(1000000));
  return facts;
}

Facts UnderWay(const std::string& label, const std::string& to, std::vector<Gpu> gpus) {
  Facts facts = FactsOf(label, std::move(gpus));
  Journal journal{to, {}, facts.now, {}};
  for (const auto& gpu : *facts.gpus) journal.from[gpu.index] = "hopper-cc";
  facts.journal = journal;
  return facts;
}

TEST(ModeRules, WithoutASwitch) {
  const Limits limits;
  auto step = [&](const Facts& facts) { return Decide(facts, limits).step; };
  EXPECT_EQ(step(FactsOf("", {MakeGpu(0)})), Step::kReport);
  EXPECT_EQ(Decide(FactsOf("", {MakeGpu(0), MakeGpu(1, "off")}), limits).mode, "mixed");
  EXPECT_EQ(step(FactsOf("hopper-cc", {MakeGpu(0)})), Step::kReport);
  EXPECT_EQ(step(FactsOf("on", {MakeGpu(0)})), Step::kReport);
  EXPECT_EQ(Decide(FactsOf("on", {MakeGpu(0, "off")}), limits).mode, "hopper-cc");
  EXPECT_EQ(step(FactsOf("off", {MakeGpu(0)})), Step::kBegin);
  EXPECT_EQ(step(FactsOf("off", {MakeGpu(0, "off"), MakeGpu(1)})), Step::kBegin);
  EXPECT_EQ(Decide(FactsOf("apm", {MakeGpu(0)}), limits).error->code, "manager.mode-unsupported");
  EXPECT_EQ(Decide(FactsOf("ppcie", {MakeGpu(0)}), limits).error->code, "manager.mode-unknown");
  EXPECT_EQ(Decide(FactsOf("On", {MakeGpu(0)}), limits).error->code, "manager.mode-unknown");
  EXPECT_EQ(step(FactsOf("off", {})), Step::kWait);
  Facts gone = FactsOf("off", {});
  gone.gpus.reset();
  EXPECT_EQ(step(gone), Step::kWait);

  // A label that failed is not tried again, but when the GPUs got there some other way it is not failed any more.
  Facts failed = FactsOf("off", {MakeGpu(0)});
  failed.failed_label = "off";
  EXPECT_EQ(step(failed), Step::kStayFailed);
  failed.label = "devtools";
  EXPECT_EQ(step(failed), Step::kBegin);
  failed = FactsOf("off", {MakeGpu(0, "off")});
  failed.failed_label = "off";
  EXPECT_EQ(step(failed), Step::kReport);
}

TEST(ModeRules, OneGpuThatCannotIsEnoughToRefuse) {
  Gpu old = MakeGpu(1);
  old.modes = {"off", "apm"};
  EXPECT_EQ(Decide(FactsOf("devtools", {MakeGpu(0), old}), {}).error->subject, "GPU-1");
  // "on" means the strongest mode of the profile, and every GPU must have it.
  EXPECT_EQ(Decide(FactsOf("on", {MakeGpu(0, "off"), old}), {}).step, Step::kRefuse);
  Gpu none = MakeGpu(0, "off");
  none.modes = {"off"};
  EXPECT_EQ(Decide(FactsOf("on", {none}), {}).error->code, "manager.mode-unsupported");
}

TEST(ModeRules, ASwitchOnItsWay) {
  const Limits limits;
  Facts facts = UnderWay("off", "off", {MakeGpu(0), MakeGpu(1)});
  EXPECT_EQ(Decide(facts, limits).step, Step::kDrain);
  facts.pods = 2;
  EXPECT_EQ(Decide(facts, limits).step, Step::kWait);
  facts.pods = 0;
  EXPECT_EQ(Decide(facts, limits).step, Step::kSwitch);
  EXPECT_EQ(Decide(facts, limits).gpu, 0u);
  (*facts.gpus)[1].sandbox_id = "s";  // one is held: none is switched
  EXPECT_EQ(Decide(facts, limits).step, Step::kWait);
  (*facts.gpus)[1].sandbox_id = "";
  (*facts.gpus)[0].mode = "off";
  EXPECT_EQ(Decide(facts, limits).gpu, 1u);
  (*facts.gpus)[1].mode = "off";
  EXPECT_EQ(Decide(facts, limits).step, Step::kFinish);
  (*facts.gpus)[1].state = "ERROR";  // read back, not believed
  EXPECT_EQ(Decide(facts, limits).step, Step::kWait);
  facts.now += limits.drain + seconds(1);
  EXPECT_EQ(Decide(facts, limits).error->code, "manager.switch-timeout");
}

TEST(ModeRules, TheLabelChangesInTheMiddle) {
  Facts facts = UnderWay("devtools", "off", {MakeGpu(0, "off"), MakeGpu(1)});
  EXPECT_EQ(Decide(facts, {}).step, Step::kRetarget);
  EXPECT_EQ(Decide(facts, {}).mode, "devtools");
  facts.label = "hopper-cc";  // back to where it came from
  EXPECT_EQ(Decide(facts, {}).mode, "hopper-cc");
  facts.label = "";  // withdrawn: the same
  EXPECT_EQ(Decide(facts, {}).mode, "hopper-cc");
  facts.journal->from[1] = "devtools";  // there is no one mode to go back to
  EXPECT_EQ(Decide(facts, {}).error->code, "manager.mode-withdrawn");
  facts.label = "nonsense";
  EXPECT_EQ(Decide(facts, {}).error->code, "manager.mode-unknown");
}

TEST(ModeRules, TooLateIsToldByWhatIsInTheWay) {
  Facts facts = UnderWay("off", "off", {MakeGpu(0)});
  facts.now += seconds(301);
  facts.pods = 1;
  EXPECT_EQ(Decide(facts, {}).error->code, "manager.drain-timeout");
  facts.pods = 0;
  (*facts.gpus)[0].sandbox_id = "s";
  EXPECT_EQ(Decide(facts, {}).error->code, "manager.drain-timeout");
  EXPECT_EQ(Decide(facts, {}).error->subject, "GPU-0");
  facts.gpus.reset();
  EXPECT_EQ(Decide(facts, {}).error->code, "manager.emulator-gone");
}

TEST(ModeRules, AnAbortedSwitchGoesBackAndThenFails) {
  Facts facts = UnderWay("off", "off", {MakeGpu(0, "off"), MakeGpu(1)});
  facts.journal->failure = Err("manager.drain-timeout", "", "x");
  EXPECT_EQ(Decide(facts, {}).step, Step::kSwitch);
  EXPECT_EQ(Decide(facts, {}).mode, "hopper-cc");
  EXPECT_EQ(Decide(facts, {}).gpu, 0u);
  (*facts.gpus)[0].sandbox_id = "s";
  EXPECT_EQ(Decide(facts, {}).step, Step::kWait);
  facts.now += seconds(61);  // what cannot go back stays, and the state says failed
  EXPECT_EQ(Decide(facts, {}).step, Step::kFinishFailed);
  facts.gpus.reset();
  EXPECT_EQ(Decide(facts, {}).step, Step::kFinishFailed);
}

TEST(Journal, ComesBackAndStrangersAreRefused) {
  Journal journal{"off",
                  {{0, "hopper-cc"}, {7, "devtools"}},
                  TimePoint(seconds(1790000000)),
                  Err("manager.gpu-refused", "GPU-0", "no")};
  auto back = ParseJournal(journal.ToText());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->to, "off");
  EXPECT_EQ(back->from, journal.from);
  EXPECT_EQ(back->since, journal.since);
  EXPECT_EQ(back->failure->code, "manager.gpu-refused");
  for (const char* bad : {"", "{}", "x", R"({"to":"warp","from":{},"since":"2026-11-22T00:00:00Z"})",
                          R"({"to":"off","from":{"0":"warp"},"since":"2026-11-22T00:00:00Z"})",
                          R"({"to":"off","from":{"-1":"off"},"since":"2026-11-22T00:00:00Z"})",
                          R"({"to":"off","from":{},"since":"yesterday"})",
                          R"({"to":"off","from":{},"since":"2026-11-22T00:00:00Z","failure":"x"})"}) {
    EXPECT_EQ(ParseJournal(bad).error().code, "manager.bad-journal") << bad;
  }
}

}  // namespace
}  // namespace ccgpu::nodemanager
