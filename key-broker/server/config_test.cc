#include "key-broker/server/config.h"

#include <gtest/gtest.h>

#include "base/file.h"

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
      {"logLevel: loud\n", "c.yaml:1:11: logLevel"},
      {"insecureAcceptEmulated: yes\n", "c.yaml:1:25: insecureAcceptEmulated"}};
  for (const auto& [text, subject] : cases) {
    auto config = ParseBrokerConfig(text, "c.yaml");
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_EQ(config.error().subject, subject) << text;
  }
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
