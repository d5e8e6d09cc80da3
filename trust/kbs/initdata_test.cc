#include "trust/kbs/initdata.h"

#include <gtest/gtest.h>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "trust/kbs/gzip.h"

namespace ccgpu::kbs {
namespace {

constexpr char kGood[] = R"(version = "0.1.0"
algorithm = "sha256"

[data]
"aa.toml" = '''
[token_configs.kbs]
url = "https://10.1.2.1:8080"
'''
)";

std::string CodeOf(std::string_view text) {
  auto result = ParseInitData(text);
  return result.ok() ? "accepted" : result.error().code;
}

TEST(InitDataTest, ReadsEntriesAndDigestsTheBytesAsTheyCame) {
  auto init = ParseInitData(kGood);
  ASSERT_TRUE(init.ok()) << init.error().ToString();
  EXPECT_EQ(init->data.at("aa.toml"), "[token_configs.kbs]\nurl = \"https://10.1.2.1:8080\"\n");
  EXPECT_EQ(init->digest, crypto::Sha256(AsBytes(kGood)));
  EXPECT_EQ(init->HostData(), init->digest);
  // A comment changes nothing that is read, but the measurement.
  auto other = ParseInitData(std::string("# x\n") + kGood);
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(other->data, init->data);
  EXPECT_NE(other->digest, init->digest);
}

TEST(InitDataTest, OtherAlgorithmsAreCutToHostData) {
  std::string text = kGood;
  text.replace(text.find("sha256"), 6, "sha384");
  auto init = ParseInitData(text);
  ASSERT_TRUE(init.ok());
  EXPECT_EQ(init->digest, crypto::Sha384(AsBytes(text)));
  Bytes first(init->digest.begin(), init->digest.begin() + 32);
  EXPECT_EQ(init->HostData(), first);
}

TEST(InitDataTest, Refuses) {
  EXPECT_EQ(CodeOf(kGood), "accepted");
  EXPECT_EQ(CodeOf("version = \"0.1.0\""), "initdata.missing-field");
  EXPECT_EQ(CodeOf("version = \"0.2.0\"\nalgorithm = \"sha256\"\n[data]\n"), "initdata.unknown-version");
  EXPECT_EQ(CodeOf("version = \"0.1.0\"\nalgorithm = \"SHA256\"\n[data]\n"), "initdata.unknown-algorithm");
  EXPECT_EQ(CodeOf("version = \"0.1.0\"\nalgorithm = \"sha-256\"\n[data]\n"), "initdata.unknown-algorithm");
  EXPECT_EQ(CodeOf("version = \"0.1.0\"\nalgorithm = \"sm3\"\n[data]\n"), "initdata.unknown-algorithm");
  EXPECT_EQ(CodeOf("version = \"0.1.0\"\nalgorithm = \"sha256\"\nextra = 1\n[data]\n"), "initdata.unknown-field");
  EXPECT_EQ(CodeOf("version = \"0.1.0\"\nalgorithm = \"sha256\"\ndata = 3\n"), "initdata.bad-value");
  EXPECT_EQ(CodeOf("version = 1\nalgorithm = \"sha256\"\n[data]\n"), "initdata.bad-value");
  EXPECT_EQ(CodeOf("version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\na = 1\n"), "initdata.bad-value");
  EXPECT_EQ(CodeOf("version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\na = \"1\"\na = \"2\"\n"), "initdata.bad-toml");
  EXPECT_EQ(CodeOf("version = "), "initdata.bad-toml");
  EXPECT_EQ(CodeOf("a = " + std::string(200000, '[')), "initdata.bad-toml");
  EXPECT_EQ(CodeOf("a = \"]\"\nb = " + std::string(40, '{')), "initdata.bad-toml");
  EXPECT_EQ(CodeOf(std::string(kMaxInitDataDocument + 1, '#')), "initdata.too-large");
}

TEST(InitDataTest, ErrorsSayWhichLine) {
  auto result = ParseInitData("version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\na = 7\n");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().subject, "initdata:4:5");
  result = ParseInitData("version = \"0.1.0\"\nalgorithm = @\n");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().subject, "initdata:2");
}

TEST(InitDataTest, WritesWhatItReads) {
  InitData init;
  init.data["plain"] = "one line";
  init.data["lines"] = "a\nb\n\n";
  init.data["starts with a line end"] = "\nx\n";
  init.data["quotes\"\\"] = "a\n'''b\n\"\"\"";
  init.data["ends in quote"] = "a\nb'";
  init.data["control"] = std::string("\x01\x7f\r\n\t", 5);
  init.data["empty"] = "";
  init.data["utf8"] =
      "gr\xc3\xbc\xc3\x9f"
      "e\nzwei";
  init.data["backslashes"] = "C:\\new\nline\\";
  const std::string text = WriteInitData(init);
  auto back = ParseInitData(text);
  ASSERT_TRUE(back.ok()) << back.error().ToString() << "\n" << text;
  EXPECT_EQ(back->data, init.data);
  EXPECT_EQ(WriteInitData(*back), text);
}

