#include "base/http/probes.h"

#include <gtest/gtest.h>
#include <httplib.h>

namespace ccgpu::http {
namespace {

constexpr ListenReasons kReasons{"test.bad-address", "test.taken"};

std::string CodeOf(const std::string& address) {
  const auto listener = ProbePort::Serve(address, {}, kReasons);
  return listener.ok() ? "" : listener.error().code;
}

TEST(Probes, SayWhatIsMissing) {
  std::string missing = "the emulator does not answer", dead;
  const auto listener = ProbePort::Serve(
      "127.0.0.1:0", {[] { return std::string("x 1\n"); }, [&] { return missing; }, [&] { return dead; }}, kReasons);
  ASSERT_TRUE(listener.ok());
  httplib::Client client("127.0.0.1", (*listener)->port());
  EXPECT_EQ(client.Get("/readyz")->status, 503);
  EXPECT_EQ(client.Get("/readyz")->body, "the emulator does not answer\n");
  EXPECT_EQ(client.Get("/healthz")->status, 200);
  missing = "";
  dead = "a thread has ended";
  EXPECT_EQ(client.Get("/readyz")->status, 200);
  EXPECT_EQ(client.Get("/healthz")->status, 503);
  EXPECT_EQ(client.Get("/healthz")->body, "a thread has ended\n");
  EXPECT_EQ(client.Get("/metrics")->body, "x 1\n");
  EXPECT_EQ(client.Get("/else")->status, 404);
}

TEST(Probes, AreAliveAsLongAsTheyAnswer) {
  const auto listener = ProbePort::Serve("127.0.0.1:0", {}, kReasons);
  ASSERT_TRUE(listener.ok());
  EXPECT_EQ(httplib::Client("127.0.0.1", (*listener)->port()).Get("/healthz")->status, 200);
}

TEST(Probes, TakeNoPortTwiceAndGiveItBack) {
  std::string address;
  {
    const auto listener = ProbePort::Serve("127.0.0.1:0", {}, kReasons);
    ASSERT_TRUE(listener.ok());
    address = "127.0.0.1:" + std::to_string((*listener)->port());
    EXPECT_EQ(CodeOf(address), "test.taken");
  }
  EXPECT_EQ(CodeOf(address), "");
}

TEST(Probes, RefuseWhatIsNoAddress) {
  for (const char* bad : {"", "nowhere", "127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:65536",
                          "127.0.0.1:99999999999", "127.0.0.1:80 ", "127.0.0.1:0x50"})
    EXPECT_EQ(CodeOf(bad), "test.bad-address") << bad;
}

}  // namespace
}  // namespace ccgpu::http
