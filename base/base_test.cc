// base: the strictness that parsers of evidence and policy stand on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "base/lock_file.h"
#include "base/testing/temp_dir.h"
#include "base/yaml.h"

namespace ccgpu {
namespace {

TEST(LockFile, IsWaitedForAndTellsAHolderFromAnError) {
  const TempDir folder;
  const std::string path = folder / "lock";
  using std::chrono::milliseconds;
  auto first = TryLockFile(path, milliseconds(0), "test.lock");
  ASSERT_TRUE(first.ok() && first->valid());
  auto second = TryLockFile(path, milliseconds(20), "test.lock");
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(second->valid());
  // Waits for exactly as long as the holder lives.
  auto waits = std::async(std::launch::async, [&] { return TryLockFile(path, std::chrono::hours(1), "test.lock"); });
  first->Close();
  auto third = waits.get();
  EXPECT_TRUE(third.ok() && third->valid());
  EXPECT_EQ(TryLockFile(folder / "no/lock", milliseconds(0), "test.lock").error().code, "test.lock");
}

TEST(Result, CarriesValueOrErrorWithItsSubject) {
  auto fails = []() -> Result<int> { return Err("test.reason", "a.yaml:1:2", "is wrong"); };
  auto passes_on = [&]() -> Status {
    ASSIGN_OR_RETURN(int value, fails());
    (void)value;
    return Ok();
  };
  EXPECT_EQ(passes_on().error().ToString(), "a.yaml:1:2: is wrong [test.reason]");
  EXPECT_EQ(passes_on().error().In("pod").subject, "pod: a.yaml:1:2");
  EXPECT_THROW(fails().value(), std::bad_variant_access);
}

TEST(Reader, StopsForGoodAtTheFirstReadPastTheEnd) {
  const Bytes bytes = {1, 2, 3, 4, 5};
  Reader reader(bytes);
  EXPECT_EQ(reader.U16(), 0x0201);
  EXPECT_EQ(reader.BigU16(), 0x0304);
  EXPECT_EQ(reader.U32(), 0u);  // only one byte is left
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.U8(), 0u);  // even though it would fit
  EXPECT_FALSE(reader.AtEnd());
}

TEST(Reader, HugeLengthDoesNotOverflow) {
  const Bytes bytes = {1};
  Reader reader(bytes);
  EXPECT_TRUE(reader.Take(SIZE_MAX).empty());
  EXPECT_FALSE(reader.ok());
}

TEST(Writer, MirrorsReader) {
  Bytes out = Writer()
                  .U8(1)
                  .U16(0x0302)
                  .U24(0x060504)
                  .U32(0x0a090807)
                  .U64(1)
                  .BigU16(0x0102)
                  .BigU32(0x03040506)
                  .Text("x")
                  .Finish();
  Reader reader(out);
  EXPECT_EQ(reader.U8(), 1);
  EXPECT_EQ(reader.U16(), 0x0302);
  EXPECT_EQ(reader.U24(), 0x060504u);
  EXPECT_EQ(reader.U32(), 0x0a090807u);
  EXPECT_EQ(reader.U64(), 1u);
  EXPECT_EQ(reader.BigU16(), 0x0102);
  EXPECT_EQ(reader.BigU32(), 0x03040506u);
  EXPECT_EQ(AsText(reader.Rest()), "x");
  EXPECT_TRUE(reader.AtEnd());
}

TEST(Equal, ConstantTimeComparesContentAndLength) {
  EXPECT_TRUE(EqualConstantTime(AsBytes("abc"), AsBytes("abc")));
  EXPECT_FALSE(EqualConstantTime(AsBytes("abc"), AsBytes("abd")));
  EXPECT_FALSE(EqualConstantTime(AsBytes("abc"), AsBytes("ab")));
  EXPECT_TRUE(EqualConstantTime({}, {}));
}

TEST(Base64, Rfc4648Answers) {
  const std::pair<const char*, const char*> answers[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (auto [plain, coded] : answers) {
    EXPECT_EQ(Base64Encode(AsBytes(plain)), coded);
    EXPECT_EQ(ToText(*Base64Decode(coded)), plain);
  }
  EXPECT_EQ(Base64UrlEncode(Bytes{0xfb, 0xff}), "-_8");
}

TEST(Base64, RefusesEveryLooseSpelling) {
  for (const char* bad : {"Zg", "Zg=", "Zg===", "Z===", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", "Zg==Zg==", "-_8="})
    EXPECT_FALSE(Base64Decode(bad).ok()) << bad;
  for (const char* bad : {"Zg==", "Zh", "Zm9=", "Z", "+/8", "Zm9v "}) EXPECT_FALSE(Base64UrlDecode(bad).ok()) << bad;
}

TEST(Hex, RoundTripAndStrict) {
  EXPECT_EQ(HexEncode(*HexDecode("00fFAb")), "00ffab");
  for (const char* bad : {"0", "0g", "0x00", " 00"}) EXPECT_FALSE(HexDecode(bad).ok()) << bad;
}

TEST(Json, RefusesDuplicateKeysDeepNestingAndTails) {
  EXPECT_TRUE(ParseJson(R"({"a":{"b":1},"c":{"b":2}})", "t").ok());
  EXPECT_FALSE(ParseJson(R"({"a":1,"a":2})", "t").ok());
  EXPECT_FALSE(ParseJson(R"({"a":{"b":1,"b":1}})", "t").ok());
  EXPECT_FALSE(ParseJson(R"({} x)", "t").ok());
  EXPECT_FALSE(ParseJson(std::string(100, '[') + std::string(100, ']'), "t").ok());
  EXPECT_TRUE(ParseJson(std::string(60, '[') + std::string(60, ']'), "t").ok());
  EXPECT_THAT(JsonString(*ParseJson(R"({"a":1})", "t"), "a", "doc").error().subject, "doc.a");
}

TEST(Time, RoundTripAndCalendar) {
  EXPECT_EQ(FormatTime(*ParseTime("2024-02-29T23:59:59Z")), "2024-02-29T23:59:59Z");
  EXPECT_EQ(FormatTime(*ParseTime("9999-12-31T23:59:59Z")), "9999-12-31T23:59:59Z");
  EXPECT_EQ(FormatTime(*ParseTime("2024-06-01")), "2024-06-01T00:00:00Z");
  for (const char* bad : {"2023-02-29", "2024-13-01", "2024-01-01T24:00:00Z", "2024-01-01T00:00:00", "2024-01-01x", ""})
    EXPECT_FALSE(ParseTime(bad).ok()) << bad;
}

// yaml-cpp alone reads these for ever.
TEST(Yaml, StrayBracketsEndTheReading) {
  for (const char* bad : {"]", "}", "a: 1\n]\n", "- x\n}\n", "---\na: 1\n---\n]]]]\n", "a: ]b\n"}) {
    auto parsed = ParseYaml(bad, "f.yaml");
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(parsed.error().code, "input.bad-yaml");
    EXPECT_TRUE(parsed.error().subject.starts_with("f.yaml:")) << parsed.error().subject;
  }
  EXPECT_EQ(ParseYaml("---\na: 1\n---\n---\nb: [1, {c: d}]\n", "f.yaml")->size(), 3u);
  EXPECT_EQ(ParseYaml("", "f.yaml")->size(), 0u);
}

TEST(Yaml, ErrorsNameFileLineColumnAndPath) {
  auto documents = ParseYaml("spec:\n  gpus:\n    mode: hoper-cc\n    count: two\n    colour: red\n", "policy.yaml");
  ASSERT_TRUE(documents.ok());
  YamlErrors errors("policy.yaml");
  YamlMap root((*documents)[0], "", errors);
  YamlMap spec = root.Map("spec", true);
  YamlMap gpus = spec.Map("gpus", true);
  gpus.OneOf("mode", {"off", "devtools", "apm", "hopper-cc"}, true);
  gpus.Int("count", true);
  gpus.String("profile", true);
  gpus.Done();
  ASSERT_EQ(errors.errors().size(), 4u);
  EXPECT_EQ(
      errors.errors()[0].ToString(),
      "policy.yaml:3:11: spec.gpus.mode: \"hoper-cc\" is not one of off, devtools, apm, hopper-cc [input.bad-value]");
  EXPECT_EQ(errors.errors()[1].code, "input.bad-yaml");
  EXPECT_EQ(errors.errors()[2].code, "input.missing-field");
  EXPECT_EQ(errors.errors()[3].ToString(),
            "policy.yaml:5:5: spec.gpus.colour: is not a known field here [input.unknown-field]");
}

TEST(Yaml, RefusesDuplicateKeysAndBrokenText) {
  EXPECT_EQ(ParseYaml("a: 1\nb:\n  c: 1\n  c: 2\n", "f").error().subject, "f:4:3: c");
  EXPECT_FALSE(ParseYaml("a: [1, 2\n", "f").ok());
  EXPECT_FALSE(ParseYaml("a: *nothing\n", "f").ok());
}

Status ReadCounter(const std::string& text, int64_t& count) {
  ASSIGN_OR_RETURN(YamlDocument parsed, YamlDocument::OfKind("Counter", text, "f"));
  YamlDocument document = std::move(parsed);  // its maps still report to it
  YamlMap spec = document->Map("spec", true);
  count = spec.Int("count", true);
  spec.Done();
  return document.Done();
}

TEST(Yaml, ADocumentOfOneKind) {
  const std::string head = "apiVersion: ccgpu.dev/v1alpha1\nkind: Counter\n";
  int64_t count = 0;
  ASSERT_TRUE(ReadCounter(head + "spec: {count: 7}\n", count).ok());
  EXPECT_EQ(count, 7);
  const auto refused = [&](const std::string& text) {
    const Status read = ReadCounter(text, count);
    return read.ok() ? "" : read.error().code + " " + read.error().subject;
  };
  EXPECT_EQ(refused(""), "input.bad-yaml f");
  EXPECT_EQ(refused(head + "spec: {count: 7}\n---\n" + head + "spec: {count: 8}\n"), "input.bad-yaml f");
  EXPECT_EQ(refused("a: [1"), "input.bad-yaml f:1:1");
  EXPECT_EQ(refused("[1]"), "input.bad-yaml f:1:1");
  EXPECT_EQ(refused("kind: Counter\nspec: {count: 7}\n"), "input.missing-field f:1:1: apiVersion");
  EXPECT_EQ(refused("apiVersion: v1\nkind: Counter\nspec: {count: 7}\n"), "input.bad-value f:1:13: apiVersion");
  EXPECT_EQ(refused("apiVersion: ccgpu.dev/v1alpha1\nkind: Pod\nspec: {count: 7}\n"), "input.bad-value f:2:7: kind");
  EXPECT_EQ(refused(head + "spec: {count: 7}\nmore: 1\n"), "input.unknown-field f:4:1: more");
  EXPECT_EQ(refused(head + "spec: {count: 7, more: 1}\n"), "input.unknown-field f:3:18: spec.more");
}

TEST(Yaml, AnAnchorIsRefused) { EXPECT_FALSE(ParseYaml("a: &x 1\nb: *x\n", "f").ok()); }

TEST(File, AtomicWriteReplacesAndKeepsModeAndLeavesNothingBeside) {
  const TempDir folder;
  ASSERT_TRUE(MakeDirs(folder / "a/b").ok());
  const std::string path = folder / "a/b/f";
  ASSERT_TRUE(WriteFileAtomic(path, "one", 0600).ok());
  ASSERT_TRUE(WriteFileAtomic(path, "two", 0600).ok());
  EXPECT_EQ(*ReadFile(path), "two");
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder / "a/b"), {}), 1);
  EXPECT_EQ(ReadFile(path, 2).error().code, "file.too-large");
  EXPECT_EQ(ReadFile(folder / "none").error().subject, folder / "none");
  EXPECT_FALSE(WriteFileAtomic(folder / "no/such/f", "x").ok());
}

}  // namespace
}  // namespace ccgpu
