#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "kube/testing/fake_api.h"
#include "kube/testing/manual_timer.h"
#include "node-manager/pods/pod_reporter.h"

namespace ccgpu::nodemanager {
namespace {

using kube::testing::FakeApi;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Line(const std::string& code, const std::string& message = "m", const std::string& subject = "s",
                 const std::string& component = "ccgpu-guestd") {
  return Json({{"time", "2026-11-22T06:30:00.123Z"},
               {"component", component},
               {"code", code},
               {"message", message},
               {"subject", subject}})
      .dump();
}

TEST(Outcome, WhatOwnersAreTold) {
  EXPECT_EQ(OutcomeOf("policy.command").reason, "PolicyDenied");
  EXPECT_EQ(OutcomeOf("policy.in-force").reason, "PolicyInForce");
  EXPECT_FALSE(OutcomeOf("policy.in-force").warning);
  EXPECT_EQ(OutcomeOf("gpu.nonce-mismatch").attested, Attested::kFalse);
  EXPECT_EQ(OutcomeOf("gpu.session").attested, Attested::kUnchanged);
  EXPECT_EQ(OutcomeOf("attest.gpu-accepted").attested, Attested::kTrue);
  EXPECT_EQ(OutcomeOf("release.no-match").reason, "KeyRefused");
  EXPECT_EQ(OutcomeOf("made.up-tomorrow").reason, "SandboxFailed");  // unknown is never good news
  EXPECT_TRUE(OutcomeOf("made.up-tomorrow").warning);
}

TEST(PodEvent, WhatIsNoEventIsNone) {
  for (const char* bad : {"", "{}", "[]", "x", R"({"code":"NoDot"})", R"({"code":"a.b c"})", R"({"code":5})",
                          R"({"code":"policy.x","code":"policy.y"})"})
    EXPECT_FALSE(ParsePodEvent(bad)) << bad;
  auto event = ParsePodEvent(R"({"code":"policy.command","message":"a\nb\u001b[31m","subject":5})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->message, "a b [31m");
  EXPECT_EQ(event->subject, "");
  EXPECT_EQ(ParsePodEvent(Line("policy.x", std::string(5000, 'x')))->message.size(), 900u);
  for (const char* bad :
       {R"({"name":"../x","namespace":"y"})", R"({"name":"x"})", R"({"name":"X","namespace":"y"})", "{"})
    EXPECT_FALSE(ParsePodRef(bad)) << bad;
}

class ReporterTest : public ::testing::Test {
 protected:
  ReporterTest() {
    kube::Options options;
    options.timer = &timer_;
    client_ = kube::Client::Make(api_.access(), options).value();
    options_.events_dir = folder_ / "pods";
    options_.state_file = folder_ / "state/positions.json";
    options_.node = "n1";
    (void)MakeDirs(options_.events_dir);
    Restart();
  }
  void Restart() { reporter_ = std::make_unique<PodReporter>(options_, *client_, clock_); }

  // A pod, and its sandbox on this node.
  void MakePod(const std::string& name, const std::string& sandbox, const std::string& uid = "") {
    const auto made = api_.objects().Create(
        "/api/v1/namespaces/team/pods",
        {{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", {{"name", name}}}, {"spec", {{"nodeName", "n1"}}}});
    WritePod(name, sandbox, uid.empty() ? made.body["metadata"].value("uid", "") : uid);
  }
  void WritePod(const std::string& name, const std::string& sandbox, const std::string& uid) {
    const std::string folder = options_.events_dir + "/" + sandbox;
    (void)MakeDirs(folder);
    (void)WriteFileAtomic(folder + "/pod.json", Json({{"name", name}, {"namespace", "team"}, {"uid", uid}}).dump());
  }
  void Append(const std::string& sandbox, const std::string& text) {
    std::ofstream(options_.events_dir + "/" + sandbox + "/events.jsonl", std::ios::app) << text;
  }
  void Tell(const std::string& sandbox, const std::string& code, const std::string& message = "m") {
    Append(sandbox, Line(code, message) + "\n");
  }
  std::vector<Json> Events() {
    const Json list = api_.objects().List("/apis/events.k8s.io/v1/namespaces/team/events", {}).body;
    return list["items"];
  }
  Json Condition(const std::string& pod) {
    const Json body = api_.objects().Get("/api/v1/namespaces/team/pods/" + pod).body;
    const Json::json_pointer at("/status/conditions/0");
    return body.contains(at) ? body[at] : Json();
  }
  std::string Attested(const std::string& pod) {
    const Json condition = Condition(pod);
    return condition.is_null() ? "none" : condition.value("status", "") + " " + condition.value("reason", "");
  }

  const TempDir folder_;
  FakeApi api_;
  kube::testing::ManualTimer timer_;
  ManualClock clock_{TimePoint(seconds(1790000000))};
  PodReporterOptions options_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<PodReporter> reporter_;
};

TEST_F(ReporterTest, ADenialStandsOnThePodWithRuleAndCode) {
  MakePod("demo", "sb");
  Append("sb", Line("policy.command", "the policy allows [\"sh\"], found [\"bash\"]", "container app, rule 2") + "\n");
  EXPECT_TRUE(reporter_->Step());
  ASSERT_THAT(Events(), SizeIs(1));
  const Json event = Events()[0];
  EXPECT_EQ(event["reason"], "PolicyDenied");
  EXPECT_EQ(event["type"], "Warning");
  EXPECT_EQ(event["eventTime"], "2026-11-22T06:30:00.123000Z");
  EXPECT_EQ(event["regarding"]["name"], "demo");
  EXPECT_EQ(event["regarding"]["uid"], api_.objects().Get("/api/v1/namespaces/team/pods/demo").body["metadata"]["uid"]);
  for (const char* part : {"found [\"bash\"]", "[policy.command]", "container app, rule 2", "ccgpu-guestd"})
    EXPECT_THAT(event["note"].get<std::string>(), HasSubstr(part));
  EXPECT_EQ(Attested("demo"), "False PolicyDenied");
  EXPECT_THAT(Condition("demo")["message"].get<std::string>(), HasSubstr("policy.command"));
}

TEST_F(ReporterTest, TheConditionFollowsTheAttestation) {
  MakePod("demo", "sb");
  Tell("sb", "policy.in-force");
  Tell("sb", "gpu.session");
  reporter_->Step();
  EXPECT_EQ(Attested("demo"), "none");
  Tell("sb", "attest.gpu-accepted");
  reporter_->Step();
  EXPECT_EQ(Attested("demo"), "True Attested");
  const Json before = Condition("demo");
  clock_.Advance(seconds(100));
  Tell("sb", "policy.exec", "an exec was denied");
  Tell("sb", "release.no-match", "no key");
  reporter_->Step();
  EXPECT_EQ(Condition("demo"), before);  // a denied exec leaves the pod attested
  Tell("sb", "gpu.evidence-stale", "again");
  reporter_->Step();
  EXPECT_EQ(Attested("demo"), "False AttestationFailed");
  EXPECT_NE(Condition("demo")["lastTransitionTime"], before["lastTransitionTime"]);
  Tell("sb", "broker.released");
  reporter_->Step();
  EXPECT_EQ(Attested("demo"), "True KeyReleased");
}

TEST_F(ReporterTest, TheSameIsOneEventWithACount) {
  MakePod("demo", "sb");
  for (int i = 0; i < 5; i++) Tell("sb", "policy.exec", "denied");
  reporter_->Step();
  Tell("sb", "policy.exec", "denied");
  reporter_->Step();
  ASSERT_THAT(Events(), SizeIs(1));
  EXPECT_EQ(Events()[0]["series"]["count"], 6);
}

TEST_F(ReporterTest, SandboxAfterSandboxOfARefusedPodIsOneEvent) {
  options_.keep = seconds(-1);
  Restart();
  MakePod("demo", "sb1");
  const auto uid = api_.objects().Get("/api/v1/namespaces/team/pods/demo").body["metadata"].value("uid", "");
  for (int i = 1; i <= 4; i++) {
    const std::string sandbox = "sb" + std::to_string(i);
    WritePod("demo", sandbox, uid);
    Append(sandbox, Line("policy.missing", "no policy", "sandbox " + sandbox) + "\n");
    reporter_->Step();
    if (i == 2) Restart();
  }
  ASSERT_THAT(Events(), SizeIs(1));
  EXPECT_EQ(Events()[0]["series"]["count"], 4);
  reporter_->RemoveGone();  // the pod is there, and its last sandbox
  for (int i = 1; i <= 3; i++) EXPECT_FALSE(Exists(options_.events_dir + "/sb" + std::to_string(i))) << i;
  EXPECT_TRUE(Exists(options_.events_dir + "/sb4"));
}

TEST_F(ReporterTest, NothingIsToldTwiceOrMissedOverRestarts) {
  MakePod("demo", "sb");
  for (int i = 0; i < 3; i++) Tell("sb", "policy.exec", "one");
  reporter_->Step();
  Restart();
  Tell("sb", "policy.exec", "one");
  Tell("sb", "policy.exec", "two");
  Append("sb", Line("policy.exec", "three").substr(0, 20));  // half a line
  reporter_->Step();
  EXPECT_THAT(Events(), SizeIs(2));
  Append("sb", Line("policy.exec", "three").substr(20) + "\n");
  Restart();
  reporter_->Step();
  ASSERT_THAT(Events(), SizeIs(3));
  uint64_t counts = 0;
  for (const auto& event : Events()) counts += event.contains("series") ? event["series"].value("count", 0u) : 1;
  EXPECT_EQ(counts, 6u);

  // The file that says how far we were is lost: everything is told again, and the API server has each already.
  std::filesystem::remove(options_.state_file);
  Restart();
  reporter_->Step();
  EXPECT_THAT(Events(), SizeIs(3));
  ASSERT_TRUE(WriteFileAtomic(options_.state_file, R"({"version":2,"sandboxes":{"sb":{"inode":"x"}}})").ok());
  Restart();
  reporter_->Step();
  EXPECT_THAT(Events(), SizeIs(3));
}

TEST_F(ReporterTest, AKillAtEveryRequestTellsEverythingOnce) {
  for (int n = 1; n < 12; n++) {
    const std::string sandbox = "sb" + std::to_string(n), pod = "demo" + std::to_string(n);
    MakePod(pod, sandbox);
    Tell(sandbox, "policy.in-force", "first");
    Tell(sandbox, "policy.command", "denied");
    Tell(sandbox, "policy.command", "denied");
    int seen = 0;
    api_.OnRequest([&](const std::string&) {
      if (++seen == n) api_.SetAway(true);
    });
    reporter_->Step();
    api_.OnRequest(nullptr);
    api_.SetAway(false);
    Restart();
    EXPECT_TRUE(reporter_->Step());
    EXPECT_EQ(Attested(pod), "False PolicyDenied") << n;
    int events = 0;
    uint64_t denied = 0;
    for (const auto& event : Events()) {
      if (event["regarding"]["name"] != pod) continue;
      events++;
      if (event.contains("series")) denied = event["series"].value("count", 0u);
    }
    EXPECT_EQ(events, 2) << n;
    EXPECT_EQ(denied, 2u) << n;
  }
}

TEST_F(ReporterTest, TheApiIsAwayAndEverythingComesLater) {
  MakePod("demo", "sb");
  reporter_->Step();
  api_.SetAway(true);
  Tell("sb", "policy.in-force", "first");
  Tell("sb", "attest.gpu-accepted", "second");
  for (int i = 0; i < 60; i++) {
    EXPECT_FALSE(reporter_->Step());
    clock_.Advance(seconds(2));
  }
  EXPECT_THAT(Events(), IsEmpty());
  api_.SetAway(false);
  EXPECT_TRUE(reporter_->Step());
  EXPECT_THAT(Events(), SizeIs(2));
  EXPECT_EQ(Attested("demo"), "True Attested");
  EXPECT_EQ(reporter_->failed(), 0u);
}

TEST_F(ReporterTest, ASandboxThatShoutsReachesNeitherTheApiNorItsNeighbours) {
  MakePod("loud", "sb1");
  MakePod("quiet", "sb2");
  for (int i = 0; i < 1000; i++) Tell("sb1", "policy.exec", "number " + std::to_string(i));
  Append("sb1", std::string(100000, 'x') + "\n{\"code\":\"no json\n\n");
  Append("sb1", std::string(1 << 20, 'y'));  // no end of line at all
  Tell("sb2", "policy.command", "denied");
  for (int i = 0; i < 20; i++) reporter_->Step();
  size_t loud = 0;
  for (const auto& event : Events()) loud += event["regarding"]["name"] == "loud" ? 1 : 0;
  EXPECT_LE(loud, 25u);
  EXPECT_EQ(Events().size(), loud + 1);
  EXPECT_EQ(Attested("quiet"), "False PolicyDenied");
  EXPECT_EQ(reporter_->suppressed(), 975u);
  EXPECT_GE(reporter_->bad_lines(), 1u);
}

TEST_F(ReporterTest, AClockThatIsSetBackByADayStopsNothing) {
  MakePod("demo", "sb");
  for (int i = 0; i < 25; i++) Tell("sb", "policy.exec", "number " + std::to_string(i));
  reporter_->Step();
  EXPECT_THAT(Events(), SizeIs(25));
  clock_.Set(clock_.Now() - seconds(86400));
  Tell("sb", "policy.exec", "suppressed");
  reporter_->Step();
  clock_.Advance(seconds(10));
  Tell("sb", "policy.exec", "told");
  reporter_->Step();
  EXPECT_THAT(Events(), SizeIs(26));
}

TEST_F(ReporterTest, AnotherPodOfTheSameNameIsNotTouched) {
  MakePod("demo", "sb", "uid-of-the-one-before");
  Tell("sb", "policy.command", "denied");
  EXPECT_TRUE(reporter_->Step());
  EXPECT_EQ(Attested("demo"), "none");
  ASSERT_THAT(Events(), SizeIs(1));
  EXPECT_EQ(Events()[0]["regarding"]["uid"], "uid-of-the-one-before");
}

TEST_F(ReporterTest, AStaticPodIsKnownByItsManifestsHash) {
  api_.objects().Create("/api/v1/namespaces/team/pods",
                        {{"metadata", {{"name", "static"}, {"annotations", {{"kubernetes.io/config.hash", "hash"}}}}},
                         {"spec", {{"nodeName", "n1"}}}});
  WritePod("static", "sb", "hash");
  Tell("sb", "gpu.not-locked");
  reporter_->Step();
  EXPECT_EQ(Attested("static"), "False AttestationFailed");
}

TEST_F(ReporterTest, WhatTheApiWillNeverTakeIsLeftOut) {
  MakePod("demo", "sb");
  api_.Forbid("POST /apis/events.k8s.io");
  Tell("sb", "policy.command", "denied");
  EXPECT_TRUE(reporter_->Step());
  EXPECT_EQ(reporter_->failed(), 1u);
  EXPECT_EQ(Attested("demo"), "False PolicyDenied");  // the other way still works
}

TEST_F(ReporterTest, FilesOfPodsThatAreGoneGo) {
  options_.keep = seconds(-1);
  Restart();
  MakePod("stays", "sb1");
  MakePod("goes", "sb2");
  MakePod("goes-unread", "sb3");
  for (const char* sandbox : {"sb1", "sb2"}) Tell(sandbox, "sandbox.ended");
  reporter_->Step();
  Tell("sb3", "policy.command", "not told yet");
  api_.objects().Delete("/api/v1/namespaces/team/pods/goes");
  api_.objects().Delete("/api/v1/namespaces/team/pods/goes-unread");
  api_.FailNext(1, 500, "GET /api/v1/pods");
  reporter_->RemoveGone();  // who cannot ask removes nothing
  EXPECT_TRUE(Exists(options_.events_dir + "/sb2"));
  reporter_->RemoveGone();
  EXPECT_TRUE(Exists(options_.events_dir + "/sb1"));
  EXPECT_FALSE(Exists(options_.events_dir + "/sb2"));
  EXPECT_TRUE(Exists(options_.events_dir + "/sb3"));
  reporter_->Step();
  reporter_->RemoveGone();
  EXPECT_FALSE(Exists(options_.events_dir + "/sb3"));
}

TEST_F(ReporterTest, ALinkInAnEventFilesPlaceIsNotFollowed) {
  MakePod("demo", "sb");
  ASSERT_TRUE(WriteFileAtomic(folder_ / "elsewhere", Line("policy.command") + "\n").ok());
  std::filesystem::create_symlink(folder_ / "elsewhere", options_.events_dir + "/sb/events.jsonl");
  EXPECT_TRUE(reporter_->Step());
  EXPECT_THAT(Events(), IsEmpty());
}

}  // namespace
}  // namespace ccgpu::nodemanager
