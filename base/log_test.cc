#include "base/log.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>

#include "base/json.h"

namespace ccgpu::log {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

// What `write` makes the log say.
template <class F>
std::string Said(F write) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  SetFd(ends[1]);
  write();
  SetFd(2);
  ::close(ends[1]);
  char text[8192];
  const ssize_t size = ::read(ends[0], text, sizeof text);
  ::close(ends[0]);
  return std::string(text, size > 0 ? static_cast<size_t>(size) : 0);
}

TEST(Log, TextIsOneLineWhateverIsInIt) {
  SetFormat("text");
  const std::string line = Said([] { Warning("a b", {{"plain", "x"}, {"empty", ""}, {"bad", "1\n2 \"3\"\x1b[0m"}}); });
  EXPECT_THAT(line, HasSubstr("level=warning "));
  EXPECT_THAT(line, EndsWith(" msg=\"a b\" plain=x empty=\"\" bad=\"1\\n2 \\\"3\\\" [0m\"\n"));
}

TEST(Log, JsonIsOneObjectALineWhateverIsInIt) {
  SetFormat("json");
  const std::string line = Said([] { Info("m\"sg", {{"bytes", "\xff\xfe\n\"}\x01"}, {"word", "\u00fc"}}); });
  SetFormat("text");
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  const auto parsed = ParseJson(line, "line");
  ASSERT_TRUE(parsed.ok()) << line;
  EXPECT_EQ((*parsed)["msg"], "m\"sg");
  EXPECT_EQ((*parsed)["word"], "\u00fc");
  EXPECT_EQ((*parsed)["bytes"], "\ufffd\ufffd\n\"}\x01");
  EXPECT_EQ((*parsed)["level"], "info");
  EXPECT_TRUE(parsed->contains("time") && parsed->contains("component"));
}

TEST(Log, TheVariableNamesTheFormat) {
  ::setenv(kFormatVariable, "json", 1);
  Init("t");
  EXPECT_EQ(CurrentFormat(), Format::kJson);
  SetFormat("");  // a flag that nobody gave
  SetFormat("xml");
  EXPECT_EQ(CurrentFormat(), Format::kJson);
  SetFormat("text");
  EXPECT_EQ(CurrentFormat(), Format::kText);
  ::unsetenv(kFormatVariable);
}

// Last: a context stays for the rest of the process.
TEST(LogContext, IsInEveryLineOfBothFormats) {
  AddContext("sandbox", "s 1");
  EXPECT_THAT(Said([] { Info("m"); }), EndsWith(" msg=m sandbox=\"s 1\"\n"));
  SetFormat("json");
  EXPECT_THAT(Said([] { Info("m"); }), EndsWith("\"sandbox\":\"s 1\"}\n"));
  SetFormat("text");
}

}  // namespace
}  // namespace ccgpu::log
