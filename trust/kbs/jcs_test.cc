#include "trust/kbs/jcs.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "trust/kbs/test_vectors.h"

namespace ccgpu::kbs {
namespace {

TEST(JcsTest, ExamplesOfTheRfc) {
  NEEDS_VECTOR("rfc8785/rfc_example.input.json");
  for (const std::string name : {"rfc_example", "rfc_sorting"}) {
    auto input = ReadFile(VectorPath("rfc8785/" + name + ".input.json"));
    auto expected = ReadFile(VectorPath("rfc8785/" + name + ".expected.json"));
    ASSERT_TRUE(input.ok() && expected.ok());
    auto got = CanonicalJson(*input);
    ASSERT_TRUE(got.ok()) << got.error().ToString();
    std::string want = *expected;
    while (want.ends_with('\n')) want.pop_back();
    EXPECT_EQ(*got, want) << name;
  }
}

TEST(JcsTest, TestdataOfTheAuthor) {
  NEEDS_VECTOR("rfc8785/testdata/input/arrays.json");
  for (const std::string name : {"arrays", "french", "structures", "unicode", "values", "weird"}) {
    auto input = ReadFile(VectorPath("rfc8785/testdata/input/" + name + ".json"));
    auto hex = ReadFile(VectorPath("rfc8785/testdata/outhex/" + name + ".txt"));
    ASSERT_TRUE(input.ok() && hex.ok());
    std::erase_if(*hex, [](char c) { return c == ' ' || c == '\n' || c == '\r'; });
    auto got = CanonicalJson(*input);
    ASSERT_TRUE(got.ok()) << got.error().ToString();
    EXPECT_EQ(HexEncode(AsBytes(*got)), *hex) << name;
  }
}

TEST(JcsTest, NumbersAsEcmaScriptPrintsThem) {
  // RFC 8785 appendix B, by value.
  const std::pair<const char*, const char*> cases[] = {{"-0", "0"},
                                                       {"-0.0", "0"},
                                                       {"5e-324", "5e-324"},
                                                       {"-5e-324", "-5e-324"},
                                                       {"1.7976931348623157e308", "1.7976931348623157e+308"},
                                                       {"9007199254740992", "9007199254740992"},
                                                       {"-9007199254740992", "-9007199254740992"},
                                                       {"295147905179352830000", "295147905179352830000"},
                                                       {"9.999999999999997e22", "9.999999999999997e+22"},
                                                       {"1e23", "1e+23"},
                                                       {"1.0000000000000001e23", "1.0000000000000001e+23"},
                                                       {"999999999999999700000", "999999999999999700000"},
                                                       {"999999999999999900000", "999999999999999900000"},
                                                       {"1e21", "1e+21"},
                                                       {"9.999999999999997e-7", "9.999999999999997e-7"},
                                                       {"0.000001", "0.000001"},
                                                       {"333333333.33333329", "333333333.3333333"},
                                                       {"-0.0000033333333333333333", "-0.0000033333333333333333"},
                                                       {"1424953923781206.2", "1424953923781206.2"},
                                                       {"4.50", "4.5"},
                                                       {"1E30", "1e+30"},
                                                       {"100", "100"},
                                                       {"0.1", "0.1"},
                                                       {"-12.5e1", "-125"},
                                                       {"18446744073709551615", "18446744073709552000"}};
  for (const auto& [in, want] : cases) {
    auto got = CanonicalJson(in);
    ASSERT_TRUE(got.ok()) << in;
    EXPECT_EQ(*got, want) << in;
  }
}

TEST(JcsTest, RefusesWhatHasNoOneMeaning) {
  for (const char* bad : {"{\"a\":1,\"a\":2}", "1e999", "{\"a\":\"\xff\"}", "\"\\ud800\"", "[1,]", "", "{} {}"}) {
    EXPECT_FALSE(CanonicalJson(bad).ok()) << bad;
  }
}

TEST(JcsTest, SortsByUtf16NotByUtf8) {
  // U+10000 is D800 DC00 in UTF-16 and so before U+FF61, although its UTF-8 bytes are greater.
  auto got = CanonicalJson("{\"\\uff61\":1,\"\\ud800\\udc00\":2}");
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(*got, "{\"\xf0\x90\x80\x80\":2,\"\xef\xbd\xa1\":1}");
}

}  // namespace
}  // namespace ccgpu::kbs
