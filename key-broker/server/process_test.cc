// The program itself: its start, its end, its files, and what a kill leaves behind.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <thread>

#include "base/json.h"
#include "key-broker/server/test_process.h"
#include "key-broker/store/test_store.h"

namespace ccgpu::broker {
namespace {

constexpr char kResource[] = "/kbs/v0/resource/default/test/one";

class ProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Exists(std::string(CCGPU_BIN_DIR) + "/ccgpu-broker")) GTEST_SKIP() << "NO PROGRAM: build ccgpu-broker first";
    ::signal(SIGPIPE, SIG_IGN);  // the client writes to brokers that were killed
    WriteKey('a');
  }
  void WriteKey(char digit) {
    ASSERT_TRUE(WriteFileAtomic(folder / "master.key", std::string(64, digit) + "\n", 0600).ok());
  }
  std::string Log() { return *ReadFile(folder / "log"); }
  int RunToEnd(std::vector<std::string> args) {
    BrokerProcess broker(folder.path(), std::move(args));
    EXPECT_FALSE(broker.ready());
    const int status = broker.Wait();
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  TempDir folder;
};

TEST_F(ProcessTest, ServesAndEndsCleanly) {
  BrokerProcess broker(folder.path(), {});
  ASSERT_TRUE(broker.ready()) << Log();
  EXPECT_EQ(broker.Client()->Get("/healthz")->status, 200);
  EXPECT_EQ(broker.Client("localhost")->Get("/healthz")->status, 200);
  EXPECT_EQ(broker.Client()->Get("/")->status, 404);
  httplib::SSLClient stranger("127.0.0.1", broker.port());
  stranger.enable_server_certificate_verification(true);
  EXPECT_FALSE(stranger.Get("/healthz")) << "the CA is the broker's own";
  struct stat info {};
  for (const char* name : {"broker.db", "admin-token", "auditor-token", "token.key", "tls/ca.key", "tls/server.key"}) {
    ASSERT_EQ(::stat((folder / name).c_str(), &info), 0) << name;
    EXPECT_EQ(info.st_mode & 077, 0u) << name;
  }
  EXPECT_TRUE(Exists(folder / "ready"));
  const int status = broker.Kill(SIGTERM);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << Log();
  EXPECT_FALSE(Exists(folder / "ready"));
}

TEST_F(ProcessTest, CaAndTokensStayOverRestarts) {
  std::string ca, token, server;
  for (int i = 0; i < 2; ++i) {
    BrokerProcess broker(folder.path(), {});
    ASSERT_TRUE(broker.ready()) << Log();
    const std::string now_ca = *ReadFile(folder / "tls/ca.crt"), now_token = *ReadFile(folder / "admin-token"),
                      now_server = *ReadFile(folder / "tls/server.crt");
    if (i == 1) {
      EXPECT_EQ(now_ca, ca);
      EXPECT_EQ(now_token, token);
      EXPECT_EQ(now_server, server);
    }
    ca = now_ca;
    token = now_token;
    server = now_server;
    broker.Kill(SIGTERM);
  }
  // Another name: another server certificate, the same CA.
  BrokerProcess broker(folder.path(), {"--tls-name", "broker.example.org"});
  ASSERT_TRUE(broker.ready()) << Log();
  EXPECT_EQ(*ReadFile(folder / "tls/ca.crt"), ca);
  EXPECT_NE(*ReadFile(folder / "tls/server.crt"), server);
}

TEST_F(ProcessTest, RefusesToRun) {
  {
    BrokerProcess broker(folder.path(), {});
    ASSERT_TRUE(broker.ready());
    broker.Kill(SIGTERM);
  }
  WriteKey('b');
  EXPECT_EQ(RunToEnd({}), 1);
  EXPECT_NE(Log().find("store.wrong-master-key"), std::string::npos);
  WriteKey('a');
  EXPECT_EQ(RunToEnd({"--listen", "nonsense"}), 2);
  EXPECT_EQ(RunToEnd({"--no-such-flag"}), 2);
  EXPECT_EQ(RunToEnd({"--device-root", "/nonexistent"}), 1);
  BrokerProcess first(folder.path(), {});
  ASSERT_TRUE(first.ready());
  EXPECT_EQ(RunToEnd({}), 1);
  EXPECT_NE(Log().find("broker.state-in-use"), std::string::npos);
}

