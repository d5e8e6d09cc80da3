#include "trust/evidence/cbor.h"

#include <gmock/gmock.h>

#include "base/encoding.h"

namespace ccgpu::evidence::cbor {
namespace {

using ::testing::HasSubstr;

Result<Value> FromHex(const std::string& hex, Bytes& kept, bool deterministic = false) {
  kept = HexDecode(hex).value();
  return Decode(kept, deterministic);
}

std::string Problem(const std::string& hex, bool deterministic = false) {
  Bytes bytes;
  const auto value = FromHex(hex, bytes, deterministic);
  return value.ok() ? "" : value.error().ToString();
}

// RFC 8949 appendix A, what of it is in our subset.
TEST(Cbor, KnownAnswersThereAndBack) {
  for (const char* hex : {"00",
                          "17",
                          "1818",
                          "1903e8",
                          "1a000f4240",
                          "1b000000e8d4a51000",
                          "1bffffffffffffffff",
                          "20",
                          "3863",
                          "3903e7",
                          "3bffffffffffffffff",
                          "f4",
                          "f5",
                          "f6",
                          "c11a514b67b0",
                          "d74401020304",
                          "d818456449455446",
                          "40",
                          "4401020304",
                          "60",
                          "6161",
                          "62c3bc",
                          "63e6b0b4",
                          "64f0908591",
                          "80",
                          "83010203",
                          "8301820203820405",
                          "a0",
                          "a201020304",
                          "a26161016162820203",
                          "826161a161626163"}) {
    Bytes bytes;
    const auto value = FromHex(hex, bytes);
    ASSERT_TRUE(value.ok()) << hex << ": " << value.error().ToString();
    EXPECT_EQ(HexEncode(Encode(*value)), hex);
    EXPECT_EQ(value->length, bytes.size());
  }
  Bytes bytes;
  EXPECT_EQ(FromHex("3863", bytes)->Integer(), -100);
  EXPECT_EQ(FromHex("1903e8", bytes)->Integer(), 1000);
  EXPECT_EQ(FromHex("1bffffffffffffffff", bytes)->Integer(), std::nullopt);
  const auto map = FromHex("a26161016162820203", bytes);
  ASSERT_NE(map->Find("b"), nullptr);
  EXPECT_EQ(map->Find("b")->items[1].Integer(), 3);
  EXPECT_EQ(map->Find("b")->offset, 6u);
  EXPECT_EQ(map->Find("c"), nullptr);
  EXPECT_EQ(map->Find(1), nullptr);
}

TEST(Cbor, WriterWritesWhatTheReaderReads) {
  const Bytes bytes = Writer()
                          .Tag(501)
                          .Map(2)
                          .Integer(-7)
                          .Array(3)
                          .Bool(true)
                          .Bool(false)
                          .Null()
                          .Text("x")
                          .ByteString(Bytes(300, 1))
                          .Finish();
  const auto value = Decode(bytes, true);
  ASSERT_TRUE(value.ok()) << value.error().ToString();
  EXPECT_TRUE(value->IsTag(501));
  EXPECT_EQ(value->items[0].Find(-7)->items.size(), 3u);
  EXPECT_EQ(value->items[0].Find("x")->content.size(), 300u);
  EXPECT_EQ(Encode(*value), bytes);
}

// rule 15: cose
TEST(Cbor, RefusesWhatCanBeReadInTwoWays) {
  EXPECT_THAT(Problem("1817"), HasSubstr("longer than needed"));
  EXPECT_THAT(Problem("190017"), HasSubstr("longer than needed"));
  EXPECT_THAT(Problem("1b00000000ffffffff"), HasSubstr("longer than needed"));
  EXPECT_THAT(Problem("5801aa"), HasSubstr("longer than needed"));
  EXPECT_THAT(Problem("5f42010243030405ff"), HasSubstr("indefinite"));
  EXPECT_THAT(Problem("9fff"), HasSubstr("indefinite"));
  EXPECT_THAT(Problem("bfff"), HasSubstr("indefinite"));
  EXPECT_THAT(Problem("a201020103"), HasSubstr("twice"));
  EXPECT_THAT(Problem("a2616101616102"), HasSubstr("byte 4: is a map key that is there twice"));
  EXPECT_THAT(Problem("a1f501"), HasSubstr("neither a number nor a string"));
  EXPECT_THAT(Problem("f93c00"), HasSubstr("float"));
  EXPECT_THAT(Problem("f7"), HasSubstr("simple value"));
  EXPECT_THAT(Problem("1c"), HasSubstr("reserved"));
  EXPECT_THAT(Problem("0000"), HasSubstr("byte 1: has 1 bytes after its end"));
  EXPECT_EQ(Problem("a203040102"), "");
  EXPECT_THAT(Problem("a203040102", true), HasSubstr("out of order"));
  EXPECT_EQ(Problem("a201020304", true), "");
}

TEST(Cbor, RefusesWhatIsTooLongTooDeepOrCutOff) {
  EXPECT_THAT(Problem(""), HasSubstr("ends where an item must begin"));
  EXPECT_THAT(Problem("5bffffffffffffffff"), HasSubstr("longer than the document"));
  EXPECT_THAT(Problem("9bffffffffffffffff"), HasSubstr("more items"));
  EXPECT_THAT(Problem("bb8000000000000000"), HasSubstr("more items"));
  EXPECT_THAT(Problem("820119"), HasSubstr("ends"));
  EXPECT_THAT(Problem("19e8"), HasSubstr("inside a head"));
  EXPECT_THAT(Problem("c1"), HasSubstr("more items"));
  std::string deep;
  for (int i = 0; i < 40; ++i) deep += "81";
  EXPECT_THAT(Problem(deep + "00"), HasSubstr("deeper than 32"));
  const Bytes many = [] {
    Writer out;
    out.Array(70000);
    for (int i = 0; i < 70000; ++i) out.Unsigned(0);
    return out.Finish();
  }();
  EXPECT_FALSE(Decode(many).ok());
  EXPECT_FALSE(Decode(Bytes(100), false, {10, 10, 2}).ok());
}

TEST(Cbor, TextIsUtf8) {
  for (const char* bad : {"61ff", "61c3", "62c080", "63eda080", "64f4908080", "62c328", "63e0809f", "64f08080af"})
    EXPECT_THAT(Problem(bad), HasSubstr("not UTF-8")) << bad;
  EXPECT_EQ(Problem("64f48fbfbf"), "");
}

}  // namespace
}  // namespace ccgpu::evidence::cbor
