#include "kube/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "kube/paths.h"
#include "kube/testing/fake_api.h"
#include "kube/testing/manual_timer.h"

namespace ccgpu::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using testing::FakeApi;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ManualTimer;

Json Object(const std::string& kind, const std::string& name, Json more = Json::object()) {
  Json object = {{"apiVersion", "v1"}, {"kind", kind}, {"metadata", {{"name", name}}}};
  object.merge_patch(more);
  return object;
}

class ClientTest : public ::testing::Test {
 protected:
  std::unique_ptr<Client> MakeClient(Options options = {}) {
    options.timer = &timer_;
    return Client::Make(api_.access(), options).value();
  }
  const TempDir folder_;
  FakeApi api_;
  ManualTimer timer_;
};

TEST_F(ClientTest, AnObjectsLife) {
  auto client = MakeClient();
  auto made = client->Create(Core("", "nodes"), Object("Node", "n1"));
  ASSERT_TRUE(made.ok()) << made.error().ToString();
  auto patched = client->Patch(NodePath("n1"), PatchType::kMerge, {{"metadata", {{"labels", {{"a", "b"}}}}}});
  ASSERT_TRUE(patched.ok());
  EXPECT_EQ((*patched)["metadata"]["labels"]["a"], "b");
  auto read = client->Get(NodePath("n1"));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(*read, *patched);

  // Somebody who read before the patch may not overwrite it.
  Json stale = *made;
  stale["metadata"]["labels"] = {{"a", "c"}};
  EXPECT_EQ(client->Replace(NodePath("n1"), stale).error().code, "kube.conflict");
  (*read)["metadata"]["labels"]["a"] = "c";
  EXPECT_TRUE(client->Replace(NodePath("n1"), *read).ok());

  EXPECT_EQ(client->Create(Core("", "nodes"), Object("Node", "n1")).error().code, "kube.exists");
  EXPECT_TRUE(client->Delete(NodePath("n1")).ok());
  EXPECT_EQ(client->Get(NodePath("n1")).error().code, "kube.not-found");
}