// Made in one place, carried elsewhere (a Secret), and used from there without being written.
TEST_F(ProcessTest, StateMadeAheadServesFromFilesThatAreOnlyRead) {
  TempDir ahead;
  const std::string from = ahead.path();
  const auto init = [&] {
    BrokerProcess broker(from, {"--init-only", "--tls-name", "localhost"});
    const int status = broker.Wait();
    return !broker.ready() && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  };
  ASSERT_TRUE(init()) << *ReadFile(from + "/log");
  const std::string key = *ReadFile(from + "/master.key"), token = *ReadFile(from + "/admin-token");
  const std::string log = *ReadFile(from + "/log");
  EXPECT_EQ(log.find(key.substr(0, 64)), std::string::npos);
  EXPECT_EQ(log.find(token.substr(0, 32)), std::string::npos);
  ASSERT_TRUE(init()) << log;
  EXPECT_EQ(*ReadFile(from + "/master.key"), key) << "what is there stays";
  const auto ca = crypto::Certificate::FromPem(*ReadFile(from + "/tls/ca.crt"));
  const auto server = crypto::Certificate::FromPem(*ReadFile(from + "/tls/server.crt"));
  EXPECT_EQ(server->NotAfter(), ca->NotAfter());
  EXPECT_FALSE(Exists(from + "/broker.db"));

  const std::vector<std::string> files = {"--master-key",           from + "/master.key", "--tls-cert",
                                          from + "/tls/server.crt", "--tls-key",          from + "/tls/server.key",
                                          "--admin-token",          from + "/admin-token"};
  BrokerProcess broker(folder.path(), files);
  ASSERT_TRUE(broker.ready()) << Log();
  EXPECT_FALSE(Exists(folder / "admin-token"));
  EXPECT_FALSE(Exists(folder / "tls"));
  httplib::SSLClient client("localhost", broker.port());
  X509_STORE* store = X509_STORE_new();  // the client frees it
  X509_STORE_add_cert(store, ca->raw());
  client.set_ca_cert_store(store);
  client.enable_server_certificate_verification(true);
  const auto list =
      client.Get("/kbs/v0/ccgpu/resources", {{"Authorization", "Bearer " + token.substr(0, token.size() - 1)}});
  ASSERT_TRUE(list);
  EXPECT_EQ(list->status, 200);
  broker.Kill(SIGTERM);
  // A token file that is given and missing is not made.
  EXPECT_EQ(RunToEnd({"--admin-token", from + "/no-such-token"}), 1);
  EXPECT_FALSE(Exists(from + "/no-such-token"));
}

TEST_F(ProcessTest, AddressesThatDoNotExistYetAreFine) {
  BrokerProcess broker(folder.path(), {"--listen", "192.0.2.77:0"});  // TEST-NET-1 is on no interface
  EXPECT_TRUE(broker.ready()) << Log();
}

TEST_F(ProcessTest, EmulatedEvidenceIsAnnouncedLoudly) {
  {
    BrokerProcess broker(folder.path(), {});
    ASSERT_TRUE(broker.ready());
    EXPECT_EQ(Log().find("insecure"), std::string::npos);
  }
  BrokerProcess broker(folder.path(), {"--insecure-accept-emulated"});
  ASSERT_TRUE(broker.ready());
  EXPECT_NE(Log().find("level=warning component=ccgpu-broker msg=\"--insecure-accept-emulated"), std::string::npos);
}

