#include "key-broker/server/config.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "key-broker/protocol/broker.h"

namespace ccgpu::broker {
namespace {

TEST(ConfigTest, TheExampleIsTheDefaults) {
  auto text = ReadFile(std::string(CCGPU_SOURCE_DIR) + "/key-broker/broker.example.yaml");
  ASSERT_TRUE(text.ok());
  auto config = ParseBrokerConfig(*text, "broker.example.yaml");
  ASSERT_TRUE(config.ok()) << config.error().ToString();
  const BrokerConfig defaults;
  EXPECT_EQ(config->state, defaults.state);
  EXPECT_EQ(config->threads, defaults.threads);
  EXPECT_EQ(config->ocsp_lifetime, defaults.ocsp_lifetime);
  EXPECT_EQ(config->rim_lifetime, defaults.rim_lifetime);
  EXPECT_EQ(config->session_lifetime, defaults.session_lifetime);
  EXPECT_EQ(config->max_sessions, defaults.max_sessions);
  EXPECT_EQ(config->max_sessions, BrokerOptions().max_sessions);
  const PeerLimitOptions &written = config->peer_limits, &built_in = defaults.peer_limits;
  EXPECT_EQ(written.connections, built_in.connections);
  EXPECT_EQ(written.sessions, built_in.sessions);
  EXPECT_EQ(written.burst, built_in.burst);
  EXPECT_EQ(written.per_second, built_in.per_second);
  EXPECT_EQ(written.admin_failures_a_minute, built_in.admin_failures_a_minute);
  EXPECT_FALSE(config->insecure_accept_emulated);
  ASSERT_EQ(config->listen.size(), 1u);
  EXPECT_EQ(config->listen[0].ToString(), "127.0.0.1:8080");
  // The keys that are commented out are real keys too.
  std::string all;
  for (size_t at = 0; at < text->size();) {
    const size_t end = text->find('\n', at);
    std::string line = text->substr(at, end - at);
    if (line.starts_with("#") && line.size() > 1 && (line[1] != ' ' || line.starts_with("#  "))) line.erase(0, 1);
    all += line + "\n";
    at = end + 1;
  }
  auto uncommented = ParseBrokerConfig(all, "all.yaml");
  ASSERT_TRUE(uncommented.ok()) << uncommented.error().ToString() << all;
  EXPECT_EQ(uncommented->tls_names, std::vector<std::string>{"broker.example.org"});
  EXPECT_EQ(uncommented->amd_roots.size(), 1u);
  EXPECT_FALSE(uncommented->master_key.empty());
}

TEST(ConfigTest, ErrorsSayWhere) {
  const std::pair<const char*, const char*> cases[] = {
      {"stat: x\n", "c.yaml:1:1: stat"},
      {"threads: 0\n", "c.yaml:1:10: threads"},
      {"listen: [nowhere]\n", "c.yaml:1:9: listen"},
      {"tls:\n  cert: x\n", "c.yaml:2:9: tls.cert"},
      {"collateral:\n  rimLifetime: -1\n", "c.yaml:2:16: collateral.rimLifetime"},
      {"maxSessions: 0\n", "c.yaml:1:14: maxSessions"},
      {"peerLimits: {burst: -1}\n", "c.yaml:1:21: peerLimits.burst"},
      {"peerLimits: {burst: 5, perSecond: 0}\n", "c.yaml:1:35: peerLimits.perSecond"},
      {"peerLimits: {bursts: 1}\n", "c.yaml:1:14: peerLimits.bursts"},
      {"logLevel: loud\n", "c.yaml:1:11: logLevel"},
      {"insecureAcceptEmulated: yes\n", "c.yaml:1:25: insecureAcceptEmulated"}};
  for (const auto& [text, subject] : cases) {
    auto config = ParseBrokerConfig(text, "c.yaml");
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_EQ(config.error().subject, subject) << text;
  }
}

TEST(ConfigTest, PeerLimitsOfTheCommandLineGoOverTheFilesKeyByKey) {
  auto config = ParseBrokerConfig("peerLimits: {burst: 7, sessions: 8}\n", "c.yaml");
  ASSERT_TRUE(config.ok());
  PeerLimitOptions& limits = config->peer_limits;
  EXPECT_TRUE(ParsePeerLimits(R"({"burst":0,"perSecond":3})", "--peer-limits", limits).ok());
  EXPECT_EQ(limits.burst, 0u);
  EXPECT_EQ(limits.per_second, 3u);
  EXPECT_EQ(limits.sessions, 8u);
  EXPECT_EQ(limits.admin_failures_a_minute, PeerLimitOptions().admin_failures_a_minute);
  for (const char* bad : {"burst: x", "[1]", "{burst: 1, burst: 2}", "{nothing: 1}", "{", "burst"})
    EXPECT_FALSE(ParsePeerLimits(bad, "--peer-limits", limits).ok()) << bad;
}

TEST(ConfigTest, Addresses) {
  EXPECT_EQ(ParseListenAddress("[::1]:80")->ToString(), "[::1]:80");
  EXPECT_EQ(ParseListenAddress("0.0.0.0:0")->port, 0);
  for (const char* bad :
       {"", "8080", "localhost:80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "::1:80x"}) {
    EXPECT_FALSE(ParseListenAddress(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace ccgpu::broker
