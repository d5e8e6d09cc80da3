// What /metrics says after each kind of answer: an operator sees which code, not only that something was refused.
#include <gmock/gmock.h>

#include "key-broker/protocol/test_broker.h"

namespace ccgpu::broker {
namespace {

using testing::HasSubstr;
using testing::Not;

class BrokerMetrics : public testing::Test {
 protected:
  std::string Metrics() { return broker.Send(Request("GET", "/metrics")).body; }
  void Put() {
    ASSERT_EQ(broker.Admin("POST", kPolicyPath, ReleasePolicy(pod)).status, 200);
    ASSERT_EQ(broker.Admin("POST", kResourcePath, "secret").status, 200);
  }

  TempDir folder;
  TestPod pod;
  TestBroker broker{folder.path(), pod};
  TestClient client{broker, pod};
};

TEST_F(BrokerMetrics, AReleaseIsCountedOnceAndItsHandshakeTimed) {
  Put();
  client.AuthAndAttest();
  for (int i = 0; i < 3; ++i) ASSERT_EQ(client.Get().status, 200);
  const std::string text = Metrics();
  EXPECT_THAT(text, HasSubstr("ccgpu_broker_releases_total 3\n"));
  EXPECT_THAT(text, HasSubstr("ccgpu_broker_handshake_seconds_count 1\n"));  // a pod that asks again is no new pod
  EXPECT_THAT(
      text, HasSubstr("ccgpu_broker_attestations_total{tee=\"snp\",environment=\"emulated\",result=\"accepted\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("ccgpu_broker_http_requests_total{route=\"/kbs/v0/resource/\",method=\"GET\",status="
                              "\"200\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("ccgpu_broker_ledger_entries 6\n"));
  EXPECT_THAT(text, HasSubstr("ccgpu_broker_resources 1\n"));
  EXPECT_THAT(text, HasSubstr("ccgpu_broker_sessions 1\n"));
}

TEST_F(BrokerMetrics, EachRefusalIsCountedByItsCode) {
  ASSERT_EQ(client.Auth().status, 200);
  (void)client.Attest(pod.Answer(client.nonce, kbs::TeeKey::Generate().jwk));
  (void)client.Get();
  (void)broker.Admin("POST", kResourcePath, "x", kAuditorToken);
  client.AuthAndAttest();
  (void)client.Get();
  const std::string text = Metrics();
  for (const char* line : {"route=\"/kbs/v0/attest\",code=\"snp.report-data-mismatch\"} 1\n",
                           "route=\"/kbs/v0/resource/\",code=\"session.none\"} 1\n",
                           "route=\"/kbs/v0/resource/\",code=\"admin.wrong-role\"} 1\n",
                           "route=\"/kbs/v0/resource/\",code=\"release.no-policy\"} 1\n"})
    EXPECT_THAT(text, HasSubstr("ccgpu_broker_refusals_total{" + std::string(line)));
  EXPECT_THAT(text, HasSubstr("result=\"refused\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("ccgpu_broker_internal_errors_total{")));
}

// Whoever may send requests must not be able to make series.
TEST_F(BrokerMetrics, NothingThatAClientChoseBecomesALabel) {
  for (const char* path : {"/evil-path", "/kbs/v0/evil-plugin", "/kbs/v0/resource/evil/evil/evil"}) {
    (void)broker.Send(Request("GET", path));
    (void)broker.Send(Request("EVIL", path));
  }
  kbs::AuthRequest request;
  request.tee = "evil-tee";
  (void)broker.Send(Request("POST", "/kbs/v0/auth", request.ToJson()));
  const std::string text = Metrics();
  EXPECT_THAT(text, Not(HasSubstr("evil")));
  EXPECT_THAT(text, Not(HasSubstr("EVIL")));
  EXPECT_THAT(text, HasSubstr("ccgpu_broker_refusals_total{route=\"none\",code=\"broker.unknown-route\"} 5\n"));
}

TEST_F(BrokerMetrics, OurOwnFailuresAreTold) {
  Put();
  client.AuthAndAttest();
  {
    Database::Transaction transaction(*broker.store.db);
    ASSERT_TRUE(Database::Query(*broker.store.db, "ALTER TABLE ledger RENAME TO gone").Run().ok());
    ASSERT_TRUE(transaction.Commit().ok());
  }
  EXPECT_EQ(client.Get().status, 401);  // as CoCo's broker says it; without a record nothing is released
  const std::string text = Metrics();
  EXPECT_THAT(text, HasSubstr("ccgpu_broker_internal_errors_total{code=\"store.failed\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("ccgpu_broker_releases_total 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("ccgpu_broker_ledger_entries ")));  // nothing is better than a number that is wrong
}

}  // namespace
}  // namespace ccgpu::broker
