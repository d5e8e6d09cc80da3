#include "trust/evidence/jwt.h"

#include <gmock/gmock.h>

#include "base/crypto/rsa.h"
#include "base/crypto/x509.h"
#include "base/encoding.h"
#include "trust/evidence/nras.h"
#include "trust/evidence/test_vectors.h"

namespace ccgpu::evidence {
namespace {

using crypto::KeyType;
using crypto::PrivateKey;

std::string Compact(const std::string& header, const std::string& claims, const std::string& signature = "AAAA") {
  return Base64UrlEncode(AsBytes(header)) + "." + Base64UrlEncode(AsBytes(claims)) + "." + signature;
}
std::string Code(const std::string& token) {
  const auto jwt = ParseJwt(token);
  return jwt.ok() ? "" : jwt.error().code;
}

TEST(Jwt, SignsAndReadsEachAlgorithm) {
  for (const auto& [algorithm, type] : {std::pair(JwsAlgorithm::kEs256, KeyType::kP256),
                                        {JwsAlgorithm::kEs384, KeyType::kP384},
                                        {JwsAlgorithm::kEs512, KeyType::kP521},
                                        {JwsAlgorithm::kPs256, KeyType::kRsa2048},
                                        {JwsAlgorithm::kRs256, KeyType::kRsa2048}}) {
    const PrivateKey key = PrivateKey::Generate(type);
    const Json header = {{"alg", JwsName(algorithm)}, {"kid", "k"}};
    const auto jwt = ParseJwt(MakeJwt(algorithm, key, header, R"({"a":1})"));
    ASSERT_TRUE(jwt.ok()) << JwsName(algorithm);
    EXPECT_EQ(jwt->algorithm, JwsName(algorithm));
    EXPECT_EQ(jwt->key_id, "k");
    EXPECT_EQ(jwt->claims["a"], 1);
    for (JwsAlgorithm other : {JwsAlgorithm::kEs256, JwsAlgorithm::kEs384, JwsAlgorithm::kEs512, JwsAlgorithm::kPs256,
                               JwsAlgorithm::kPs384, JwsAlgorithm::kRs256}) {
      EXPECT_EQ(VerifyJws(other, key.public_key(), AsBytes(jwt->signed_text), jwt->signature), other == algorithm)
          << JwsName(algorithm) << " as " << JwsName(other);
    }
    EXPECT_EQ(MakeJwt(type == KeyType::kP256 ? JwsAlgorithm::kEs384 : JwsAlgorithm::kEs256, key, header, "{}"), "");
  }
  EXPECT_FALSE(VerifyJws(JwsAlgorithm::kEs256, crypto::PublicKey(), AsBytes("x"), Bytes(64)));
  EXPECT_FALSE(DefaultAlgorithm(PrivateKey::Generate(KeyType::kEd25519).public_key()).ok());
}

// rule 15: jwt
TEST(Jwt, RefusesWhatIsNotExactlyAToken) {
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256"})", "{}")), "");
  for (const char* bad : {"", ".", "..", "a.b", "a.b.c.d", "e30.e30."}) EXPECT_EQ(Code(bad), "token.malformed") << bad;
  EXPECT_EQ(Code(Compact("{}", "{}")), "token.malformed") << "no alg";
  EXPECT_EQ(Code(Compact(R"({"alg":5})", "{}")), "token.malformed");
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256","kid":5})", "{}")), "token.malformed");
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256"})", "[]")), "token.malformed");
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256","alg":"none"})", "{}")), "token.malformed") << "a key twice";
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256"})", R"({"exp":1,"exp":9})")), "token.malformed") << "a claim twice";
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256"})", R"({"a":{"b":1,"b":2}})")), "token.malformed") << "deeper";
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256"}x)", "{}")), "token.malformed") << "text after the object";
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256"})", "{}") + "="), "token.malformed") << "padding";
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256"})", "{}", "AB")), "token.malformed") << "unused bits that are not zero";
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256"})", "{}") + "\n"), "token.malformed");
  EXPECT_EQ(Code(std::string(kMaxTokenSize + 1, 'A')), "token.malformed");
  std::string deep = R"({"a":)" + std::string(40, '[') + std::string(40, ']') + "}";
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256"})", deep)), "token.malformed");
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256","crit":["exp"]})", "{}")), "token.critical");
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256","b64":false})", "{}")), "token.critical");
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256","x5c":[]})", "{}")), "token.malformed");
  EXPECT_EQ(Code(Compact(R"({"alg":"ES256","x5c":["!"]})", "{}")), "token.malformed");
}

std::string JwksCode(const std::string& json) {
  const auto keys = ParseJwks(json);
  return keys.ok() ? std::to_string(keys->size()) : keys.error().code;
}

TEST(Jwks, OwnSetsThereAndBack) {
  for (KeyType type : {KeyType::kP256, KeyType::kP384, KeyType::kP521}) {
    const auto key = PrivateKey::Generate(type).public_key();
    const auto keys = ParseJwks(MakeJwks(key));
    ASSERT_TRUE(keys.ok()) << keys.error().ToString();
    ASSERT_EQ(keys->size(), 1u);
    EXPECT_TRUE((*keys)[0].key == key);
    EXPECT_EQ((*keys)[0].key_id, JwkThumbprint(key));
    EXPECT_EQ((*keys)[0].key_id.size(), 43u);
  }
  EXPECT_EQ(JwkThumbprint(PrivateKey::Generate(KeyType::kRsa2048).public_key()), "");
}

