#include "trust/kbs/ear.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/json.h"

namespace ccgpu::kbs {
namespace {

const TimePoint kNow = *ParseTime("2026-11-22T06:30:00Z");

EarSpec Spec() {
  return {kNow,
          kNow + std::chrono::minutes(5),
          "ccgpu-broker",
          "ccgpu",
          "test",
          "emulated",
          "s1",
          {{"cpu0", {{"hardware", 2}, {"configuration", 2}}, R"({"snp":{}})"}, {"gpu0", {{"hardware", 33}}, "{}"}}};
}

TEST(EarTest, ClaimsHaveTheProfilesShape) {
  const Json claims = Json::parse(MakeEarClaims(Spec()));
  EXPECT_EQ(claims["eat_profile"], "tag:github.com,2024:confidential-containers/Trustee");
  EXPECT_EQ(claims["exp"].get<int64_t>() - claims["iat"].get<int64_t>(), 300);
  EXPECT_EQ(claims["ccgpu.environment"], "emulated");
  EXPECT_EQ(claims["submods"]["cpu0"]["ear.status"], "affirming");
  EXPECT_EQ(claims["submods"]["cpu0"]["ear.trustworthiness-vector"].size(), 8u);
  EXPECT_EQ(claims["submods"]["cpu0"]["ear.veraison.annotated-evidence"].dump(), R"({"snp":{}})");
  EXPECT_EQ(claims["submods"]["gpu0"]["ear.status"], "warning");
}

TEST(EarTest, StatusIsTheWorstTier) {
  EXPECT_EQ(TrustStatus({}), "none");
  EXPECT_EQ(TrustStatus({{"hardware", 1}}), "none");
  EXPECT_EQ(TrustStatus({{"hardware", 2}, {"executables", 0}}), "affirming");
  EXPECT_EQ(TrustStatus({{"hardware", 31}, {"executables", 32}}), "warning");
  EXPECT_EQ(TrustStatus({{"hardware", 2}, {"executables", 96}}), "contraindicated");
  EXPECT_EQ(TrustStatus({{"hardware", -128}}), "contraindicated");
  EXPECT_EQ(TrustStatus({{"hardware", -32}}), "affirming");
}

std::string Code(const Result<std::string>& result) { return result.ok() ? "accepted" : result.error().code; }

class JwtTest : public testing::TestWithParam<crypto::KeyType> {};

TEST_P(JwtTest, OnlyThisKeyInTime) {
  const auto key = crypto::PrivateKey::Generate(GetParam());
  const auto other = crypto::PrivateKey::Generate(GetParam());
  const std::string token = SignJwt(key, MakeEarClaims(Spec()));
  auto claims = VerifyJwt(key.public_key(), token, kNow);
  ASSERT_TRUE(claims.ok()) << claims.error().ToString();
  EXPECT_EQ(Json::parse(*claims)["jti"], "s1");
  EXPECT_EQ(*UnverifiedExpiry(token), kNow + std::chrono::minutes(5));
  EXPECT_EQ(Code(VerifyJwt(other.public_key(), token, kNow)), "kbs.token-signature");
  EXPECT_EQ(Code(VerifyJwt(key.public_key(), SignJwt(other, MakeEarClaims(Spec())), kNow)), "kbs.token-signature")
      << "the header's own jwk counts for nothing";
  EXPECT_EQ(Code(VerifyJwt(key.public_key(), token, kNow + std::chrono::minutes(5))), "kbs.token-expired");
  EXPECT_EQ(Code(VerifyJwt(key.public_key(), token, kNow - std::chrono::minutes(2))), "kbs.token-not-yet");
  EXPECT_EQ(Code(VerifyJwt(key.public_key(), SignJwt(key, R"({"iat":1})"), kNow)), "kbs.bad-token");
  for (size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(VerifyJwt(key.public_key(), changed, kNow).ok()) << i;
  }
}
INSTANTIATE_TEST_SUITE_P(Keys, JwtTest, testing::Values(crypto::KeyType::kP256, crypto::KeyType::kP384));

// rule 3: jwt
// advisory: CVE-2015-9235
TEST(EarTest, HeaderTricks) {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP256);
  auto forge = [&](const std::string& header, bool sign) {
    std::string token = Base64UrlEncode(AsBytes(header)) + "." + Base64UrlEncode(AsBytes(MakeEarClaims(Spec())));
    return token + "." + (sign ? Base64UrlEncode(key.SignRaw(crypto::Hash::kSha256, AsBytes(token))) : "");
  };
  EXPECT_EQ(Code(VerifyJwt(key.public_key(), forge(R"({"alg":"ES256"})", true), kNow)), "accepted");
  EXPECT_EQ(Code(VerifyJwt(key.public_key(), forge(R"({"alg":"none"})", false), kNow)), "kbs.bad-token");
  EXPECT_EQ(Code(VerifyJwt(key.public_key(), forge(R"({"alg":"ES384"})", true), kNow)), "kbs.bad-token");
  EXPECT_EQ(Code(VerifyJwt(key.public_key(), forge(R"({"alg":"HS256"})", true), kNow)), "kbs.bad-token");
  EXPECT_EQ(Code(VerifyJwt(key.public_key(), forge(R"({"alg":"ES256","crit":["x"]})", true), kNow)), "kbs.bad-token");
  for (const char* bad : {"", "a", "a.b", "a.b.c.d", "..", "e30.e30."})
    EXPECT_FALSE(VerifyJwt(key.public_key(), bad, kNow).ok()) << bad;
}

}  // namespace
}  // namespace ccgpu::kbs