TEST_F(ProcessTest, KilledWhileWritingLeavesNoHalfResource) {
  for (int round = 0; round < 5; ++round) {
    BrokerProcess broker(folder.path(), {});
    ASSERT_TRUE(broker.ready()) << Log();
    std::atomic<int> stored{0};
    std::thread writer([&] {
      auto client = broker.Client();
      client->set_keep_alive(true);
      for (char c = 'a';; c = c == 'z' ? 'a' : static_cast<char>(c + 1)) {
        auto result = client->Post(kResource, broker.Admin(), std::string(500000, c), "application/octet-stream");
        if (!result || result->status != 200) return;
        ++stored;
      }
    });
    while (stored < 3 + round) std::this_thread::yield();
    broker.Kill(SIGKILL);
    writer.join();
  }
  {
    BrokerProcess broker(folder.path(), {});
    ASSERT_TRUE(broker.ready()) << "the ledger is whole after every kill: " << Log();
    broker.Kill(SIGTERM);
  }
  TestStore store(folder / "broker.db", 0xaa);
  auto content = store.objects->Get(ObjectKind::kResource, "default/test/one");
  ASSERT_TRUE(content.ok()) << content.error().ToString();
  ASSERT_TRUE(content->has_value());
  ASSERT_EQ((*content)->size(), 500000u);
  EXPECT_EQ(std::count((*content)->begin(), (*content)->end(), (**content)[0]), 500000);
}

TEST_F(ProcessTest, Bodies) {
  BrokerProcess broker(folder.path(), {});
  ASSERT_TRUE(broker.ready()) << Log();
  auto client = broker.Client();
  const httplib::Headers admin = broker.Admin();
  EXPECT_EQ(client->Post(kResource, admin, std::string(2u << 20, 'x'), "application/octet-stream")->status, 200);
  auto too_much = client->Post(kResource, admin, std::string((2u << 20) + 1, 'x'), "application/octet-stream");
  EXPECT_TRUE(!too_much || too_much->status == 413);
  // curl's default type: must not be taken apart as a form.
  EXPECT_EQ(
      broker.Client()->Post(kResource, admin, std::string(100000, '&'), "application/x-www-form-urlencoded")->status,
      200);
  const auto list = Json::parse(broker.Client()->Get("/kbs/v0/ccgpu/resources", admin)->body);
  EXPECT_EQ(list["resources"][0]["size"], 100000);
  EXPECT_EQ(broker.Client()->Delete(kResource, admin)->status, 200);
  auto head = broker.Client()->Head("/healthz");
  EXPECT_EQ(head->status, 405);
  EXPECT_EQ(head->get_header_value("Allow"), "GET");
}

TEST_F(ProcessTest, UnpackedBodiesHaveTheSameLimit) {
  BrokerProcess broker(folder.path(), {});
  ASSERT_TRUE(broker.ready()) << Log();
  auto client = broker.Client();
  client->set_compress(true);
  auto result = client->Post(kResource, broker.Admin(), std::string(64u << 20, 'x'), "text/plain");
  EXPECT_TRUE(!result || result->status >= 400);
  EXPECT_EQ(broker.Client()->Get("/healthz")->status, 200);
}

TEST_F(ProcessTest, PlainHttpGetsNothing) {
  BrokerProcess broker(folder.path(), {});
  ASSERT_TRUE(broker.ready()) << Log();
  httplib::Client plain("127.0.0.1", broker.port());
  EXPECT_FALSE(plain.Get("/healthz"));
}

TEST_F(ProcessTest, HelpAndVersion) {
  for (const char* flag : {"--help", "--version"}) {
    const std::string command = std::string(CCGPU_BIN_DIR) + "/ccgpu-broker " + flag + " > " + folder / "out";
    EXPECT_EQ(std::system(command.c_str()), 0) << flag;
    EXPECT_NE(ReadFile(folder / "out")->find("ccgpu-broker"), std::string::npos);
  }
}

}  // namespace
}  // namespace ccgpu::broker