TEST(InitDataTest, AnnotationRoundTrip) {
  const std::string annotation = EncodeInitDataAnnotation(kGood);
  EXPECT_EQ(annotation, EncodeInitDataAnnotation(kGood));
  auto text = DecodeInitDataAnnotation(annotation);
  ASSERT_TRUE(text.ok()) << text.error().ToString();
  EXPECT_EQ(*text, kGood);
}

std::string AnnotationCode(std::string_view annotation) {
  auto result = DecodeInitDataAnnotation(annotation);
  return result.ok() ? "accepted" : result.error().code;
}

TEST(InitDataTest, AnnotationRefuses) {
  const std::string packed = GzipCompress(kGood);
  auto encode = [](std::string_view bytes) { return Base64Encode(AsBytes(bytes)); };
  EXPECT_EQ(AnnotationCode(encode(packed)), "accepted");
  EXPECT_EQ(AnnotationCode(encode(packed) + "\n"), "initdata.bad-base64");
  EXPECT_EQ(AnnotationCode("!!!!"), "initdata.bad-base64");
  EXPECT_EQ(AnnotationCode(""), "initdata.bad-gzip");
  EXPECT_EQ(AnnotationCode(encode(kGood)), "initdata.bad-gzip");
  EXPECT_EQ(AnnotationCode(encode(packed + "x")), "initdata.bad-gzip");
  EXPECT_EQ(AnnotationCode(encode(packed + packed)), "initdata.bad-gzip");
  for (size_t cut = 0; cut < packed.size(); ++cut)
    EXPECT_EQ(AnnotationCode(encode(packed.substr(0, cut))), "initdata.bad-gzip") << cut;
  EXPECT_EQ(AnnotationCode(encode(GzipCompress(std::string(64 << 20, 'a')))), "initdata.too-large");
  EXPECT_EQ(AnnotationCode(encode(GzipCompress(std::string(kMaxInitDataDocument, 'a')))), "accepted");
  EXPECT_EQ(AnnotationCode(encode(GzipCompress(std::string(kMaxInitDataDocument + 1, 'a')))), "initdata.too-large");
  EXPECT_EQ(AnnotationCode(std::string(kMaxInitDataAnnotation + 4, 'A')), "initdata.too-large");
}

TEST(InitDataTest, BrokerAddressRoundTrip) {
  const BrokerAddress broker{"https://10.1.2.1:8080", "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"};
  auto aa = ParseAaToml(WriteAaToml(broker));
  ASSERT_TRUE(aa.ok()) << aa.error().ToString();
  EXPECT_EQ(aa->url, broker.url);
  EXPECT_EQ(aa->cert_pem, broker.cert_pem);
  auto cdh = ParseCdhToml(WriteCdhToml(broker));
  ASSERT_TRUE(cdh.ok()) << cdh.error().ToString();
  EXPECT_EQ(cdh->url, broker.url);
  EXPECT_EQ(cdh->cert_pem, broker.cert_pem);
  auto wrong = ParseAaToml("[token_configs.kbs]\nurl=\"https://x\"\ncertificate=\"y\"\n");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().code, "initdata.unknown-field");
  EXPECT_FALSE(ParseAaToml("[token_configs]\nkbs=3\n").ok());
  EXPECT_FALSE(ParseAaToml("token_configs=3\n").ok());
  EXPECT_FALSE(ParseAaToml("").ok());
  EXPECT_TRUE(ParseAaToml("[token_configs.coco_as]\nurl=\"http://a\"\n[token_configs.kbs]\nurl=\"http://"
                          "b\"\n[eventlog_config]\ninit_pcr=17\n")
                  .ok());
}

// Found by the fuzzer: the TOML library read past the end of such texts.
TEST(InitData, RefusesTextThatIsNotUtf8) {
  for (const char* bad : {"'\xa8'", "a = '\xc3", "a = \"\xe2\x82\"", "a = '\xed\xa0\x80'", "a = '\xc0\x80'",
                          "a = '\xf5\x80\x80\x80'", "\xff"}) {
    const auto parsed = ParseInitData(bad);
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().code, "initdata.bad-toml");
  }
  EXPECT_EQ(
      ParseInitData("version = '0.1.0'\nalgorithm = 'sha256'\n[data]\n'\xc3\xa9' = '\xe2\x82\xac\xf0\x9f\x98\x80'\n")
          ->data.size(),
      1u);
}

}  // namespace
}  // namespace ccgpu::kbs
