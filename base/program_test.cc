#include "base/program.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <thread>
#include <vector>

namespace ccgpu {
namespace {

std::string Config(std::vector<const char*> words) {
  words.insert(words.begin(), "program");
  return ConfigArgument(static_cast<int>(words.size()), words.data());
}

TEST(Program, ConfigBeforeTheFlags) {
  EXPECT_EQ(Config({}), "");
  EXPECT_EQ(Config({"--config", "a.yaml", "--x"}), "a.yaml");
  EXPECT_EQ(Config({"--x", "--config=b.yaml"}), "b.yaml");
  EXPECT_EQ(Config({"--config", "a", "--config=b"}), "b");
  EXPECT_EQ(Config({"--config"}), "");
  EXPECT_EQ(Config({"--configure", "x"}), "");
}

TEST(Program, LevelsAndDefaults) {
  EXPECT_EQ(LogLevelNamed("debug"), log::Level::kDebug);
  EXPECT_EQ(LogLevelNamed("error"), log::Level::kError);
  EXPECT_EQ(LogLevelNamed("loud"), log::Level::kInfo);
  std::string field, set = "mine";
  FillDefault(field, "default");
  FillDefault(set, "default");
  EXPECT_EQ(field + set, "defaultmine");
}

TEST(Program, TheSignalThatEndsIsWaitedForAndKillsNobody) {
  const EndSignals ends;
  EXPECT_FALSE(ends.WaitFor(std::chrono::milliseconds(1)));
  ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);
  EXPECT_EQ(ends.WaitFor(std::chrono::seconds(60)), SIGTERM);
  std::thread later([] { ::kill(::getpid(), SIGINT); });
  EXPECT_EQ(ends.Wait(), SIGINT);
  later.join();
  EXPECT_FALSE(ends.WaitFor(std::chrono::nanoseconds(0))) << "taken, it is gone";
}

}  // namespace
}  // namespace ccgpu
