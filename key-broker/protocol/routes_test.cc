// A client without evidence tries every route with every credential it can have or make.
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "key-broker/protocol/test_broker.h"
#include "trust/kbs/ear.h"

namespace ccgpu::broker {
namespace {

constexpr char kSecret[] = "SECRET-THAT-MUST-NOT-LEAK";

struct Credential {
  const char* name;
  std::string authorization, cookie;
  Access grants;  // the most that it may open
};

class RoutesTest : public testing::Test {
 protected:
  RoutesTest() {
    options.style.explain = true;
    options.peer_limits.admin_failures_a_minute = 0;  // each route is tried with each credential
    broker = std::make_unique<TestBroker>(folder.path(), pod, options);
    EXPECT_EQ(broker->Admin("POST", kPolicyPath, ReleasePolicy(pod)).status, 200);
    EXPECT_EQ(broker->Admin("POST", kResourcePath, kSecret).status, 200);
  }

  std::string Token(const crypto::PrivateKey& key, const std::string& id, std::chrono::seconds life) {
    return kbs::SignJwt(key, kbs::MakeEarClaims({verify::kTestNow - std::chrono::hours(1),
                                                 verify::kTestNow + life,
                                                 "ccgpu-broker",
                                                 "x",
                                                 "x",
                                                 "hardware",
                                                 id,
                                                 {}}));
  }

  std::vector<Credential> Credentials() {
    TestClient attested(*broker, pod);
    attested.AuthAndAttest();
    token_of_a_pod = attested.token;
    TestClient challenged(*broker, pod);
    EXPECT_EQ(challenged.Auth().status, 200);
    const crypto::PrivateKey own = crypto::PrivateKey::Generate(crypto::KeyType::kP256);
    std::string unsigned_token =
        Base64UrlEncode(AsBytes(R"({"alg":"none"})")) + token_of_a_pod.substr(token_of_a_pod.find('.'));
    unsigned_token = unsigned_token.substr(0, unsigned_token.rfind('.') + 1);
    const std::string admin = kAdminToken;
    return {
        {"nothing", "", "", Access::kAnyone},
        {"garbage", "Bearer garbage", "kbs-session-id=garbage", Access::kAnyone},
        {"empty_bearer", "Bearer ", "kbs-session-id=", Access::kAnyone},
        {"basic_auth", "Basic " + Base64Encode(AsBytes("admin:" + admin)), "", Access::kAnyone},
        {"lower_case_scheme", "bearer " + admin, "", Access::kAnyone},
        {"admin_token_cut", "Bearer " + admin.substr(0, admin.size() - 1), "", Access::kAnyone},
        {"admin_token_with_more", "Bearer " + admin + " ", "", Access::kAnyone},
        {"admin_token_as_cookie", "", "kbs-session-id=" + admin, Access::kAnyone},
        {"challenged_session", "", challenged.cookie, Access::kAnyone},
        {"token_of_another_broker", "Bearer " + Token(own, "s1", std::chrono::hours(1)), "", Access::kAnyone},
        {"expired_token", "Bearer " + Token(broker->token_key, "s1", std::chrono::seconds(-1)), "", Access::kAnyone},
        {"token_of_a_forgotten_session",
         "Bearer " + Token(broker->token_key, "00000000000040008000000000000000", std::chrono::hours(1)), "",
         Access::kAnyone},
        {"token_without_signature", "Bearer " + unsigned_token, "", Access::kAnyone},
        {"auditor", std::string("Bearer ") + kAuditorToken, "", Access::kAuditor},
        {"admin", "Bearer " + admin, "", Access::kAdmin},
        {"stolen_token", "Bearer " + token_of_a_pod, "", Access::kAttested}};
  }

