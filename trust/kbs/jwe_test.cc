#include "trust/kbs/jwe.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "trust/kbs/jwe_crypto.h"
#include "trust/kbs/test_vectors.h"

namespace ccgpu::kbs {
namespace {

TEST(JweTest, Fixtures) {
  NEEDS_VECTOR("tables/jwe_fixtures.json");
  int seen = 0;
  const Json table = VectorJson("tables/jwe_fixtures.json");
  for (const Json& row : table["cases"]) {
    auto private_key = crypto::PrivateKey::FromPem(row["recipient_pem"].get<std::string>());
    ASSERT_TRUE(private_key.ok());
    auto key = TeeKey::From(*private_key, row["tee-pubkey"]["alg"].get<std::string>());
    ASSERT_TRUE(key.ok()) << key.error().ToString();
    auto parsed = ParseJwk(row["tee-pubkey"].dump());
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(key->jwk, *parsed);
    auto plaintext = DecryptJwe(*key, row["jwe"].dump());
    ASSERT_TRUE(plaintext.ok()) << row["name"] << ": " << plaintext.error().ToString();
    EXPECT_EQ(Base64Encode(*plaintext), row["plaintext_b64"].get<std::string>());
    if (row.contains("z_hex")) {
      EXPECT_EQ(HexEncode(ConcatKdf(*HexDecode(row["z_hex"].get<std::string>()))), row["kek_hex"].get<std::string>());
      const Bytes kek = *HexDecode(row["kek_hex"].get<std::string>()),
                  cek = *HexDecode(row["cek_hex"].get<std::string>());
      EXPECT_EQ(Base64UrlEncode(AesWrap(kek, cek)), row["jwe"]["encrypted_key"].get<std::string>());
    }
    ++seen;
  }
  EXPECT_EQ(seen, 3);
}

class JweRoundTrip : public testing::TestWithParam<std::pair<crypto::KeyType, std::string_view>> {};

TEST_P(JweRoundTrip, EncryptsWhatDecryptReads) {
  crypto::SystemRandom random;
  auto key = TeeKey::From(crypto::PrivateKey::Generate(GetParam().first), GetParam().second);
  auto other = TeeKey::From(crypto::PrivateKey::Generate(GetParam().first), GetParam().second);
  ASSERT_TRUE(key.ok() && other.ok());
  for (const std::string& text : {std::string(), std::string("x"), std::string(100000, 'k')}) {
    auto jwe = EncryptJwe(key->jwk, AsBytes(text), random);
    ASSERT_TRUE(jwe.ok()) << jwe.error().ToString();
    auto back = DecryptJwe(*key, *jwe);
    ASSERT_TRUE(back.ok()) << back.error().ToString();
    EXPECT_EQ(ToText(*back), text);
    auto stolen = DecryptJwe(*other, *jwe);
    ASSERT_FALSE(stolen.ok());
    EXPECT_EQ(stolen.error().code, "kbs.jwe-decrypt");
  }
}

INSTANTIATE_TEST_SUITE_P(Keys, JweRoundTrip,
                         testing::Values(std::pair(crypto::KeyType::kP256, kRsaOaep256),
                                         std::pair(crypto::KeyType::kP521, kRsaOaep256),
                                         std::pair(crypto::KeyType::kRsa2048, kRsaOaep256),
                                         std::pair(crypto::KeyType::kRsa2048, kRsa15)));

TEST(JweTest, HeaderSurvivesReserialisation) {
  // Deployed clients parse the header and authenticate {"alg","enc",others sorted} printed compactly.
  crypto::SystemRandom random;
  const TeeKey key = TeeKey::Generate();
  const Json jwe = Json::parse(*EncryptJwe(key.jwk, AsBytes("secret"), random));
  const std::string header = ToText(*Base64UrlDecode(jwe["protected"].get<std::string>()));
  const Json parsed = Json::parse(header);
  EXPECT_EQ(header, R"({"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":)" + parsed["epk"].dump() +
                        "}");  // dump() sorts and is compact
  EXPECT_EQ(jwe.size(), 5u);
}

TEST(JweTest, EveryChangedPartIsRefused) {
  crypto::SystemRandom random;
  const TeeKey key = TeeKey::Generate();
  const Json good = Json::parse(*EncryptJwe(key.jwk, AsBytes("secret"), random));
  ASSERT_TRUE(DecryptJwe(key, good.dump()).ok());
  for (const char* part : {"protected", "encrypted_key", "iv", "ciphertext", "tag"}) {
    const Bytes bytes = *Base64UrlDecode(good[part].get<std::string>());
    for (size_t i = 0; i < bytes.size(); ++i) {
      Bytes changed = bytes;
      changed[i] ^= 1;
      Json jwe = good;
      jwe[part] = Base64UrlEncode(changed);
      EXPECT_FALSE(DecryptJwe(key, jwe.dump()).ok()) << part << " byte " << i;
    }
    Json jwe = good;
    jwe.erase(part);
    EXPECT_FALSE(DecryptJwe(key, jwe.dump()).ok()) << part;
  }
}

std::string CodeWithHeader(const TeeKey& key, const Json& good, const std::string& header) {
  Json jwe = good;
  jwe["protected"] = Base64UrlEncode(AsBytes(header));
  auto result = DecryptJwe(key, jwe.dump());
  return result.ok() ? "accepted" : result.error().code;
}

TEST(JweTest, HeaderRules) {
  crypto::SystemRandom random;
  const TeeKey key = TeeKey::Generate();
  const Json good = Json::parse(*EncryptJwe(key.jwk, AsBytes("secret"), random));
  const std::string header = ToText(*Base64UrlDecode(good["protected"].get<std::string>()));
  const Json epk = Json::parse(header)["epk"];
  EXPECT_EQ(CodeWithHeader(key, good, header), "accepted");
  EXPECT_EQ(CodeWithHeader(key, good, R"({"alg":"dir","enc":"A256GCM"})"), "kbs.bad-jwe");
  EXPECT_EQ(CodeWithHeader(key, good, R"({"alg":"ECDH-ES+A256KW","enc":"A128GCM","epk":)" + epk.dump() + "}"),
            "kbs.bad-jwe");
  EXPECT_EQ(CodeWithHeader(key, good, R"({"alg":"ECDH-ES+A256KW", "enc":"A256GCM","epk":)" + epk.dump() + "}"),
            "kbs.bad-jwe");
  EXPECT_EQ(
      CodeWithHeader(key, good, R"({"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":)" + epk.dump() + R"(,"zip":"DEF"})"),
      "kbs.bad-jwe");
  Json off_curve = epk;
  off_curve["x"] = Base64UrlEncode(Bytes(32, 1));
  EXPECT_EQ(CodeWithHeader(key, good, R"({"alg":"ECDH-ES+A256KW","enc":"A256GCM","epk":)" + off_curve.dump() + "}"),
            "kbs.bad-jwe");
  Json extra = good;
  extra["aad"] = "AA";
  EXPECT_FALSE(DecryptJwe(key, extra.dump()).ok());
}

TEST(JweTest, RefusesBadRecipients) {
  crypto::SystemRandom random;
  PublicJwk jwk{"EC", "P-256", std::string(kEcdhEsA256Kw), Base64UrlEncode(Bytes(32, 1)), Base64UrlEncode(Bytes(32, 2)),
                "",   ""};
  EXPECT_FALSE(EncryptJwe(jwk, AsBytes("x"), random).ok()) << "a point off the curve";
  jwk.x = Base64UrlEncode(Bytes(31, 1));
  EXPECT_FALSE(EncryptJwe(jwk, AsBytes("x"), random).ok());
  PublicJwk weak{"RSA", "", std::string(kRsaOaep256), "", "", Base64UrlEncode(Bytes(128, 0xff)), "AQAB"};
  EXPECT_FALSE(EncryptJwe(weak, AsBytes("x"), random).ok()) << "1024 bits";
  weak.n = Base64UrlEncode(Bytes(256, 0xff));
  weak.e = "AQ";
  EXPECT_FALSE(EncryptJwe(weak, AsBytes("x"), random).ok()) << "exponent 1 encrypts nothing";
}

TEST(JwkTest, Refuses) {
  auto code = [](const char* text) {
    auto key = ParseJwk(text);
    return key.ok() ? std::string("accepted") : key.error().code;
  };
  EXPECT_EQ(code(R"({"kty":"EC","crv":"P-256","alg":"ECDH-ES+A256KW","x":"AQ","y":"Ag","kid":"dropped"})"), "accepted");
  EXPECT_EQ(code(R"({"kty":"EC","crv":"P-384","alg":"ECDH-ES+A256KW","x":"AQ","y":"Ag"})"), "kbs.unsupported-key");
  EXPECT_EQ(code(R"({"kty":"EC","crv":"P-256","alg":"ECDH-ES","x":"AQ","y":"Ag"})"), "kbs.unsupported-key");
  EXPECT_EQ(code(R"({"kty":"EC","crv":"P-256","alg":"ECDH-ES+A256KW","x":"A+","y":"Ag"})"), "kbs.bad-key");
  EXPECT_EQ(code(R"({"kty":"oct","alg":"A256KW","k":"AQ"})"), "kbs.unsupported-key");
  EXPECT_EQ(code(R"({"kty":"EC","crv":"P-256","alg":"ECDH-ES+A256KW","x":"AQ"})"), "input.bad-json");
  EXPECT_EQ(code("[]"), "input.bad-json");
}

}  // namespace
}  // namespace ccgpu::kbs
