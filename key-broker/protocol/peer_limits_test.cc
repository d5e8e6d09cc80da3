// One peer may ask much, then must wait; the others do not notice.
#include "key-broker/protocol/peer_limits.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "key-broker/protocol/test_broker.h"

namespace ccgpu::broker {
namespace {

using std::chrono::seconds;

const TimePoint kNow = verify::kTestNow;

TEST(PeerOf, IsWhoCannotEasilyBeSomebodyElse) {
  EXPECT_EQ(PeerOf("10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(PeerOf("::ffff:10.1.2.3"), "10.1.2.3");
  EXPECT_EQ(PeerOf("2001:db8:0:1:aaaa::1"), "2001:db8:0:1::/64");
  EXPECT_EQ(PeerOf("2001:DB8::1:0:0:0:2"), "2001:db8:0:1::/64");
  EXPECT_EQ(PeerOf("2001:db8:0:2:aaaa::1"), "2001:db8:0:2::/64");
  EXPECT_EQ(PeerOf("fe80::1%eth0"), "fe80::/64");
  EXPECT_EQ(PeerOf("::1"), "::/64");
  EXPECT_EQ(PeerOf(""), "");
}

TEST(PeerLimits, ABurstThenAsFastAsItComesBack) {
  PeerLimits limits({.burst = 5, .per_second = 2});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(limits.Take("a", Cost::kChallenge, kNow), seconds(0)) << i;
  EXPECT_EQ(limits.Take("a", Cost::kChallenge, kNow), seconds(1));
  EXPECT_EQ(limits.Take("a", Cost::kChallenge, kNow), seconds(1)) << "asking again costs nothing";
  EXPECT_EQ(limits.Take("a", Cost::kEvidence, kNow), seconds(0)) << "each kind by itself";
  EXPECT_EQ(limits.Take("b", Cost::kChallenge, kNow), seconds(0)) << "each peer by itself";
  EXPECT_EQ(limits.Take("a", Cost::kChallenge, kNow + seconds(1)), seconds(0));
  EXPECT_EQ(limits.Take("a", Cost::kChallenge, kNow + seconds(1)), seconds(0));
  EXPECT_EQ(limits.Take("a", Cost::kChallenge, kNow + seconds(1)), seconds(1));
  const TimePoint later = kNow + std::chrono::hours(1);
  int taken = 0;
  while (limits.Take("a", Cost::kChallenge, later) == seconds(0)) ++taken;
  EXPECT_EQ(taken, 5) << "never more than the burst";
}

// Rates that are no whole numbers of requests a second, and none of seconds a request.
TEST(PeerLimits, WhoWaitsAsLongAsToldIsServed) {
  for (uint32_t a_minute : {1u, 7u, 45u, 60u, 77u, 10000u}) {
    PeerLimits limits({.admin_failures_a_minute = a_minute});
    TimePoint now = kNow;
    const uint32_t calls = 3 * a_minute;
    for (uint32_t i = 0; i < calls; ++i) {
      now += limits.Wait("a", Cost::kAdminFailure, now);
      ASSERT_EQ(limits.Take("a", Cost::kAdminFailure, now), seconds(0)) << a_minute << " " << i;
    }
    EXPECT_GE(now - kNow, seconds(119)) << "two thirds of them had to wait";
    EXPECT_LE(now - kNow, seconds(121) + seconds(2 * a_minute)) << "at most a second of rounding each";
  }
}

TEST(PeerLimits, ResourcesTenTimesAsMany) {
  PeerLimits limits({.burst = 3, .per_second = 1});
  for (int i = 0; i < 30; ++i) EXPECT_EQ(limits.Take("a", Cost::kResource, kNow), seconds(0)) << i;
  EXPECT_EQ(limits.Take("a", Cost::kResource, kNow), seconds(1));
}

TEST(PeerLimits, ZeroIsNoLimitAndKeepsNothing) {
  PeerLimits limits({.sessions = 0, .burst = 0, .per_second = 0, .admin_failures_a_minute = 0});
  for (int i = 0; i < 10000; ++i) {
    ASSERT_EQ(limits.Take("a", Cost::kChallenge, kNow), seconds(0));
    ASSERT_EQ(limits.Take("a", Cost::kAdminFailure, kNow), seconds(0));
  }
  EXPECT_EQ(limits.size(), 0u);
}

TEST(PeerLimits, AClockThatIsSetBackLocksNobodyOut) {
  PeerLimits limits({.burst = 1, .per_second = 1});
  EXPECT_EQ(limits.Take("a", Cost::kChallenge, kNow), seconds(0));
  const TimePoint before = kNow - std::chrono::hours(24);
  EXPECT_EQ(limits.Take("a", Cost::kChallenge, before), seconds(1));
  EXPECT_EQ(limits.Take("a", Cost::kChallenge, before + seconds(1)), seconds(0));
}

TEST(PeerLimits, ManyPeersTakeNoMoreMemoryThanSome) {
  PeerLimits limits({.burst = 2, .per_second = 1});
  const auto name = [](size_t i) {
    return PeerOf("2001:db8:" + std::to_string(i % 9000) + ":" + std::to_string(i / 9000) + "::1");
  };
  EXPECT_EQ(limits.Take("steady", Cost::kChallenge, kNow), seconds(0));
  EXPECT_EQ(limits.Take("steady", Cost::kChallenge, kNow), seconds(0));
  for (size_t i = 0; i < 3 * PeerLimits::kMaxPeers; ++i) {
    ASSERT_EQ(limits.Take(name(i), Cost::kChallenge, kNow), seconds(0)) << "a new one is never refused for the others";
    if (i % 1000 == 0) {
      ASSERT_EQ(limits.Take("steady", Cost::kChallenge, kNow), seconds(1)) << "who goes on is not forgotten";
    }
  }
  EXPECT_EQ(limits.size(), PeerLimits::kMaxPeers);
  (void)limits.Take("b", Cost::kChallenge, kNow + std::chrono::minutes(2));
  EXPECT_EQ(limits.size(), 1u) << "the silent ones are forgotten when their buckets are full";
}

TEST(PeerLimits, OneLineAMinute) {
  PeerLimits limits({});
  EXPECT_TRUE(limits.MayLog("a", kNow));
  EXPECT_FALSE(limits.MayLog("a", kNow + seconds(59)));
  EXPECT_TRUE(limits.MayLog("b", kNow + seconds(59)));
  EXPECT_TRUE(limits.MayLog("a", kNow + seconds(60)));
}

TEST(PeerLimits, ThreadsGetNoMoreThanTheBurstTogether) {
  PeerLimits limits({.burst = 100, .per_second = 1});
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 100; ++k) taken += limits.Take("a", Cost::kEvidence, kNow) == seconds(0);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(taken, 100);
}

// A broker with small limits, a peer that asks as fast as it can, and one that wants its key.
class FloodTest : public testing::Test {
 protected:
  TestBroker& Make(PeerLimitOptions limits) {
    BrokerOptions options;
    options.style.explain = true;
    options.max_sessions = 50;
    options.peer_limits = limits;
    broker = std::make_unique<TestBroker>(folder.path(), pod, options);
    return *broker;
  }
  // How many of this many requests are answered with 200.
  int Granted(TestClient& of, int requests) {
    int granted = 0;
    for (int i = 0; i < requests; ++i) granted += (last = of.Auth()).status == 200;
    return granted;
  }
  // "granted", or the code of what refuses the other one.
  std::string OtherOne() {
    TestClient other(*broker, pod);
    other.address = "10.1.0.2";
    if (const HttpResponse answer = other.Auth(); answer.status != 200) return CodeOf(answer);
    return CodeOf(other.Attest());
  }
  std::string Metrics() { return broker->Send(Request("GET", "/metrics")).body; }

  TempDir folder;
  TestPod pod;
  std::unique_ptr<TestBroker> broker;
  HttpResponse last;
};

TEST_F(FloodTest, WithoutLimitsOnePeerTakesAllPlaces) {
  TestClient hostile(Make({.sessions = 0, .burst = 0}), pod);
  EXPECT_EQ(Granted(hostile, 200), 50);
  EXPECT_EQ(last.status, 503);
  EXPECT_EQ(last.retry_after, std::chrono::minutes(5));
  EXPECT_EQ(OtherOne(), "session.too-many");
}

TEST_F(FloodTest, ChallengesAreLimited) {
  TestClient hostile(Make({.burst = 20, .per_second = 1}), pod);
  EXPECT_EQ(Granted(hostile, 200), 20);
  EXPECT_EQ(last.status, 429);
  EXPECT_EQ(last.retry_after, seconds(1));
  EXPECT_EQ(CodeOf(last), "broker.too-many-requests");
  EXPECT_EQ(VariantOf(last), "TooManyRequests");
  EXPECT_EQ(OtherOne(), "granted");
  broker->clock.Advance(seconds(3));
  EXPECT_EQ(Granted(hostile, 200), 3);
  EXPECT_NE(
      Metrics().find("ccgpu_broker_refusals_total{route=\"/kbs/v0/auth\",code=\"broker.too-many-requests\"} 377\n"),
      std::string::npos);
}

TEST_F(FloodTest, SessionsOfOnePeerAreLimited) {
  TestClient hostile(Make({.sessions = 10, .burst = 0}), pod);
  EXPECT_EQ(Granted(hostile, 200), 10);
  EXPECT_EQ(last.status, 429);
  EXPECT_EQ(CodeOf(last), "session.too-many-of-peer");
  EXPECT_EQ(last.retry_after, std::chrono::minutes(5));
  EXPECT_EQ(OtherOne(), "granted");
  broker->clock.Advance(std::chrono::minutes(5));
  EXPECT_EQ(Granted(hostile, 200), 10) << "its places come free";
}

TEST_F(FloodTest, VerificationsAreLimitedAndTheRecordDoesNotGrow) {
  TestClient hostile(Make({.burst = 20, .per_second = 1}), pod);
  ASSERT_EQ(hostile.Auth().status, 200);
  const kbs::AttestRequest forged = pod.Answer(hostile.nonce, kbs::TeeKey::Generate().jwk);
  std::string code;
  for (int i = 0; i < 200; ++i) code = CodeOf(hostile.Attest(forged));
  EXPECT_EQ(code, "broker.too-many-requests");
  EXPECT_NE(Metrics().find("kbs_attestation_requests_total 20\n"), std::string::npos);
  EXPECT_EQ(OtherOne(), "granted");
}

TEST_F(FloodTest, ResourceRequestsAreLimitedAndTheRecordDoesNotGrow) {
  TestClient hostile(Make({.burst = 2, .per_second = 1}), pod);
  hostile.AuthAndAttest();
  for (int i = 0; i < 200; ++i) last = hostile.Get();
  EXPECT_EQ(CodeOf(last), "broker.too-many-requests");
  EXPECT_NE(Metrics().find("ccgpu_broker_ledger_entries 21\n"), std::string::npos) << "its attestation and 20 denials";
}

TEST_F(FloodTest, GuessingAtTheAdminsRoutes) {
  Make({.admin_failures_a_minute = 5});
  const auto admin = [&](const char* address, const char* token) {
    HttpRequest request = Request("GET", "/kbs/v0/ccgpu/resources");
    request.authorization = std::string("Bearer ") + token;
    request.remote = address;
    return broker->Send(request);
  };
  for (int i = 0; i < 100; ++i) ASSERT_EQ(admin("10.1.0.2", kAdminToken).status, 200) << "what succeeds is not counted";
  for (int i = 0; i < 5; ++i) EXPECT_EQ(admin("10.1.0.1", "guess").status, 401);
  last = admin("10.1.0.1", "guess");
  EXPECT_EQ(last.status, 429);
  EXPECT_EQ(CodeOf(last), "admin.too-many-failures");
  EXPECT_EQ(admin("10.1.0.1", kAdminToken).status, 429) << "the right guess looks as the wrong ones";
  EXPECT_EQ(admin("10.1.0.2", kAdminToken).status, 200);
  broker->clock.Advance(last.retry_after);
  EXPECT_EQ(admin("10.1.0.1", kAdminToken).status, 200);
}

TEST_F(FloodTest, ANodesWorthOfPodsFitsIntoTheDefaults) {
  broker = std::make_unique<TestBroker>(folder.path(), pod);
  TestClient node(*broker, pod);
  EXPECT_EQ(Granted(node, 1000), 1000);
  node.address = "10.1.0.3";
  int sessions = 0;
  for (int second = 0; second < 290; ++second) {
    sessions += Granted(node, 30);
    broker->clock.Advance(seconds(1));
  }
  EXPECT_EQ(sessions, 5000) << "of the 100000 places; then the oldest must end first";
}

}  // namespace
}  // namespace ccgpu::broker
