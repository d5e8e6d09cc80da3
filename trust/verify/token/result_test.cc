// Our verdicts as tokens, read back by our own verifier; test/e2e has a stock JOSE library read them.
#include "trust/verify/token/result.h"

#include <gmock/gmock.h>

#include "trust/verify/testing/tokens.h"

namespace ccgpu::verify {
namespace {

using crypto::KeyType;
using crypto::PrivateKey;

ResultToken Spec() { return {kTestNow, std::chrono::minutes(5), "me", "test", "id-1", ""}; }

std::string JudgeEat(const std::string& text, const PrivateKey& key, const Bytes& nonce, bool accept_emulated = true) {
  const auto bundle = evidence::ParseDetachedEat(text);
  if (!bundle.ok()) return bundle.error().ToString();
  NrasOptions options;
  options.token.keys = PinnedKeys(evidence::MakeJwks(key.public_key())).value();
  options.token.issuer = "me";
  options.token.insecure_accept_emulated = accept_emulated;
  options.nonce = nonce;
  const Verdict v = VerifyNrasToken(evidence::Unverified(*bundle), options, kTestNow);
  return v.accepted ? "accepted" : v.ToStatus().error().ToString();
}

EarOptions ForEar(const PrivateKey& key) {
  EarOptions options;
  options.token.keys = {PinnedKey(key.public_key()).value()};
  options.token.issuer = "me";
  options.token.insecure_accept_emulated = true;
  return options;
}

TEST(TokenResult, EatBundleOfAGpu) {
  const GpuWorld w;
  const Verdict v = w.Run();
  ASSERT_TRUE(v.accepted) << v.ToJson();
  const PrivateKey key = PrivateKey::Generate(KeyType::kP384);
  const auto text = MakeEatBundle(v, Spec(), key);
  ASSERT_TRUE(text.ok()) << text.error().ToString();
  EXPECT_EQ(JudgeEat(*text, key, w.options.nonce), "accepted");
  EXPECT_THAT(JudgeEat(*text, key, w.options.nonce, false), ::testing::HasSubstr("environment.emulated"));
  EXPECT_THAT(JudgeEat(*text, PrivateKey::Generate(KeyType::kP384), w.options.nonce),
              ::testing::HasSubstr("token.unknown-key"));
  const auto bundle = evidence::ParseDetachedEat(*text);
  const auto overall = evidence::ParseJwt(bundle->overall), gpu = evidence::ParseJwt(bundle->devices[0].second);
  EXPECT_EQ(overall->header["kid"], evidence::JwkThumbprint(key.public_key()));
  EXPECT_EQ(overall->claims["sub"], "NVIDIA-PLATFORM-ATTESTATION");
  EXPECT_EQ(overall->claims["x-nvidia-overall-att-result"], true);
  EXPECT_EQ(overall->claims["ccgpu.data_integrity"], "yes");
  EXPECT_EQ(gpu->claims["ccgpu.environment"], "emulated");
  EXPECT_EQ(gpu->claims["jti"], "id-1/GPU-0");
  for (const auto& [name, value] : gpu->claims.items()) {
    const bool known = name.starts_with("x-nvidia-") || name.starts_with("ccgpu.") || name.size() <= 9;
    EXPECT_TRUE(known) << name << " is nobody's claim";
  }
}

// rule 17: jwt
TEST(TokenResult, ARefusedVerdictMakesTokensThatSayNo) {
  GpuWorld w;
  w.report.measurements.begin()->second[0] ^= 1;
  w.Sign();
  const Verdict v = w.Run();
  ASSERT_FALSE(v.accepted);
  const PrivateKey key = PrivateKey::Generate(KeyType::kP384);
  const auto text = MakeEatBundle(v, Spec(), key);
  ASSERT_TRUE(text.ok());
  EXPECT_THAT(JudgeEat(*text, key, w.options.nonce), ::testing::HasSubstr("token.result"));
  const auto ear = MakeEarToken(v, Spec(), key);
  ASSERT_TRUE(ear.ok());
  EXPECT_EQ(Outcome(VerifyEar(evidence::Unverified(*ear), ForEar(key), kTestNow)), "token.result");
}

TEST(TokenResult, EarOfGpuAndCpu) {
  for (KeyType type : {KeyType::kP256, KeyType::kP384}) {
    const PrivateKey key = PrivateKey::Generate(type);
    const GpuWorld gpu;
    const auto token = MakeEarToken(gpu.Run(), Spec(), key);
    ASSERT_TRUE(token.ok()) << token.error().ToString();
    EarOptions options = ForEar(key);
    options.nonce = HexEncode(gpu.options.nonce);
    EXPECT_EQ(Outcome(VerifyEar(evidence::Unverified(*token), options, kTestNow)), "accepted");
    options.token.insecure_accept_emulated = false;
    EXPECT_EQ(Outcome(VerifyEar(evidence::Unverified(*token), options, kTestNow)), "environment.emulated");
  }
  const PrivateKey key = PrivateKey::Generate(KeyType::kP256);
  SnpWorld cpu;
  EarOptions options = ForEar(key);
  const auto unjudged = MakeEarToken(cpu.Run(), Spec(), key);
  EXPECT_EQ(Outcome(VerifyEar(evidence::Unverified(*unjudged), options, kTestNow)), "token.result")
      << "the measurement was not compared: a warning";
  options.worst_status = "warning";
  EXPECT_EQ(Outcome(VerifyEar(evidence::Unverified(*unjudged), options, kTestNow)), "accepted");
  options.worst_status = "affirming";
  cpu.options.measurement = cpu.report.measurement;
  const auto judged = MakeEarToken(cpu.Run(), Spec(), key);
  EXPECT_EQ(Outcome(VerifyEar(evidence::Unverified(*judged), options, kTestNow)), "accepted");
  const Json claims = evidence::ParseJwt(*judged)->claims;
  EXPECT_EQ(claims["ccgpu.code_integrity"], "yes");
  EXPECT_TRUE(claims["submods"]["cpu0"]["ear.veraison.annotated-evidence"]["snp"].contains("measurement"));
}

TEST(TokenResult, KeysAndEmptyVerdicts) {
  const Verdict gpu = GpuWorld().Run();
  EXPECT_EQ(MakeEatBundle(gpu, Spec(), PrivateKey::Generate(KeyType::kP256)).error().code, "token.key-type");
  EXPECT_EQ(MakeEarToken(gpu, Spec(), PrivateKey::Generate(KeyType::kP521)).error().code, "token.key-type");
  EXPECT_EQ(MakeEatBundle(SnpWorld().Run(), Spec(), PrivateKey::Generate(KeyType::kP384)).error().code,
            "token.nothing-to-say");
  EXPECT_EQ(MakeEarToken(Verdict(), Spec(), PrivateKey::Generate(KeyType::kP384)).error().code, "token.nothing-to-say");
}

}  // namespace
}  // namespace ccgpu::verify
