#include "base/toml_text.h"

#include <gtest/gtest.h>

#include <string>

namespace ccgpu {
namespace {

TEST(TomlText, OnlyWholeCharactersAndBoundedDepthMayBeParsed) {
  EXPECT_EQ(TomlFault("a = [1, 2] # {{{\nb = \"[[[[\" # \xc3\xa9\n"), nullptr);
  for (const char* broken : {"'\x95\xf9'", "a = '\xc3", "\xed\xa0\x80", "\xc0\xaf", "\xf5\x80\x80\x80"})
    EXPECT_STREQ(TomlFault(broken), "is not UTF-8 text");
  EXPECT_EQ(TomlFault("a = " + std::string(32, '[')), nullptr);
  EXPECT_STREQ(TomlFault("a = " + std::string(33, '[')), "nests brackets deeper than 32 levels");
}

}  // namespace
}  // namespace ccgpu
