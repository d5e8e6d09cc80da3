// A whole broker without sockets, and a client's side of the protocol.
#pragma once

#include <gtest/gtest.h>

#include "base/json.h"
#include "key-broker/protocol/broker.h"
#include "key-broker/store/test_store.h"
#include "key-broker/testing/test_pod.h"

namespace ccgpu::broker {

inline constexpr char kAdminToken[] = "admin-token-of-this-test-0123456789abcdef";
inline constexpr char kAuditorToken[] = "auditor-token-of-this-test-0123456789abcdef";
inline constexpr char kResourcePath[] = "/kbs/v0/resource/default/test/one";
inline constexpr char kPolicyPath[] = "/kbs/v0/ccgpu/release-policy/default/test/one";

inline BrokerOptions Emulated(BrokerOptions options = {}) {
  options.insecure_accept_emulated = true;
  return options;
}

inline HttpRequest Request(const std::string& method, const std::string& path, const std::string& body = "") {
  HttpRequest out;
  out.method = method;
  out.path = path;
  out.body = body;
  return out;
}

struct TestBroker {
  explicit TestBroker(const std::string& folder, TestPod& pod, BrokerOptions options = {},
                      Appraiser* other_appraiser = nullptr)
      : store(folder + "/broker.db"),
        vendor(pod),
        collateral({}, vendor),
        appraiser(pod.Anchors(), collateral),
        broker({*store.db, store.keys, other_appraiser ? *other_appraiser : appraiser, roles, clock, store.random,
                token_key},
               Emulated(options)) {}

  HttpResponse Send(HttpRequest request) { return broker.Handle(request); }
  HttpResponse Admin(const std::string& method, const std::string& path, const std::string& body = "",
                     const char* token = kAdminToken) {
    HttpRequest request = Request(method, path, body);
    request.authorization = std::string("Bearer ") + token;
    return Send(request);
  }

  TestStore store;
  TestVendor vendor;
  HttpCollateral collateral;
  EvidenceAppraiser appraiser;
  Roles roles{kAdminToken, kAuditorToken};
  ManualClock clock{verify::kTestNow};
  crypto::PrivateKey token_key = crypto::PrivateKey::Generate(crypto::KeyType::kP256);
  Broker broker;
};

// One agent's conversation.
struct TestClient {
  TestClient(TestBroker& to, TestPod& of) : broker(to), pod(of) {}

  HttpResponse Auth() {
    HttpResponse response = Send(Request("POST", "/kbs/v0/auth", kbs::AuthRequest().ToJson()));
    if (response.status == 200) {
      nonce = kbs::ParseChallenge(response.body)->nonce;
      cookie = response.set_cookie.substr(0, response.set_cookie.find(';'));
    }
    return response;
  }
  HttpResponse Attest(const kbs::AttestRequest& evidence) {
    HttpRequest request = Request("POST", "/kbs/v0/attest", evidence.ToJson());
    request.cookie = cookie;
    HttpResponse response = Send(request);
    if (response.status == 200) token = *kbs::ParseTokenResponse(response.body);
    return response;
  }
  HttpResponse Attest() { return Attest(pod.Answer(nonce)); }
  void AuthAndAttest() {
    ASSERT_EQ(Auth().status, 200);
    const HttpResponse response = Attest();
    ASSERT_EQ(response.status, 200) << response.body;
  }
  HttpResponse Get(const std::string& path = kResourcePath) {
    HttpRequest request = Request("GET", path);
    if (!token.empty()) request.authorization = "Bearer " + token;
    return Send(request);
  }
  HttpResponse Send(HttpRequest request) {
    request.remote = address;
    return broker.Send(request);
  }

  TestBroker& broker;
  TestPod& pod;
  std::string address = "10.1.0.1";
  std::string nonce, cookie, token;
};

inline std::string CodeOf(const HttpResponse& response) {
  auto body = kbs::ParseErrorBody(response.body);
  return body.ok() && body->why ? body->why->code : response.status == 200 ? "granted" : "?";
}
inline std::string VariantOf(const HttpResponse& response) {
  auto body = kbs::ParseErrorBody(response.body);
  return body.ok() ? body->variant : "?";
}

inline std::string ReleasePolicy(const TestPod& pod, const std::string& gpus_min = "1",
                                 const std::string& environment = "emulated") {
  return "apiVersion: ccgpu.dev/v1alpha1\nkind: KeyReleasePolicy\nmetadata:\n  name: test\nspec:\n  environment: [" +
         environment + "]\n  sandbox:\n    hostData: [\"sha256:" + pod.host_data +
         "\"]\n  gpus:\n    min: " + gpus_min + "\n";
}

}  // namespace ccgpu::broker
