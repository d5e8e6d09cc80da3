// The broker's own rules: sessions, releases, records.
#include <gtest/gtest.h>

#include <thread>

#include "base/encoding.h"
#include "key-broker/protocol/test_broker.h"
#include "trust/kbs/ear.h"

namespace ccgpu::broker {
namespace {

constexpr char kSecret[] = "the model key";
BrokerOptions Explaining() {
  BrokerOptions out;
  out.style.explain = true;
  return out;
}

class BrokerTest : public testing::Test {
 protected:
  void PutSecret(TestPod& of, const std::string& gpus_min = "1", const std::string& environment = "emulated") {
    const HttpResponse policy = broker.Admin("POST", kPolicyPath, ReleasePolicy(of, gpus_min, environment));
    ASSERT_EQ(policy.status, 200) << policy.body;
    ASSERT_EQ(broker.Admin("POST", kResourcePath, kSecret).status, 200);
  }
  Json Decisions() {
    return Json::parse(broker.Admin("GET", "/kbs/v0/ccgpu/decisions", "", kAuditorToken).body)["decisions"];
  }

  TempDir folder;
  TestPod pod;
  TestBroker broker{folder.path(), pod, Explaining()};
  TestClient client{broker, pod};
};

TEST_F(BrokerTest, EvidenceOpensTheResource) {
  PutSecret(pod);
  client.AuthAndAttest();
  const HttpResponse response = client.Get();
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.content_type, "application/json");
  auto plaintext = kbs::DecryptJwe(pod.key, response.body);
  ASSERT_TRUE(plaintext.ok()) << plaintext.error().ToString();
  EXPECT_EQ(ToText(*plaintext), kSecret);
  // The session's cookie alone does too.
  client.token.clear();
  HttpRequest by_cookie = Request("GET", kResourcePath);
  by_cookie.cookie = "other=1; " + client.cookie;
  EXPECT_EQ(broker.Send(by_cookie).status, 200);
}

TEST_F(BrokerTest, TokenSaysWhatItIs) {
  client.AuthAndAttest();
  const Json claims = Json::parse(*kbs::VerifyJwt(broker.token_key.public_key(), client.token, broker.clock.Now()));
  EXPECT_EQ(claims["ccgpu.environment"], "emulated");
  EXPECT_TRUE(claims["submods"].contains("cpu0"));
  EXPECT_TRUE(claims["submods"].contains("gpu0"));
  EXPECT_EQ(claims["submods"]["cpu0"]["ear.veraison.annotated-evidence"]["runtime_data_claims"]["tee-pubkey"],
            Json::parse(pod.key.jwk.ToJson()));
  EXPECT_LT(client.token.size(), 6000u) << "HTTP libraries take header lines of 8 KiB";
}

TEST_F(BrokerTest, NobodyGetsAResourceWithoutAPolicy) {
  ASSERT_EQ(broker.Admin("POST", kResourcePath, kSecret).status, 200);
  client.AuthAndAttest();
  const HttpResponse response = client.Get();
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(VariantOf(response), "PolicyDeny");
  EXPECT_EQ(CodeOf(response), "release.no-policy");
  EXPECT_EQ(CodeOf(client.Get("/kbs/v0/resource/default/test/absent")), "release.no-policy")
      << "absent and closed look the same";
}

TEST_F(BrokerTest, PolicyDecides) {
  client.AuthAndAttest();
  PutSecret(pod, "2");
  EXPECT_EQ(client.Get().status, 401);
  EXPECT_NE(client.Get().body.find("gpus.min"), std::string::npos) << client.Get().body;
  PutSecret(pod, "1", "hardware");
  EXPECT_EQ(client.Get().status, 401) << "emulated evidence for a policy that wants hardware";
  TestPod other = pod;
  other.host_data[0] = other.host_data[0] == '0' ? '1' : '0';
  PutSecret(other);
  EXPECT_EQ(client.Get().status, 401) << "another pod's initdata";
  PutSecret(pod);
  EXPECT_EQ(client.Get().status, 200) << "the same token: policies hold from the moment they are set";
}

// Eight GPUs and the switches between them, over which their data goes in plain text.
TEST(BrokerWithSwitches, ReleasesWhereThePolicyNamesProtectedPcie) {
  TempDir folder;
  TestPod pod = TestPod::WithSwitches();
  TestBroker broker(folder.path(), pod, Explaining());
  TestClient client(broker, pod);
  client.AuthAndAttest();
  EXPECT_LT(client.token.size(), 8150u) << "HTTP libraries take header lines of 8 KiB";
  const std::string policy = ReleasePolicy(pod, "8");
  ASSERT_EQ(broker.Admin("POST", kResourcePath, kSecret).status, 200);
  for (const std::string& silent : {policy, ReleasePolicy(pod, "8") + "    protectedPcie: false\n"}) {
    ASSERT_EQ(broker.Admin("POST", kPolicyPath, silent).status, 200);
    EXPECT_EQ(client.Get().status, 401);
    EXPECT_EQ(CodeOf(client.Get()), "release.protected-pcie");
  }
  ASSERT_EQ(broker.Admin("POST", kPolicyPath, policy + "    protectedPcie: true\n").status, 200);
  const HttpResponse response = client.Get();
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(ToText(*kbs::DecryptJwe(pod.key, response.body)), kSecret);
  ASSERT_EQ(broker.Admin("POST", kPolicyPath, ReleasePolicy(pod, "9") + "    protectedPcie: true\n").status, 200);
  EXPECT_EQ(CodeOf(client.Get()), "release.gpu-count") << "switches are no GPUs";
  // Without one of the switches there is no token to begin with.
  pod.gpus.pop_back();
  TestClient without(broker, pod);
  ASSERT_EQ(without.Auth().status, 200);
  EXPECT_EQ(CodeOf(without.Attest()), "fabric.switch-count");
}

TEST_F(BrokerTest, DenialsAreSilentUnlessAsked) {
  TempDir other;
  TestBroker silent(other.path(), pod);
  TestClient silent_client(silent, pod);
  silent_client.AuthAndAttest();
  const HttpResponse response = silent_client.Get();
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(
      response.body,
      R"({"detail":"Access denied by policy","type":"https://github.com/confidential-containers/kbs/errors/PolicyDeny"})");
}

TEST_F(BrokerTest, StrictStatus) {
  TempDir other;
  BrokerOptions options;
  options.style.strict_status = true;
  TestBroker strict(other.path(), pod, options);
  TestClient strict_client(strict, pod);
  EXPECT_EQ(strict_client.Get().status, 401);
  strict_client.AuthAndAttest();
  EXPECT_EQ(strict_client.Get().status, 403);
  EXPECT_EQ(strict_client.Get("/kbs/v0/resource/no/good").status, 400);
  EXPECT_EQ(strict.Admin("POST", kResourcePath, "x", kAuditorToken).status, 403);
}

TEST_F(BrokerTest, SessionRules) {
  EXPECT_EQ(CodeOf(client.Attest(pod.Answer(Base64Encode(Bytes(32, 1))))), "session.none");
  client.cookie = std::string(kbs::kSessionCookie) + "=00000000000040008000000000000000";
  EXPECT_EQ(CodeOf(client.Attest(pod.Answer(Base64Encode(Bytes(32, 1))))), "session.unknown");
  ASSERT_EQ(client.Auth().status, 200);
  EXPECT_EQ(CodeOf(client.Attest(pod.Answer(Base64Encode(Bytes(32, 1))))), "session.wrong-nonce");
  broker.clock.Advance(std::chrono::minutes(5));
  EXPECT_EQ(CodeOf(client.Attest()), "session.expired");
  broker.clock.Set(verify::kTestNow);
  client.AuthAndAttest();
  EXPECT_EQ(CodeOf(client.Attest()), "session.nonce-used") << "never a second token for one nonce";
  kbs::AttestRequest garbage = pod.Answer(client.nonce);
  garbage.primary_evidence_json = "{}";
  const HttpResponse again = client.Attest(garbage);
  EXPECT_NE(again.status, 200) << "an attested session gives no token for unchecked evidence";
}

TEST_F(BrokerTest, FailedEvidenceMayBeRetriedAFewTimes) {
  ASSERT_EQ(client.Auth().status, 200);
  kbs::AttestRequest bad = pod.Answer(client.nonce);
  bad.primary_evidence_json = "{}";
  for (uint32_t i = 1; i < Sessions::kMaxAttempts; ++i)
    EXPECT_NE(CodeOf(client.Attest(bad)), "session.too-many-attempts");
  EXPECT_EQ(client.Attest().status, 200) << "the last attempt allowed";
  ASSERT_EQ(client.Auth().status, 200);
  bad = pod.Answer(client.nonce);
  bad.primary_evidence_json = "{}";
  for (uint32_t i = 0; i < Sessions::kMaxAttempts; ++i) (void)client.Attest(bad);
  EXPECT_EQ(CodeOf(client.Attest()), "session.too-many-attempts");
}

// rule 12: composite
// advisory: CVE-2026-33697
TEST_F(BrokerTest, EvidenceOfAPresentedByB) {
  PutSecret(pod);
  ASSERT_EQ(client.Auth().status, 200);
  // B relays A's evidence for B's challenge, but with B's own key to encrypt to.
  kbs::AttestRequest stolen = pod.Answer(client.nonce);
  const kbs::TeeKey thief = kbs::TeeKey::Generate();
  stolen.tee_pubkey = thief.jwk;
  EXPECT_EQ(CodeOf(client.Attest(stolen)), "snp.report-data-mismatch");
  // B takes A's token: what it opens is encrypted to A.
  TestClient a(broker, pod);
  a.AuthAndAttest();
  const HttpResponse response = a.Get();
  ASSERT_EQ(response.status, 200);
  EXPECT_FALSE(kbs::DecryptJwe(thief, response.body).ok());
}

// rule 1: composite
TEST_F(BrokerTest, ReplayedMessageWithANewNonce) {
  ASSERT_EQ(client.Auth().status, 200);
  const kbs::AttestRequest old = pod.Answer(client.nonce);
  ASSERT_EQ(client.Attest(old).status, 200);
  ASSERT_EQ(client.Auth().status, 200);
  EXPECT_EQ(CodeOf(client.Attest(old)), "session.wrong-nonce");
  kbs::AttestRequest renamed = old;
  renamed.nonce = client.nonce;
  EXPECT_EQ(CodeOf(client.Attest(renamed)), "snp.report-data-mismatch");
}

TEST_F(BrokerTest, VersionsAndTees) {
  kbs::AuthRequest request;
  request.version = "0.1.1";
  HttpResponse response = broker.Send(Request("POST", "/kbs/v0/auth", request.ToJson()));
  EXPECT_EQ(response.status, 401);
  EXPECT_NE(response.body.find("KBS Client Protocol Version Mismatch: expect =0.4.0 while the request is 0.1.1"),
            std::string::npos);
  request.version = "0.4.0";
  request.tee = "sample";
  EXPECT_EQ(CodeOf(broker.Send(Request("POST", "/kbs/v0/auth", request.ToJson()))), "attest.unsupported-tee");
  EXPECT_EQ(broker.Send(Request("POST", "/kbs/v0/auth", "{")).status, 401);
}

TEST_F(BrokerTest, UnknownRoutes) {
  EXPECT_EQ(VariantOf(broker.Send(Request("GET", "/"))), "InvalidRequestPath");
  EXPECT_EQ(broker.Send(Request("GET", "/")).status, 404);
  EXPECT_EQ(VariantOf(broker.Send(Request("GET", "/kbs/v0/auth"))), "PluginNotFound");
  EXPECT_EQ(broker.Send(Request("GET", "/kbs/v0/nothing/here")).status, 404);
  EXPECT_EQ(broker.Send(Request("POST", "/metrics")).status, 405);
  EXPECT_EQ(broker.Send(Request("PUT", kResourcePath)).status, 405);
  EXPECT_EQ(broker.Send(Request("PUT", kResourcePath)).allow, "GET, POST, DELETE");
  EXPECT_EQ(broker.Send(Request("GET", "/healthz")).status, 200);
  const HttpResponse metrics = broker.Send(Request("GET", "/metrics"));
  EXPECT_NE(metrics.body.find("kbs_http_requests_total"), std::string::npos);
}

TEST_F(BrokerTest, EveryDecisionIsInTheLedger) {
  PutSecret(pod);
  client.AuthAndAttest();
  ASSERT_EQ(client.Get().status, 200);
  (void)client.Get("/kbs/v0/resource/default/test/other");
  TestClient bad(broker, pod);
  ASSERT_EQ(bad.Auth().status, 200);
  (void)bad.Attest(pod.Answer(bad.nonce, kbs::TeeKey::Generate().jwk));
  const Json list = Decisions();
  std::vector<std::string> seen;
  for (const Json& entry : list)
    seen.push_back(entry["kind"].get<std::string>() + ":" +
                   (entry["allowed"] ? "yes" : entry["code"].get<std::string>()));
  EXPECT_EQ(seen, (std::vector<std::string>{"admin:yes", "admin:yes", "attest:yes", "release:yes",
                                            "release:release.no-policy", "attest:snp.report-data-mismatch"}));
  EXPECT_EQ(list[2]["environment"], "emulated");
  EXPECT_FALSE(list[3]["details"]["reasons"].empty());
  EXPECT_FALSE(list[5]["details"]["failed"].empty());
  EXPECT_EQ(list[3]["session"], list[2]["session"]);
  const Json chain = Json::parse(broker.Admin("GET", "/kbs/v0/ccgpu/decisions", "").body);
  EXPECT_FALSE(chain.contains("chain"));
  EXPECT_TRUE(broker.broker.ledger().Verify().ok());
}

TEST_F(BrokerTest, NoRecordNoRelease) {
  PutSecret(pod);
  client.AuthAndAttest();
  {
    Database::Query query(*broker.store.db,
                          "CREATE TRIGGER full BEFORE INSERT ON ledger BEGIN SELECT RAISE(ABORT, 'disk full'); END");
    ASSERT_TRUE(query.Run().ok());
  }
  const HttpResponse response = client.Get();
  EXPECT_NE(response.status, 200);
  EXPECT_EQ(response.body.find("protected"), std::string::npos);
}

TEST_F(BrokerTest, TamperedRowsAreNotReleased) {
  PutSecret(pod);
  client.AuthAndAttest();
  ASSERT_EQ(client.Get().status, 200);
  {
    // An attacker with the file swaps in a policy of their own making.
    Database::Query query(*broker.store.db,
                          "UPDATE objects SET sealed = (SELECT sealed FROM objects WHERE kind = 1) WHERE kind = 2");
    ASSERT_TRUE(query.Run().ok());
  }
  EXPECT_EQ(CodeOf(client.Get()), "store.tampered");
}

TEST_F(BrokerTest, RestartKeepsTokensResourcesAndLedger) {
  PutSecret(pod);
  client.AuthAndAttest();
  Broker again({*broker.store.db, broker.store.keys, broker.appraiser, broker.roles, broker.clock, broker.store.random,
                broker.token_key},
               Emulated(Explaining()));
  HttpRequest request = Request("GET", kResourcePath);
  request.authorization = "Bearer " + client.token;
  EXPECT_EQ(again.Handle(request).status, 200);
  Broker careful({*broker.store.db, broker.store.keys, broker.appraiser, broker.roles, broker.clock,
                  broker.store.random, broker.token_key},
                 Explaining());
  EXPECT_EQ(CodeOf(careful.Handle(request)), "environment.emulated") << "restarted without the flag";
  broker.clock.Advance(std::chrono::minutes(5));
  EXPECT_EQ(CodeOf(again.Handle(request)), "kbs.token-expired");
  EXPECT_EQ(*again.ledger().Verify(), 4);
}

TEST_F(BrokerTest, DeletingASecretForgetsItsPolicy) {
  PutSecret(pod);
  client.AuthAndAttest();
  ASSERT_EQ(client.Get().status, 200);
  ASSERT_EQ(broker.Admin("DELETE", kResourcePath).status, 200);
  EXPECT_EQ(broker.Admin("DELETE", kResourcePath).status, 404);
  ASSERT_EQ(broker.Admin("POST", kResourcePath, "another secret").status, 200);
  EXPECT_EQ(CodeOf(client.Get()), "release.no-policy");
}

TEST_F(BrokerTest, PoliciesAreCheckedWhenPut) {
  HttpResponse response = broker.Admin("POST", kPolicyPath, "kind: KeyReleasePolicy\nspec:\n  wrong: 1\n");
  EXPECT_EQ(response.status, 400);
  auto body = kbs::ParseErrorBody(response.body);
  ASSERT_TRUE(body.ok() && body->why);
  EXPECT_NE(body->why->subject.find("release-policy:"), std::string::npos) << body->why->ToString();
  ASSERT_EQ(broker.Admin("POST", kPolicyPath, ReleasePolicy(pod)).status, 200);
  EXPECT_EQ(broker.Admin("GET", kPolicyPath, "", kAuditorToken).body, ReleasePolicy(pod));
  EXPECT_EQ(broker.Admin("DELETE", kPolicyPath).status, 200);
  EXPECT_EQ(broker.Admin("GET", kPolicyPath).status, 404);
}

TEST_F(BrokerTest, TwoClientsAtOnce) {
  PutSecret(pod);
  auto work = [&](int rounds) {
    TestPod own(1);
    // The broker knows the roots of `pod`; the shared test keys make `own` the same vendor's, but its roots are other
    // certificates.
    own.gpus = pod.gpus;
    own.cpu = pod.cpu;
    TestClient one(broker, own);
    for (int i = 0; i < rounds; ++i) {
      ASSERT_EQ(one.Auth().status, 200);
      const HttpResponse response = one.Attest();
      ASSERT_EQ(response.status, 200) << response.body;
      auto secret = kbs::DecryptJwe(own.key, one.Get().body);
      ASSERT_TRUE(secret.ok());
      ASSERT_EQ(ToText(*secret), kSecret);
    }
  };
  std::thread first(work, 5), second(work, 5);
  first.join();
  second.join();
  EXPECT_TRUE(broker.broker.ledger().Verify().ok());
}

// Accepts everything, after everyone has arrived.
class SlowYes final : public Appraiser {
 public:
  Appraisal Appraise(const std::string&, const kbs::AttestRequest&, TimePoint) override {
    ++inside;
    while (inside < 2) std::this_thread::yield();
    Appraisal out;
    out.accepted = true;
    out.environment = "emulated";
    return out;
  }
  std::atomic<int> inside{0};
};

TEST_F(BrokerTest, OneNonceGivesOneTokenAlsoInARace) {
  TempDir other;
  SlowYes yes;
  TestBroker racy(other.path(), pod, Explaining(), &yes);
  TestClient one(racy, pod);
  ASSERT_EQ(one.Auth().status, 200);
  const kbs::AttestRequest evidence = pod.Answer(one.nonce);
  TestClient two(racy, pod);
  two.cookie = one.cookie;
  std::string codes[2];
  std::thread first([&] { codes[0] = CodeOf(one.Attest(evidence)); }),
      second([&] { codes[1] = CodeOf(two.Attest(evidence)); });
  first.join();
  second.join();
  std::sort(codes, codes + 2);
  EXPECT_EQ(codes[0], "granted");
  EXPECT_EQ(codes[1], "session.nonce-used");
}

TEST_F(BrokerTest, SessionsAreLimited) {
  TempDir other;
  BrokerOptions options = Explaining();
  options.max_sessions = 3;
  TestBroker small(other.path(), pod, options);
  TestClient one(small, pod);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(one.Auth().status, 200);
  EXPECT_EQ(one.Auth().status, 503);
  small.clock.Advance(std::chrono::minutes(5));
  EXPECT_EQ(one.Auth().status, 200) << "places come free";
}

}  // namespace
}  // namespace ccgpu::broker