TEST(Jwks, RsaNumbersAndCertificates) {
  const PrivateKey rsa = PrivateKey::Generate(KeyType::kRsa2048), ec = PrivateKey::Generate(KeyType::kP384);
  const auto [n, e] = crypto::RsaNumbers(rsa.public_key());
  Json jwk = {{"kty", "RSA"}, {"kid", "r"}, {"alg", "RS256"}, {"n", Base64UrlEncode(n)}, {"e", Base64UrlEncode(e)}};
  const auto set = [](const Json& key) { return Json{{"keys", {key}}}.dump(); };
  const auto keys = ParseJwks(set(jwk));
  ASSERT_TRUE(keys.ok());
  EXPECT_TRUE((*keys)[0].key == rsa.public_key());
  EXPECT_EQ((*keys)[0].algorithm, "RS256");
  crypto::CertificateSpec spec;
  spec.subject = {{"CN", "token signer"}};
  spec.key = ec.public_key();
  spec.not_after = TimePoint(std::chrono::seconds(4000000000));
  const Bytes der = crypto::MakeCertificate(spec, ec, nullptr)->Der();
  const Json only = {{"kty", "EC"}, {"kid", "c"}, {"x5c", {Base64Encode(der)}}};
  ASSERT_EQ(JwksCode(set(only)), "1");
  EXPECT_TRUE((*ParseJwks(set(only)))[0].key == ec.public_key());
  jwk["x5c"] = {Base64Encode(der)};
  EXPECT_EQ(JwksCode(set(jwk)), "token.bad-jwks") << "numbers and certificate disagree";
}

TEST(Jwks, Refusals) {
  const Json good = Json::parse(MakeJwks(PrivateKey::Generate(KeyType::kP256).public_key()))["keys"][0];
  const auto with = [&](const char* name, const Json& value) {
    Json key = good;
    key[name] = value;
    return JwksCode(Json{{"keys", {key}}}.dump());
  };
  EXPECT_EQ(JwksCode(Json{{"keys", {good, good}}}.dump()), "token.bad-jwks") << "one kid twice";
  EXPECT_EQ(with("d", "AA"), "token.bad-jwks") << "a private key";
  EXPECT_EQ(with("kty", "oct"), "token.bad-jwks");
  EXPECT_EQ(with("kty", "OKP"), "0");
  EXPECT_EQ(with("use", "enc"), "0");
  EXPECT_EQ(with("crv", "secp256k1"), "token.bad-jwks");
  EXPECT_EQ(with("x", good["y"]), "token.bad-jwks") << "not on the curve";
  EXPECT_EQ(with("x", "AA"), "token.bad-jwks");
  EXPECT_EQ(with("x5c", Json::array()), "token.bad-jwks");
  for (const char* bad : {"", "[]", "{}", R"({"keys":5})", R"({"keys":[5]})"})
    EXPECT_EQ(JwksCode(bad), "token.bad-jwks") << bad;
}

TEST(DetachedEat, ShapesThatAreRefused) {
  const DetachedEat bundle{"a.b.c", {{"GPU-0", "d.e.f"}, {"SWITCH-0", "g.h.i"}}};
  const auto back = ParseDetachedEat(EncodeDetachedEat(bundle));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->overall, "a.b.c");
  EXPECT_EQ(back->devices, bundle.devices);
  for (const char* bad : {"", "{}", "[]", R"([["JWT","a"]])", R"([["JWT","a"],{}])", R"([["CWT","a"],{"GPU-0":"b"}])",
                          R"([["JWT"],{"GPU-0":"b"}])", R"([["JWT","a"],{"GPU-0":5}])", R"([["JWT","a"],{"GPU-":"b"}])",
                          R"([["JWT","a"],{"GPU-01":"b"}])", R"([["JWT","a"],{"CPU-0":"b"}])",
                          R"([["JWT","a"],{"GPU-0":"b","GPU-0":"c"}])", R"([["JWT","a"],{"GPU-0":"b"},1])",
                          R"([["JWT","a"],{"GPU-1000":"b"}])"}) {
    EXPECT_FALSE(ParseDetachedEat(bad).ok()) << bad;
  }
}

TEST(DetachedEat, RealNrasAnswer) {
  SKIP_WITHOUT_VECTORS();
  const auto bundle = ParseDetachedEat(test::VectorText("nvidia/nvat/nras/hopperClaimsv3_detached_eat.json"));
  ASSERT_TRUE(bundle.ok()) << bundle.error().ToString();
  const auto overall = ParseJwt(bundle->overall);
  ASSERT_TRUE(overall.ok()) << overall.error().ToString();
  EXPECT_EQ(overall->algorithm, "ES384");
  EXPECT_EQ(overall->claims["iss"], "https://nras.attestation.nvidia.com");
  ASSERT_EQ(bundle->devices.size(), 1u);
  EXPECT_EQ(overall->claims["submods"]["GPU-0"][1][1], HexEncode(crypto::Sha256(AsBytes(bundle->devices[0].second))));
}

}  // namespace
}  // namespace ccgpu::evidence
