// EAR tokens: Veraison's claims, our own broker's tokens, and each way to go wrong.
#include <gmock/gmock.h>

#include "trust/evidence/test_vectors.h"
#include "trust/verify/testing/tokens.h"

namespace ccgpu::verify {
namespace {

using crypto::PrivateKey;
using evidence::JwsAlgorithm;

constexpr int64_t kVeraisonTime = 1666091373;

struct EarWorld {
  PrivateKey key = PrivateKey::Generate(crypto::KeyType::kP256);
  EarOptions options;
  TimePoint now = kTestNow;
  Json claims;

  EarWorld() {
    const int64_t at = now.time_since_epoch().count();
    options.token.keys = {PinnedKey(key.public_key()).value()};
    options.token.issuer = "ccgpu-broker";
    claims = {{"eat_profile", "tag:github.com,2024:confidential-containers/Trustee"},
              {"iss", "ccgpu-broker"},
              {"iat", at},
              {"exp", at + 300},
              {"eat_nonce", "abc"},
              {"ccgpu.environment", "hardware"},
              {"ear.verifier-id", {{"developer", "ccgpu"}, {"build", "test"}}},
              {"submods",
               {{"cpu0",
                 {{"ear.status", "affirming"}, {"ear.trustworthiness-vector", {{"hardware", 2}, {"executables", 3}}}}},
                {"gpu0", {{"ear.status", "affirming"}, {"ear.trustworthiness-vector", {{"hardware", 2}}}}}}}};
  }
  Verdict Judge() const {
    const std::string token = evidence::MakeJwt(JwsAlgorithm::kEs256, key, {{"alg", "ES256"}}, claims.dump());
    return VerifyEar(evidence::Unverified(token), options, now);
  }
  std::string Run() const { return Outcome(Judge()); }
};

std::string With(const ClaimsEdit& edit) {
  EarWorld w;
  edit(w.claims);
  return w.Run();
}

TEST(Ear, Healthy) {
  const Verdict v = EarWorld().Judge();
  ASSERT_TRUE(v.accepted) << v.ToJson();
  EXPECT_EQ(v.environment, "hardware");
  EXPECT_EQ(Json::parse(v.claims_json)["ear"]["submods"].size(), 2u);
}

// The vectors are claims and a key, so the token is made here.
TEST(Ear, VeraisonsClaimsUnderVeraisonsKey) {
  SKIP_WITHOUT_VECTORS();
  const Json secret = Json::parse(test::VectorText("cose/veraison_ear_skey.json"));
  const auto key =
      PrivateKey::FromScalar(crypto::KeyType::kP256, Base64UrlDecode(secret["d"].get<std::string>()).value());
  ASSERT_TRUE(key.ok());
  EarOptions options;
  options.token.keys = PinnedKeys(R"({"keys":[)" + test::VectorText("cose/veraison_ear_pkey.json") + "]}").value();
  options.token.issuer = "Acme Inc.";
  options.token.require_expiry = false;
  options.environment_when_silent = "hardware";
  const TimePoint now{std::chrono::seconds(kVeraisonTime)};
  for (const char* name : {"ear-claims", "ear-claims-tv-ok"}) {
    Json claims = Json::parse(test::VectorText(std::string("cose/veraison_ear_") + name + ".json"));
    const auto judge = [&] {
      const std::string token = evidence::MakeJwt(JwsAlgorithm::kEs256, *key, {{"alg", "ES256"}}, claims.dump());
      return Outcome(VerifyEar(evidence::Unverified(token), options, now));
    };
    EXPECT_EQ(judge(), "token.issuer") << "Veraison's sample names no issuer";
    claims["iss"] = "Acme Inc.";
    EXPECT_EQ(judge(), "accepted") << name;
    claims["submods"]["test"]["ear.status"] = "contraindicated";
    EXPECT_EQ(judge(), "token.result");
  }
}

TEST(Ear, OnlyGoodStatuses) {
  const auto status = [](const char* word) {
    return With([&](Json& c) { c["submods"]["gpu0"] = {{"ear.status", word}}; });
  };
  EXPECT_EQ(status("affirming"), "accepted");
  EXPECT_EQ(status("warning"), "token.result");
  EXPECT_EQ(status("contraindicated"), "token.result");
  EXPECT_EQ(status("none"), "token.result");
  EXPECT_EQ(status("Affirming"), "token.malformed");
  EXPECT_EQ(With([](Json& c) { c["submods"]["gpu0"] = Json::object(); }), "token.malformed");
  EXPECT_EQ(With([](Json& c) { c["submods"]["gpu0"] = 5; }), "token.malformed");
  EXPECT_EQ(With([](Json& c) { c["submods"] = Json::object(); }), "token.malformed");
  EXPECT_EQ(With([](Json& c) { c.erase("submods"); }), "token.malformed");
  EarWorld lenient;
  lenient.options.worst_status = "warning";
  lenient.claims["submods"]["cpu0"] = {{"ear.status", "warning"},
                                       {"ear.trustworthiness-vector", {{"executables", 33}}}};
  EXPECT_EQ(lenient.Run(), "accepted");
  for (const char* bad : {"none", "contraindicated", "", "good"}) {
    lenient.options.worst_status = bad;
    EXPECT_EQ(lenient.Run(), "token.result") << bad;
  }
}

TEST(Ear, TheVectorCannotBeWorseThanTheStatus) {
  const auto vector = [](const char* name, const Json& value) {
    return With([&](Json& c) { c["submods"]["gpu0"]["ear.trustworthiness-vector"][name] = value; });
  };
  EXPECT_EQ(vector("configuration", 2), "accepted");
  EXPECT_EQ(vector("configuration", 33), "token.malformed");
  EXPECT_EQ(vector("configuration", 97), "token.malformed");
  EXPECT_EQ(vector("configuration", -100), "token.malformed");
  EXPECT_EQ(vector("configuration", 128), "token.malformed");
  EXPECT_EQ(vector("configuration", "2"), "token.malformed");
  EXPECT_EQ(vector("colour", 2), "token.malformed");
}

// rule 1: jwt
TEST(Ear, NonceWhenOneWasGiven) {
  EarWorld w;
  w.options.nonce = "abc";
  EXPECT_EQ(w.Run(), "accepted");
  w.options.nonce = "abd";
  EXPECT_EQ(w.Run(), "token.nonce-mismatch");
  w.options.nonce = "ab";
  EXPECT_EQ(w.Run(), "token.nonce-mismatch");
  w.options.nonce = "abc";
  w.claims.erase("eat_nonce");
  EXPECT_EQ(w.Run(), "token.nonce-mismatch");
}

TEST(Ear, ProfileAndVerifier) {
  EXPECT_EQ(With([](Json& c) { c["eat_profile"] = "tag:example.com,2026:x"; }), "token.kind");
  EXPECT_EQ(With([](Json& c) { c.erase("eat_profile"); }), "token.kind");
  EXPECT_EQ(With([](Json& c) { c.erase("ear.verifier-id"); }), "token.malformed");
  EXPECT_EQ(With([](Json& c) { c["ear.verifier-id"].erase("build"); }), "token.malformed");
}

// rule 17: jwt
TEST(Ear, EmulatedOnlyByName) {
  EarWorld w;
  w.claims["ccgpu.environment"] = "emulated";
  for (const char* name : {"cpu0", "gpu0"}) {
    w.claims["submods"][name] = {{"ear.status", "contraindicated"},
                                 {"ear.trustworthiness-vector", {{"hardware", 97}, {"configuration", 2}}}};
  }
  EXPECT_EQ(w.Run(), "environment.emulated");
  w.options.token.insecure_accept_emulated = true;
  EXPECT_EQ(w.Run(), "accepted") << w.Judge().ToJson();
  w.claims["submods"]["gpu0"]["ear.trustworthiness-vector"]["configuration"] = 97;
  EXPECT_EQ(w.Run(), "token.result") << "more than the hardware is bad";
  w.claims["submods"]["gpu0"]["ear.trustworthiness-vector"] = {{"hardware", 97}};
  EXPECT_EQ(w.Run(), "token.result") << "nothing was affirmed";
  w.claims["submods"]["gpu0"] = {{"ear.status", "contraindicated"}};
  EXPECT_EQ(w.Run(), "token.result") << "nobody knows why";
  EXPECT_EQ(With([](Json& c) { c.erase("ccgpu.environment"); }), "environment.unstated");
  EXPECT_EQ(With([](Json& c) { c["ccgpu.environment"] = 5; }), "environment.unstated");
}

}  // namespace
}  // namespace ccgpu::verify
