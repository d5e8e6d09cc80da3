// The agent's patience with a broker that has too much to do.
#include "attestation-agent/broker_client.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include <deque>
#include <thread>

#include "base/json.h"
#include "trust/kbs/ear.h"
#include "trust/kbs/jwe.h"
#include "trust/kbs/protocol.h"

namespace ccgpu::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyTime = std::chrono::steady_clock::time_point;

class NoTee final : public Collector {
 public:
  NoTee() : Collector(nullptr, "") {}
  Result<std::string> Tee() override { return std::string("tdx"); }
  Result<evidence::CompositeEvidence> Composite(std::string_view, const kbs::PublicJwk&) override {
    if (meanwhile) meanwhile();
    evidence::CompositeEvidence out;
    out.cpu = evidence::TdxEvidence{Bytes(64, 1), std::nullopt};
    return out;
  }
  std::function<void()> meanwhile;
};

struct Refusal {
  int status;
  std::string retry_after;  // empty: no such header
  std::string code;         // empty: does not explain itself
};

// Believes any evidence, and refuses as often as it is told to. Has one thread, which waits long for a connection's
// next request.
class BusyBroker {
 public:
  BusyBroker() {
    server_.Post("/kbs/v0/auth", [this](const httplib::Request&, httplib::Response& out) {
      if (Refuse(auth, out)) return;
      out.set_header("Set-Cookie", std::string(kbs::kSessionCookie) + "=1; Path=/kbs/v0");
      out.set_content(kbs::Challenge{"AAAA", R"("")"}.ToJson(), "application/json");
    });
    server_.Post("/kbs/v0/attest", [this](const httplib::Request& in, httplib::Response& out) {
      if (Refuse(attest, out)) return;
      agents_key_ = kbs::ParseAttestRequest(in.body)->tee_pubkey;
      out.set_content(kbs::MakeTokenResponse(kbs::SignJwt(key_, R"({"exp":4000000000})")), "application/json");
    });
    server_.Get("/kbs/v0/resource/(.*)", [this](const httplib::Request&, httplib::Response& out) {
      if (Refuse(resource, out)) return;
      out.set_content(*kbs::EncryptJwe(agents_key_, AsBytes("the key"), random_), "application/json");
    });
    server_.new_task_queue = [] { return new httplib::ThreadPool(1); };
    server_.set_keep_alive_timeout(3600);
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~BusyBroker() {
    server_.stop();
    thread_.join();
  }
  std::string Url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  std::deque<Refusal> auth, attest, resource;  // still to come
  std::vector<SteadyTime> asked;               // all requests

 private:
  bool Refuse(std::deque<Refusal>& coming, httplib::Response& out) {
    asked.push_back(std::chrono::steady_clock::now());
    if (coming.empty()) return false;
    const Refusal refusal = coming.front();
    coming.pop_front();
    out.status = refusal.status;
    if (!refusal.retry_after.empty()) out.set_header("Retry-After", refusal.retry_after);
    kbs::ErrorBody body{"TooManyRequests", "too many", std::nullopt, ""};
    if (!refusal.code.empty()) body.why = Error::FromWire(refusal.code, "10.1.0.1", "asks too often");
    out.set_content(body.ToJson(), "application/json");
    return true;
  }

  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
  crypto::PrivateKey key_ = crypto::PrivateKey::Generate(crypto::KeyType::kP256);
  crypto::SystemRandom random_;
  kbs::PublicJwk agents_key_;
};

class BrokerClientTest : public testing::Test {
 protected:
  Result<Bytes> Get(milliseconds patience) {
    BrokerClient client({broker.Url(), ""}, "initdata", collector, clock, "", patience);
    return client.GetResource("default/a/b");
  }
  NoTee collector;
  ManualClock clock{*ParseTime("2026-01-01")};
  BusyBroker broker;
};

TEST_F(BrokerClientTest, ComesBackWhenItIsTold) {
  broker.auth = {{429, "2", "broker.too-many-requests"}};
  broker.attest = {{429, "1", ""}};
  broker.resource = {{503, "1", ""}};
  auto key = Get(BrokerClient::kPatience);
  ASSERT_TRUE(key.ok()) << key.error().ToString();
  EXPECT_EQ(ToText(*key), "the key");
  // auth | auth, attest | auth, attest, resource | resource
  ASSERT_EQ(broker.asked.size(), 7u);
  EXPECT_GE(broker.asked[1] - broker.asked[0], seconds(2));
  EXPECT_GE(broker.asked[3] - broker.asked[2], seconds(1));
  EXPECT_GE(broker.asked[6] - broker.asked[5], seconds(1));
}

TEST_F(BrokerClientTest, WithoutATimeThatItUnderstandsItWaitsASecond) {
  broker.resource = {{429, "", ""}, {429, "Sun, 22 Nov 2026 12:00:00 GMT", ""}};
  auto key = Get(BrokerClient::kPatience);
  ASSERT_TRUE(key.ok()) << key.error().ToString();
  ASSERT_EQ(broker.asked.size(), 5u);
  EXPECT_GE(broker.asked[3] - broker.asked[2], seconds(1));
  EXPECT_GE(broker.asked[4] - broker.asked[3], seconds(1));
}

TEST_F(BrokerClientTest, WhatIsLongerThanItsPatienceFailsAtOnce) {
  broker.auth = {{429, "300", "session.too-many-of-peer"}};
  EXPECT_EQ(Get(BrokerClient::kPatience).error().code, "session.too-many-of-peer");
  EXPECT_EQ(broker.asked.size(), 1u);
  broker.auth = {{503, "999999", ""}};
  EXPECT_EQ(Get(BrokerClient::kPatience).error().code, "broker.refused");
  EXPECT_EQ(broker.asked.size(), 2u);
}

TEST_F(BrokerClientTest, ABrokerThatIsAlwaysBusyEndsItsPatience) {
  broker.auth.assign(100, {429, "1", "broker.too-many-requests"});
  EXPECT_EQ(Get(milliseconds(2500)).error().code, "broker.too-many-requests");
  EXPECT_GE(broker.asked.size(), 2u);
  EXPECT_LE(broker.asked.size(), 3u);
}

TEST_F(BrokerClientTest, HoldsNoThreadOfTheBrokerWhileItCollectsEvidence) {
  collector.meanwhile = [&] {
    collector.meanwhile = nullptr;
    NoTee others;
    BrokerClient other({broker.Url(), ""}, "initdata", others, clock, "", seconds(5));
    EXPECT_TRUE(other.GetToken().ok());
  };
  EXPECT_TRUE(Get(BrokerClient::kPatience).ok());
}

TEST_F(BrokerClientTest, HoldsNoThreadOfTheBrokerWhenItHasItsKey) {
  BrokerClient first({broker.Url(), ""}, "initdata", collector, clock, "", seconds(5)),
      second({broker.Url(), ""}, "initdata", collector, clock, "", seconds(5));
  EXPECT_TRUE(first.GetResource("default/a/b").ok());
  EXPECT_TRUE(second.GetResource("default/a/b").ok());
}

TEST_F(BrokerClientTest, OtherRefusalsAreFinal) {
  for (int status : {400, 401, 403, 404, 500}) {
    broker.asked.clear();
    broker.auth = {{status, "1", "release.no-policy"}};
    EXPECT_EQ(Get(BrokerClient::kPatience).error().code, "release.no-policy") << status;
    EXPECT_EQ(broker.asked.size(), 1u) << status;
  }
}

}  // namespace
}  // namespace ccgpu::agent