  TempDir folder;
  TestPod pod;
  BrokerOptions options;
  std::unique_ptr<TestBroker> broker;
  std::string token_of_a_pod;
};

bool MayPass(Access grants, Access needs) {
  if (needs == Access::kAnyone) return true;
  if (needs == Access::kAttested) return grants == Access::kAttested;
  if (needs == Access::kAuditor) return grants == Access::kAuditor || grants == Access::kAdmin;
  return grants == Access::kAdmin;
}

// advisory: CVE-2025-64186
TEST_F(RoutesTest, NothingButEvidenceOpensAResource) {
  const kbs::TeeKey own = kbs::TeeKey::Generate();
  const std::vector<Credential> credentials = Credentials();
  int refused = 0;
  for (const std::string method : {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"}) {
    for (const RouteInfo& route : Broker::Routes()) {
      for (const Credential& credential : credentials) {
        if (credential.grants == Access::kAdmin && method == "DELETE") continue;  // would only empty the store
        HttpRequest request = Request(method, route.example_path, "x");
        request.authorization = credential.authorization;
        request.cookie = credential.cookie;
        const HttpResponse response = broker->Send(request);
        const std::string what = method + " " + route.example_path + " with " + credential.name + ": " +
                                 std::to_string(response.status) + " " + response.body;
        EXPECT_EQ(response.body.find(kSecret), std::string::npos) << what;
        EXPECT_FALSE(kbs::DecryptJwe(own, response.body).ok()) << what;
        if (method == route.method && !MayPass(credential.grants, route.access)) {
          EXPECT_EQ(response.status, 401) << what;
          ++refused;
        }
        if (method == "GET" && route.example_path == kResourcePath) {
          EXPECT_EQ(response.status == 200, credential.grants == Access::kAttested) << what;
        }
      }
    }
  }
  EXPECT_GT(refused, 100);
  // Nothing was changed by all that but by the admin, whose POST wrote "x".
  TestClient client(*broker, pod);
  client.AuthAndAttest();
  auto content = kbs::DecryptJwe(pod.key, client.Get().body);
  ASSERT_TRUE(content.ok());
  EXPECT_EQ(ToText(*content), "x");
}

TEST_F(RoutesTest, AdminReadsNothingBack) {
  for (const RouteInfo& route : Broker::Routes()) {
    if (route.method != "GET") continue;
    EXPECT_EQ(broker->Admin("GET", route.example_path).body.find(kSecret), std::string::npos) << route.example_path;
  }
}

TEST_F(RoutesTest, TokenAndCookieMustBeOfOneSession) {
  TestClient a(*broker, pod), b(*broker, pod);
  a.AuthAndAttest();
  b.AuthAndAttest();
  HttpRequest request = Request("GET", kResourcePath);
  request.authorization = "Bearer " + a.token;
  request.cookie = b.cookie;
  EXPECT_EQ(CodeOf(broker->Send(request)), "token.other-session");
  request.cookie = a.cookie;
  EXPECT_EQ(broker->Send(request).status, 200);
  request.cookie = "kbs-session-id=stale";
  EXPECT_EQ(broker->Send(request).status, 200) << "a bad cookie falls back to the token";
}

TEST_F(RoutesTest, PathsAreTakenLiterally) {
  TestClient client(*broker, pod);
  client.AuthAndAttest();
  for (const char* path : {"/kbs/v0/resource/default/test/../test/one", "/kbs/v0/resource//default/test/one",
                           "/kbs/v0/resource/default/test/one/", "/kbs/v0/resource/default/test/one%00",
                           "/kbs/v0/resource/default%2ftest/one", "//kbs/v0/resource/default/test/one"}) {
    EXPECT_NE(client.Get(path).status, 200) << path;
  }
  EXPECT_EQ(client.Get().status, 200);
}

TEST(RolesTest, EmptyTokensOpenNothing) {
  const Roles roles("", "");
  EXPECT_EQ(roles.Of(""), Role::kNone);
  const Roles good(kAdminToken, kAuditorToken);
  EXPECT_EQ(good.Of(kAdminToken), Role::kAdmin);
  EXPECT_EQ(good.Of(kAuditorToken), Role::kAuditor);
  EXPECT_EQ(good.Of("admin"), Role::kNone);
}

}  // namespace
}  // namespace ccgpu::broker