TEST_F(ClientTest, ErrorsCarryTheServersWords) {
  api_.Forbid("GET /api/v1/secrets");
  auto client = MakeClient();
  auto refused = client->List(Core("", "secrets"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "kube.forbidden");
  EXPECT_THAT(refused.error().text, HasSubstr("GET /api/v1/secrets is forbidden"));
  EXPECT_EQ(client->Create(Core("", "nodes"), Json::object()).error().code, "kube.invalid");
  EXPECT_THAT(client->FailureCounts(),
              ElementsAre(std::pair<std::string, uint64_t>("kube.forbidden", 1), std::pair("kube.invalid", 1)));
}

TEST_F(ClientTest, StatusIsApartFromTheRest) {
  auto client = MakeClient();
  ASSERT_TRUE(client->Create(Core("", "nodes"), Object("Node", "n1")).ok());
  const Json ready = {{"status", {{"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
  const Json ours = {{"status", {{"conditions", {{{"type", "Ours"}, {"status", "False"}}}}}},
                     {"metadata", {{"labels", {{"x", "y"}}}}}};
  ASSERT_TRUE(client->Patch(NodePath("n1") + "/status", PatchType::kStrategic, ready).ok());
  auto both = client->Patch(NodePath("n1") + "/status", PatchType::kStrategic, ours);
  ASSERT_TRUE(both.ok());
  EXPECT_EQ((*both)["status"]["conditions"].size(), 2u);
  EXPECT_FALSE((*both)["metadata"].contains("labels"));
}

TEST_F(ClientTest, AListComesWhole) {
  for (int i = 0; i < 1234; i++)
    api_.objects().Create("/api/v1/namespaces/x/pods", Object("Pod", "pod-" + std::to_string(10000 + i)));
  Options options;
  options.page = 100;
  auto client = MakeClient(options);
  auto pods = client->List(Core("", "pods"));
  ASSERT_TRUE(pods.ok()) << pods.error().ToString();
  ASSERT_EQ(pods->size(), 1234u);
  EXPECT_EQ((*pods)[1233]["metadata"]["name"], "pod-11233");
  EXPECT_EQ((*pods)[0]["kind"], "Pod");
  EXPECT_EQ(api_.CountRequests("GET /api/v1/pods"), 13u);
}

TEST_F(ClientTest, AListThatExpiresBetweenTwoPagesIsBegunAgain) {
  for (int i = 0; i < 10; i++) api_.objects().Create("/api/v1/nodes", Object("Node", "n" + std::to_string(i)));
  Options options;
  options.page = 4;
  auto client = MakeClient(options);
  // The second page finds the server's history gone.
  std::atomic<bool> done{false};
  api_.FailNext(1, 410, "GET /api/v1/nodes");
  auto first = client->List(Core("", "nodes"));
  EXPECT_EQ(first.error().code, "kube.gone");  // at the first page there is nothing to begin again
  api_.OnRequest([&](const std::string&) {
    if (api_.CountRequests("GET /api/v1/nodes") == 3 && !done.exchange(true)) api_.objects().ForgetHistory();
  });
  auto nodes = client->List(Core("", "nodes"));
  ASSERT_TRUE(nodes.ok()) << nodes.error().ToString();
  EXPECT_EQ(nodes->size(), 10u);
  EXPECT_TRUE(done);
}

TEST_F(ClientTest, ARotatedTokenIsUsedAtOnce) {
  auto client = MakeClient();
  EXPECT_TRUE(client->List(Core("", "nodes")).ok());
  api_.SetToken("token-2");
  EXPECT_TRUE(client->List(Core("", "nodes")).ok());
  // Revoked, and the file still holds the old one: refused, without trying for ever.
  api_.SetToken("token-3", false);
  EXPECT_EQ(client->List(Core("", "nodes")).error().code, "kube.unauthorized");
  EXPECT_THAT(timer_.waits(), IsEmpty());
  api_.SetToken("token-3");
  EXPECT_TRUE(client->List(Core("", "nodes")).ok());
}

TEST_F(ClientTest, ATokenThatIsRotatedWhileTheRequestIsOnItsWayIsTriedOnceMore) {
  auto client = MakeClient();
  std::atomic<bool> done{false};
  api_.OnRequest([&](const std::string&) {
    if (!done.exchange(true)) api_.SetToken("token-2");
  });
  EXPECT_TRUE(client->List(Core("", "nodes")).ok());
  EXPECT_EQ(api_.CountRequests("GET /api/v1/nodes"), 2u);
}

TEST_F(ClientTest, AnEmptyOrMissingTokenIsNotSent) {
  auto client = MakeClient();
  ASSERT_TRUE(WriteFileAtomic(api_.access().token_file, "\n").ok());
  EXPECT_EQ(client->Get(NodePath("n")).error().code, "kube.no-credentials");
  ASSERT_TRUE(WriteFileAtomic(api_.access().token_file, "a\nX-Evil: b").ok());
  EXPECT_EQ(client->Get(NodePath("n")).error().code, "kube.no-credentials");
  EXPECT_THAT(api_.Requests(), IsEmpty());
}

TEST_F(ClientTest, AnotherAuthoritysServerIsRefusedBeforeTheTokenIsShown) {
  auto access = api_.access();
  access.ca_file = folder_ / "other.crt";
  ASSERT_TRUE(WriteFileAtomic(access.ca_file, FakeApi::OtherCa()).ok());
  Options options;
  options.timer = &timer_;
  auto client = Client::Make(access, options).value();
  EXPECT_EQ(client->Get(NodePath("n")).error().code, "kube.tls-refused");
  EXPECT_THAT(api_.Requests(), IsEmpty());
}

TEST_F(ClientTest, AServerOfTheRightAuthorityUnderAnotherNameIsRefused) {
  auto access = api_.access();
  access.server = "https://localhost" + access.server.substr(access.server.rfind(':'));
  Options options;
  options.timer = &timer_;
  auto client = Client::Make(access, options).value();
  EXPECT_EQ(client->Get(NodePath("n")).error().code, "kube.tls-refused");
}

TEST_F(ClientTest, OnlyHttpsAndReadableFiles) {
  auto access = api_.access();
  access.server = "http://127.0.0.1:80";
  EXPECT_EQ(Client::Make(access).error().code, "kube.invalid");
  access = api_.access();
  access.server += "/prefix";
  EXPECT_EQ(Client::Make(access).error().code, "kube.invalid");
  access = api_.access();
  access.ca_file = folder_ / "none";
  EXPECT_EQ(Client::Make(access).error().code, "kube.no-credentials");
  access = {};
  EXPECT_EQ(access.FillInCluster().error().code, "kube.no-credentials");
}

TEST_F(ClientTest, ABusyServerIsAskedAgainWhenItSays) {
  api_.FailNext(2, 429, "GET", "7");
  auto client = MakeClient();
  EXPECT_TRUE(client->List(Core("", "nodes")).ok());
  EXPECT_THAT(timer_.waits(), ElementsAre(seconds(7), seconds(7)));
}

TEST_F(ClientTest, AServerThatIsAwayIsAskedWithGrowingPausesUntilTheTimeIsUp) {
  api_.SetAway(true);
  auto client = MakeClient();
  const auto begin = timer_.Now();
  auto gone = client->Get(NodePath("n"));
  EXPECT_EQ(gone.error().code, "kube.unavailable");
  EXPECT_LE(timer_.Now() - begin, seconds(30));
  EXPECT_GT(timer_.Now() - begin, seconds(15));
  EXPECT_EQ(timer_.waits()[0], milliseconds(200));
  EXPECT_EQ(timer_.waits()[1], milliseconds(400));

  CallOptions patient;
  patient.retry_for = seconds(300);
  timer_.At(begin + seconds(120), [&] { api_.SetAway(false); });
  EXPECT_EQ(client->Get(NodePath("n"), patient).error().code, "kube.not-found");
}

TEST_F(ClientTest, WhatTryingAgainCannotMendIsNotTriedAgain) {
  auto client = MakeClient();
  for (int status : {400, 403, 404, 405, 409, 422}) {
    api_.FailNext(1, status);
    EXPECT_FALSE(client->Get(NodePath("n")).ok());
  }
  api_.FailNext(1, 503);
  CallOptions once;
  once.retry_for = milliseconds(0);
  EXPECT_EQ(client->Get(NodePath("n"), once).error().code, "kube.unavailable");
  EXPECT_THAT(timer_.waits(), IsEmpty());
}

// Seen with kube-apiserver: for some milliseconds after its start it answers 403 to everybody.
TEST_F(ClientTest, AServerThatStartsRefusesNobodyForGood) {
  auto client = MakeClient();
  ASSERT_TRUE(client->Create(Core("", "nodes"), Object("Node", "n")).ok());
  api_.FailNext(2, 403, "GET /api/v1/nodes");
  api_.FailNext(2, 500, "GET /readyz");
  EXPECT_TRUE(client->Get(NodePath("n")).ok());
  EXPECT_THAT(client->FailureCounts(), ElementsAre(std::pair<std::string, uint64_t>("kube.unavailable", 2)));
  ASSERT_EQ(timer_.waits().size(), 2u);

  // It refused, and became ready before we looked.
  api_.FailNext(1, 403, "GET /api/v1/nodes");
  EXPECT_TRUE(client->Get(NodePath("n")).ok());
  EXPECT_EQ(timer_.waits().size(), 2u);

  // It is ready and means it: twice asked, then believed.
  const size_t asked = api_.CountRequests("GET /api/v1/nodes");
  api_.Forbid("GET /api/v1/nodes");
  EXPECT_EQ(client->Get(NodePath("n")).error().code, "kube.forbidden");
  EXPECT_EQ(api_.CountRequests("GET /api/v1/nodes"), asked + 2);
  EXPECT_EQ(timer_.waits().size(), 2u);
}

TEST_F(ClientTest, AnswersThatAreNoApisAreRefused) {
  EXPECT_EQ(Escape("a b/ü~"), "a%20b%2F%C3%BC~");
  EXPECT_EQ(Core("ns", "pods", "../../secrets"), "/api/v1/namespaces/ns/pods/..%2F..%2Fsecrets");
  EXPECT_EQ(Group("apps/v1", "", "daemonsets"), "/apis/apps/v1/daemonsets");
  api_.FailNext(1, 200);  // a Status object where a list should be
  auto client = MakeClient();
  EXPECT_EQ(client->List(Core("", "nodes")).error().code, "kube.bad-answer");
}

// Follows a collection in a thread of its own, as a map of names to versions of "data".
class Follower {
 public:
  Follower(FakeApi& api, Timer& timer, const std::string& path, const std::string& query = "") : api_(api) {
    Options options;
    options.timer = &timer;
    client_ = Client::Make(api.access(), options).value();
    thread_ = std::thread([this, path, query] {
      WatchHandler handler;
      handler.on_list = [this](const std::vector<Json>& items) {
        std::lock_guard lock(mutex_);
        lists_++;
        state_.clear();
        for (const auto& item : items) state_[item["metadata"]["name"]] = item.value("data", "");
        api_.objects().Wake();
      };
      handler.on_event = [this](const std::string& type, const Json& object) {
        std::lock_guard lock(mutex_);
        events_++;
        const std::string name = object["metadata"]["name"];
        if (type == "DELETED") {
          state_.erase(name);
        } else {
          state_[name] = object.value("data", "");
        }
        api_.objects().Wake();
      };
      handler.on_trouble = [this](const Error& error) {
        std::lock_guard lock(mutex_);
        troubles_.push_back(error.code);
      };
      CallOptions call;
      call.query = query;
      client_->Watch(path, call, handler);
    });
  }
  ~Follower() {
    client_->Stop();
    thread_.join();
  }
  bool Sees(const std::map<std::string, std::string>& state) {
    return api_.objects().WaitFor([&] {
      std::lock_guard lock(mutex_);
      return state_ == state;
    });
  }
  int lists() {
    std::lock_guard lock(mutex_);
    return lists_;
  }
  std::vector<std::string> troubles() {
    std::lock_guard lock(mutex_);
    return troubles_;
  }

 private:
  FakeApi& api_;
  std::unique_ptr<Client> client_;
  std::mutex mutex_;
  std::map<std::string, std::string> state_;
  std::vector<std::string> troubles_;
  int lists_ = 0, events_ = 0;
  std::thread thread_;
};

TEST_F(ClientTest, AWatchFollowsThroughWhateverHappens) {
  auto& objects = api_.objects();
  objects.Create("/api/v1/nodes", Object("Node", "n1", {{"data", "1"}}));
  Follower follower(api_, timer_, Core("", "nodes"));
  EXPECT_TRUE(follower.Sees({{"n1", "1"}}));
  objects.Create("/api/v1/nodes", Object("Node", "n2", {{"data", "1"}}));
  EXPECT_TRUE(follower.Sees({{"n1", "1"}, {"n2", "1"}}));
  EXPECT_EQ(follower.lists(), 1);

  // Dropped in the middle: goes on from where it was, without a list.
  api_.DropWatches();
  objects.Delete("/api/v1/nodes/n1");
  EXPECT_TRUE(follower.Sees({{"n2", "1"}}));
  EXPECT_EQ(follower.lists(), 1);

  // The history is gone: only a list can tell that n2 went meanwhile.
  api_.SetAway(true);
  objects.Delete("/api/v1/nodes/n2");
  objects.Create("/api/v1/nodes", Object("Node", "n3", {{"data", "1"}}));
  objects.ForgetHistory();
  api_.SetAway(false);
  EXPECT_TRUE(follower.Sees({{"n3", "1"}}));
  EXPECT_GE(follower.lists(), 2);

  // The token is rotated, the old one refused.
  api_.SetToken("token-2");
  api_.DropWatches();
  objects.Patch("/api/v1/nodes/n3", "application/merge-patch+json", {{"data", "2"}});
  EXPECT_TRUE(follower.Sees({{"n3", "2"}}));

  // Refused for a while (a role that is not there yet), throttled, broken.
  api_.FailNext(2, 403, "GET /api");
  api_.FailNext(2, 429, "", "3");
  api_.FailNext(2, 500);
  api_.DropWatches();
  objects.Patch("/api/v1/nodes/n3", "application/merge-patch+json", {{"data", "3"}});
  EXPECT_TRUE(follower.Sees({{"n3", "3"}}));
  EXPECT_THAT(follower.troubles(), ::testing::IsSupersetOf({"kube.forbidden", "kube.throttled", "kube.unavailable"}));
}

TEST_F(ClientTest, AWatchSeesOnlyWhatItAskedFor) {
  Follower follower(api_, timer_, Core("", "pods"), "fieldSelector=spec.nodeName%3Dn1");
  EXPECT_TRUE(follower.Sees({}));
  auto& objects = api_.objects();
  objects.Create("/api/v1/namespaces/a/pods", Object("Pod", "p1", {{"spec", {{"nodeName", "n2"}}}}));
  objects.Create("/api/v1/namespaces/a/pods", Object("Pod", "p2", {{"spec", {{"nodeName", "n1"}}}, {"data", "x"}}));
  EXPECT_TRUE(follower.Sees({{"p2", "x"}}));
}

TEST_F(ClientTest, StopEndsEverything) {
  auto client = Client::Make(api_.access()).value();  // with the system's time
  std::thread watcher([&] {
    client->Watch(Core("", "nodes"), {}, {[](const auto&) {}, [](const auto&, const auto&) {}, {}});
  });
  EXPECT_TRUE(api_.objects().WaitFor([&] { return api_.CountRequests("GET /api/v1/nodes") >= 2; }));
  api_.FailNext(1000, 503, "GET /api/v1/pods");
  std::thread caller([&] { EXPECT_EQ(client->Get(Core("", "pods")).error().code, "kube.stopped"); });
  EXPECT_TRUE(api_.objects().WaitFor([&] { return api_.CountRequests("GET /api/v1/pods") >= 1; }));
  client->Stop();
  watcher.join();
  caller.join();
  EXPECT_EQ(client->Get(NodePath("n")).error().code, "kube.stopped");
}

}  // namespace
}  // namespace ccgpu::kube
