// The whole protocol over real HTTPS with the real program: challenge, evidence, token, key; collateral over real HTTP.
#include <gtest/gtest.h>

#include <thread>

#include "key-broker/server/test_process.h"
#include "key-broker/store/test_store.h"
#include "key-broker/testing/test_pod.h"
#include "trust/kbs/protocol.h"

namespace ccgpu::broker {
namespace {

constexpr char kResource[] = "/kbs/v0/resource/default/test/one";
constexpr char kPolicy[] = "/kbs/v0/ccgpu/release-policy/default/test/one";

// The vendor's RIM and OCSP services on a loopback port.
class VendorServer {
 public:
  explicit VendorServer(TestVendor& vendor) {
    server_.Get("/v1/rim/(.*)", [&vendor](const httplib::Request& request, httplib::Response& response) {
      Answer(vendor.Fetch({request.path, "", ""}), response);
    });
    server_.Post("/ocsp", [&vendor](const httplib::Request& request, httplib::Response& response) {
      Answer(vendor.Fetch({request.path, request.body, ""}), response);
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~VendorServer() {
    server_.stop();
    thread_.join();
  }
  std::string Url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }

 private:
  static void Answer(const Result<collateral::FetchAnswer>& answer, httplib::Response& response) {
    response.status = answer.ok() ? 200 : 404;
    if (answer.ok()) response.set_content(answer->body, "application/octet-stream");
  }
  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
};

class RcarTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Exists(std::string(CCGPU_BIN_DIR) + "/ccgpu-broker")) GTEST_SKIP() << "NO PROGRAM: build ccgpu-broker first";
    ::signal(SIGPIPE, SIG_IGN);
    vendor.now = SystemClock().Now();
    const verify::Anchors anchors = pod.Anchors();
    Write("master.key", std::string(64, 'a'));
    Write("device.pem", anchors.device_roots[0].Pem());
    Write("rim.pem", anchors.rim_roots[0].Pem());
    Write("amd.pem", anchors.amd_roots[0].Pem());
  }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomic(File(name), text, 0600).ok());
  }
  std::string File(const std::string& name) const { return folder / name; }
  std::vector<std::string> Flags(bool emulated = true) const {
    std::vector<std::string> out = {
        "--device-root", File("device.pem"),    "--rim-root",       File("rim.pem"),
        "--amd-root",    File("amd.pem"),       "--rim-url",        services.Url("/v1/rim/"),
        "--ocsp-url",    services.Url("/ocsp"), "--explain-denials"};
    if (emulated) out.push_back("--insecure-accept-emulated");
    return out;
  }
  void PutSecret(const BrokerProcess& broker, const std::string& of_gpus = "") {
    const std::string policy =
        "apiVersion: ccgpu.dev/v1alpha1\nkind: KeyReleasePolicy\nmetadata:\n  name: test\nspec:\n  environment: "
        "[emulated]\n"
        "  sandbox:\n    hostData: [\"sha256:" +
        pod.host_data + "\"]\n  gpus:\n    min: 1\n" + of_gpus;
    ASSERT_EQ(broker.Client()->Post(kPolicy, broker.Admin(), policy, "application/yaml")->status, 200);
    ASSERT_EQ(broker.Client()->Post(kResource, broker.Admin(), "the key", "application/octet-stream")->status, 200);
  }
  // "the key", or the code of the refusal.
  std::string Fetch(const BrokerProcess& broker) {
    auto client = broker.Client();
    client->set_keep_alive(true);
    auto challenge = client->Post("/kbs/v0/auth", kbs::AuthRequest().ToJson(), "application/json");
    const std::string cookie = challenge->get_header_value("Set-Cookie");
    const httplib::Headers session = {{"Cookie", cookie.substr(0, cookie.find(';'))}};
    auto attested = client->Post("/kbs/v0/attest", session,
                                 pod.Answer(kbs::ParseChallenge(challenge->body)->nonce).ToJson(), "application/json");
    if (attested->status != 200) return CodeOf(attested->body);
    token = *kbs::ParseTokenResponse(attested->body);
    return FetchWithToken(broker);
  }
  std::string FetchWithToken(const BrokerProcess& broker) {
    auto resource = broker.Client()->Get(kResource, httplib::Headers{{"Authorization", "Bearer " + token}});
    if (resource->status != 200) return CodeOf(resource->body);
    auto plaintext = kbs::DecryptJwe(pod.key, resource->body);
    return plaintext.ok() ? ToText(*plaintext) : plaintext.error().code;
  }
  static std::string CodeOf(const std::string& body) {
    auto error = kbs::ParseErrorBody(body);
    return error.ok() && error->why ? error->why->code : body;
  }

  TempDir folder;
  TestPod pod;
  TestVendor vendor{pod};
  VendorServer services{vendor};
  std::string token;
};

TEST_F(RcarTest, FromChallengeToKeyAndOverARestart) {
  {
    BrokerProcess broker(folder.path(), Flags());
    ASSERT_TRUE(broker.ready());
    PutSecret(broker);
    EXPECT_EQ(Fetch(broker), "the key");
    broker.Kill(SIGKILL);
  }
  BrokerProcess broker(folder.path(), Flags());
  ASSERT_TRUE(broker.ready());
  EXPECT_EQ(FetchWithToken(broker), "the key") << "resource, policy, token and attestation outlive a kill";
  EXPECT_EQ(Fetch(broker), "the key");
}

// rule 17: composite
TEST_F(RcarTest, EmulatedWithoutTheFlag) {
  {
    BrokerProcess broker(folder.path(), Flags());
    ASSERT_TRUE(broker.ready());
    PutSecret(broker);
    EXPECT_EQ(Fetch(broker), "the key");
  }
  BrokerProcess broker(folder.path(), Flags(false));
  ASSERT_TRUE(broker.ready());
  EXPECT_EQ(FetchWithToken(broker), "environment.emulated") << "the token of before";
  EXPECT_EQ(Fetch(broker), "environment.emulated");
}

TEST_F(RcarTest, RevokedBoard) {
  vendor.revoked_level = "device1";
  BrokerProcess broker(folder.path(), Flags());
  ASSERT_TRUE(broker.ready());
  PutSecret(broker);
  EXPECT_EQ(Fetch(broker), "gpu.revoked");
}

// Evidence of twelve devices in one request, and their token in one header line.
TEST_F(RcarTest, AWholeMachineWithItsSwitches) {
  pod = TestPod::WithSwitches();
  BrokerProcess broker(folder.path(), Flags());
  ASSERT_TRUE(broker.ready());
  PutSecret(broker);
  EXPECT_EQ(Fetch(broker), "release.protected-pcie");
  PutSecret(broker, "    protectedPcie: true\n");
  EXPECT_EQ(FetchWithToken(broker), "the key");
}

TEST_F(RcarTest, TwoClientsAtOnce) {
  BrokerProcess broker(folder.path(), Flags());
  ASSERT_TRUE(broker.ready());
  PutSecret(broker);
  ASSERT_EQ(Fetch(broker), "the key");
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 10; ++k) EXPECT_EQ(FetchWithToken(broker), "the key");
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace ccgpu::broker
