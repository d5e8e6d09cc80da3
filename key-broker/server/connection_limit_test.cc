// Silent connections of one peer at the real program: they hold its threads, but not all of them.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "base/fd.h"
#include "key-broker/server/test_process.h"
#include "key-broker/store/test_store.h"

namespace ccgpu::broker {
namespace {

constexpr char kHostile[] = "127.0.0.2";
constexpr size_t kSilent = 8;

class ConnectionLimitTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!Exists(std::string(CCGPU_BIN_DIR) + "/ccgpu-broker")) GTEST_SKIP() << "NO PROGRAM: build ccgpu-broker first";
    ::signal(SIGPIPE, SIG_IGN);
    ASSERT_TRUE(WriteFileAtomic(folder / "master.key", std::string(64, 'a') + "\n", 0600).ok());
  }
  std::vector<std::string> FourThreadsAnd(const std::string& limits) const {
    const std::string file = folder / "config.yaml";
    EXPECT_TRUE(WriteFileAtomic(file, "threads: 4\n").ok());
    return {"--config", file, "--peer-limits", limits};
  }
  static Fd SilentConnection(const BrokerProcess& broker) {
    Fd out(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in from{}, to{};
    from.sin_family = to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(broker.port()));
    EXPECT_EQ(::inet_pton(AF_INET, kHostile, &from.sin_addr), 1);
    EXPECT_EQ(::inet_pton(AF_INET, "127.0.0.1", &to.sin_addr), 1);
    EXPECT_EQ(::bind(out.get(), reinterpret_cast<sockaddr*>(&from), sizeof from), 0);
    EXPECT_EQ(::connect(out.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return out;
  }
  static size_t Open(const std::vector<Fd>& connections) {
    size_t open = 0;
    char byte;
    for (const Fd& one : connections) open += ::recv(one.get(), &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
    return open;
  }
  TempDir folder;
};

TEST_F(ConnectionLimitTest, WithoutItSilenceShutsEverybodyOut) {
  BrokerProcess broker(folder.path(), FourThreadsAnd("{connections: 0}"));
  ASSERT_TRUE(broker.ready());
  std::vector<Fd> silent;
  for (size_t i = 0; i < kSilent; ++i) silent.push_back(SilentConnection(broker));
  auto other = broker.Client();
  other->set_connection_timeout(1);
  EXPECT_FALSE(other->Get("/healthz"));
  silent.clear();
  EXPECT_TRUE(broker.Client()->Get("/healthz")) << "nothing else was in the way";
}

TEST_F(ConnectionLimitTest, OnePeerHoldsOnlySoMany) {
  BrokerProcess broker(folder.path(), FourThreadsAnd("{connections: 2}"));
  ASSERT_TRUE(broker.ready());
  std::vector<Fd> silent;
  for (size_t i = 0; i < kSilent; ++i) silent.push_back(SilentConnection(broker));
  auto other = broker.Client();
  other->set_keep_alive(true);
  const auto metrics = [&] { return other->Get("/metrics")->body; };
  const std::string refused = "ccgpu_broker_connections_refused_total " + std::to_string(kSilent - 2) + "\n";
  while (metrics().find(refused) == std::string::npos) ASSERT_GE(Open(silent), 2u);
  EXPECT_EQ(Open(silent), 2u) << "the other one was served beside them";
  const std::string log = *ReadFile(folder / "log");
  const size_t line = log.find("code=broker.too-many-connections remote=127.0.0.2");
  ASSERT_NE(line, std::string::npos) << log;
  EXPECT_EQ(log.find("broker.too-many-connections", line + 10), std::string::npos) << "one line: " << log;

  // Its places come free with its connections.
  silent.clear();
  auto hostile = broker.Client();
  hostile->set_interface(kHostile);
  auto answer = hostile->Get("/healthz");
  while (!answer) answer = hostile->Get("/healthz");
  EXPECT_EQ(answer->status, 200);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(other->Get("/healthz")) << "connections one after the other are no matter";
}

}  // namespace
}  // namespace ccgpu::broker
