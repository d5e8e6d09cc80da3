// NVIDIA's detached EAT: the real sample, and each way to go wrong, signed again with test keys where a signature would
// hide the fault.
#include <gmock/gmock.h>

#include "trust/evidence/test_mutation.h"
#include "trust/evidence/test_vectors.h"
#include "trust/verify/testing/tokens.h"

namespace ccgpu::verify {
namespace {

using ::testing::HasSubstr;

TEST(NrasToken, HealthyBundle) {
  const TokenWorld w;
  const Verdict v = w.Run();
  ASSERT_TRUE(v.accepted) << v.ToJson();
  EXPECT_EQ(v.environment, "hardware");
  ASSERT_TRUE(v.verified);
  ASSERT_EQ((*v.verified)->gpus.size(), 1u);
  EXPECT_EQ((*v.verified)->gpus[0].driver_version, "550.90.07");
  const Json claims = Json::parse(v.claims_json);
  EXPECT_EQ(claims["x-nvidia-overall-att-result"], true);
  EXPECT_EQ(claims["gpus"][0]["ueid"], "4711");
}

// The vectors hold no public key of NVIDIA's service: the real tokens are checked in everything but their signatures,
// which must then refuse them.
TEST(NrasToken, RealAnswerOfNvidiasService) {
  SKIP_WITHOUT_VECTORS();
  const auto bundle = evidence::ParseDetachedEat(test::VectorText("nvidia/nvat/nras/hopperClaimsv3_detached_eat.json"));
  ASSERT_TRUE(bundle.ok()) << bundle.error().ToString();
  TokenWorld w;
  w.now = ParseTime("2025-06-11T00:40:00Z").value();
  w.options.nonce = HexDecode("931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb").value();
  w.options.token.keys = {PinnedKey(w.key.public_key()).value()};
  const Verdict v = w.Judge(*bundle);
  EXPECT_FALSE(v.accepted);
  EXPECT_EQ(Outcome(v), "token.signature-invalid");
  for (const Check& check : v.checks) {
    const bool needs_key = check.name.ends_with(".signature") || check.name.ends_with("environment");
    EXPECT_TRUE(needs_key || check.outcome != Check::Outcome::kFailed) << check.name << " " << check.reason.ToString();
  }
  // The same claims under a key that we have.
  const Json overall = evidence::ParseJwt(bundle->overall)->claims;
  const Json gpu = evidence::ParseJwt(bundle->devices[0].second)->claims;
  TokenWorld resigned = w;
  resigned.overall = overall;
  resigned.gpu = gpu;
  EXPECT_EQ(Outcome(resigned.Run()), "accepted") << resigned.Run().ToJson();
  resigned.now = ParseTime("2025-06-11T02:00:00Z").value();
  EXPECT_EQ(Outcome(resigned.Run()), "token.expired");
}

// rule 1: jwt
TEST(NrasToken, NonceIsComparedWhole) {
  TokenWorld w;
  w.options.nonce = {};
  EXPECT_EQ(Outcome(w.Run()), "token.nonce-missing");
  w.options.nonce = Bytes(w.nonce.begin(), w.nonce.begin() + 31);
  EXPECT_EQ(Outcome(w.Run()), "token.nonce-missing");
  w.options.nonce = w.nonce;
  w.options.nonce[31] ^= 1;
  EXPECT_EQ(Outcome(w.Run()), "token.nonce-mismatch");
  w = TokenWorld();
  for (const Json& other : {Json(nullptr), Json(""), Json("5a"), Json(5), Json(HexEncode(Bytes(33, 0x5a)))}) {
    TokenWorld one;
    one.overall["eat_nonce"] = other;
    EXPECT_EQ(Outcome(one.Run()), "token.nonce-mismatch") << other;
    TokenWorld device;
    device.gpu["eat_nonce"] = other;
    EXPECT_EQ(Outcome(device.Run()), "token.nonce-mismatch") << other;
  }
}

// rule 2: jwt
TEST(NrasToken, DigestIsOfTheReceivedText) {
  const TokenWorld w;
  evidence::DetachedEat bundle = w.Bundle();
  Json other = w.gpu;
  other["measres"] = "success ";
  bundle.devices[0].second = w.Sign(other);
  EXPECT_EQ(Outcome(w.Judge(bundle)), "token.digest-mismatch");
  // The same claims, signed again: another text, another signature.
  bundle.devices[0].second = w.Sign(w.gpu);
  EXPECT_EQ(Outcome(w.Judge(bundle)), "token.digest-mismatch");
  TokenWorld sdk;  // the label that NVIDIA's SDK writes
  const std::string token = sdk.Sign(sdk.gpu);
  sdk.overall["submods"]["GPU-0"] = {"DIGEST", {"SHA256", HexEncode(crypto::Sha256(AsBytes(token)))}};
  EXPECT_EQ(Outcome(sdk.Judge({sdk.Sign(sdk.overall), {{"GPU-0", token}}})), "accepted");
  for (const Json& entry : {Json(5), Json::array(), Json({"DIGEST", {"SHA-1", "aa"}}), Json({"JWT", token}),
                            Json({"DIGEST", {"SHA-256", ""}}), Json({"DIGEST", {"SHA-256"}})}) {
    sdk.overall["submods"]["GPU-0"] = entry;
    EXPECT_EQ(Outcome(sdk.Judge({sdk.Sign(sdk.overall), {{"GPU-0", token}}})), "token.digest-mismatch") << entry;
  }
}

TEST(NrasToken, EachDeviceIsNamedAndThereOnce) {
  TokenWorld w;
  const std::string first = w.Sign(w.gpu);
  evidence::DetachedEat left_out = w.Around({{"GPU-0", first}, {"GPU-1", first}});
  left_out.devices.pop_back();
  EXPECT_EQ(Outcome(w.Judge(left_out)), "token.devices");
  evidence::DetachedEat added = w.Around({{"GPU-0", first}});
  added.devices.emplace_back("GPU-1", first);
  EXPECT_EQ(Outcome(w.Judge(added)), "token.devices");
  EXPECT_EQ(Outcome(w.Judge({w.Sign(w.overall), {}})), "token.devices") << "no device at all";
  w.options.device_count = 2;
  EXPECT_EQ(Outcome(w.Judge(w.Around({{"GPU-0", first}}))), "token.devices");
  Json second = w.gpu;
  second["ueid"] = "4712";
  EXPECT_EQ(Outcome(w.Judge(w.Around({{"GPU-0", first}, {"GPU-1", w.Sign(second)}}))), "accepted");
  w.options.allowed_ueids = {"4711"};
  EXPECT_EQ(Outcome(w.Judge(w.Around({{"GPU-0", first}, {"GPU-1", w.Sign(second)}}))), "token.unknown-device");
}

// rule 11: jwt
TEST(NrasToken, OneDeviceCountedTwice) {
  const TokenWorld w;
  const std::string token = w.Sign(w.gpu);
  EXPECT_EQ(Outcome(w.Judge(w.Around({{"GPU-0", token}, {"GPU-1", token}}))), "token.devices");
  TokenWorld nameless;
  nameless.gpu.erase("ueid");
  EXPECT_EQ(Outcome(nameless.Run()), "token.devices");
}

std::string WithGpu(const ClaimsEdit& edit) {
  TokenWorld w;
  edit(w.gpu);
  return Outcome(w.Run());
}
std::string WithOverall(const ClaimsEdit& edit) {
  TokenWorld w;
  edit(w.overall);
  return Outcome(w.Run());
}

// rule 6: jwt
TEST(NrasToken, DebugIsRefused) {
  EXPECT_EQ(WithGpu([](Json& c) { c["dbgstat"] = "enabled"; }), "token.debug-enabled");
  EXPECT_EQ(WithGpu([](Json& c) { c["dbgstat"] = nullptr; }), "token.debug-enabled");
  EXPECT_EQ(WithGpu([](Json& c) { c.erase("dbgstat"); }), "token.debug-enabled");
  EXPECT_EQ(WithGpu([](Json& c) { c["secboot"] = false; }), "token.debug-enabled");
  EXPECT_EQ(WithGpu([](Json& c) { c["secboot"] = "true"; }), "token.debug-enabled") << "text is no truth";
}

// rule 13: jwt
TEST(NrasToken, MeasurementsAndStatementsMustBeGood) {
  EXPECT_EQ(WithGpu([](Json& c) { c["measres"] = "fail"; }), "token.measurements");
  EXPECT_EQ(WithGpu([](Json& c) { c.erase("measres"); }), "token.measurements");
  const TokenWorld w;
  size_t statements = 0;
  for (const auto& [name, value] : w.gpu.items()) {
    if (!value.is_boolean() || name == "secboot") continue;
    ++statements;
    EXPECT_EQ(WithGpu([&](Json& c) { c[name] = false; }), "token.statement") << name;
    EXPECT_EQ(WithGpu([&](Json& c) { c.erase(name); }), "token.statement") << name;
  }
  EXPECT_EQ(statements, 14u);
  EXPECT_EQ(WithGpu([](Json& c) { c["x-nvidia-gpu-driver-rim-schema-validated"] = false; }), "token.statement");
  EXPECT_EQ(WithGpu([](Json& c) { c["x-nvidia-gpu-driver-rim-schema-validated"] = true; }), "accepted");
  EXPECT_EQ(WithGpu([](Json& c) { c["x-nvidia-error-details"] = {{"code", 4010}}; }), "token.statement");
  EXPECT_EQ(WithGpu([](Json& c) { c["x-nvidia-error-details"] = nullptr; }), "accepted");
}

// rule 14: jwt
TEST(NrasToken, ChainsMustBeValidAndAskedAbout) {
  for (const char* chain : {"attestation-report-cert-chain", "driver-rim-cert-chain", "vbios-rim-cert-chain"}) {
    const std::string claim = std::string("x-nvidia-gpu-") + chain;
    const auto with = [&](const char* name, const Json& value) {
      return WithGpu([&](Json& c) { c[claim][name] = value; });
    };
    EXPECT_EQ(with("x-nvidia-cert-status", "expired"), "token.chain");
    EXPECT_EQ(with("x-nvidia-cert-status", nullptr), "token.chain");
    for (const char* status : {"revoked", "unknown", "undefined"})
      EXPECT_EQ(with("x-nvidia-cert-ocsp-status", status), "token.chain");
    EXPECT_EQ(with("x-nvidia-cert-revocation-reason", "certificateHold"), "token.chain");
    EXPECT_EQ(with("x-nvidia-cert-ocsp-nonce-matches", false), "token.chain");
    EXPECT_EQ(with("x-nvidia-cert-ocsp-response-valid", true), "accepted");
    EXPECT_EQ(WithGpu([&](Json& c) { c.erase(claim); }), "token.chain");
    EXPECT_EQ(WithGpu([&](Json& c) { c[claim] = "valid"; }), "token.chain");
  }
  TokenWorld lenient;
  lenient.options.require_revocation = false;
  lenient.gpu["x-nvidia-gpu-driver-rim-cert-chain"]["x-nvidia-cert-ocsp-status"] = "undefined";
  EXPECT_EQ(Outcome(lenient.Run()), "accepted");
}

TEST(NrasToken, OverallMustBeOneThatSaysYes) {
  EXPECT_EQ(WithOverall([](Json& c) { c["x-nvidia-overall-att-result"] = false; }), "token.result");
  EXPECT_EQ(WithOverall([](Json& c) { c["x-nvidia-overall-att-result"] = "true"; }), "token.result");
  EXPECT_EQ(WithOverall([](Json& c) { c.erase("x-nvidia-overall-att-result"); }), "token.result");
  EXPECT_EQ(WithOverall([](Json& c) { c["sub"] = "NVIDIA-GPU"; }), "token.kind");
  EXPECT_EQ(WithOverall([](Json& c) { c["x-nvidia-ver"] = "4.0"; }), "token.kind");
}

// rule 17: jwt
TEST(NrasToken, EmulatedOnlyByName) {
  TokenWorld w;
  w.overall["ccgpu.environment"] = w.gpu["ccgpu.environment"] = "emulated";
  EXPECT_EQ(Outcome(w.Run()), "environment.emulated");
  w.options.token.insecure_accept_emulated = true;
  EXPECT_EQ(Outcome(w.Run()), "accepted");
  EXPECT_EQ(w.Run().environment, "emulated");
  w.overall["ccgpu.environment"] = "hardware";
  EXPECT_EQ(Outcome(w.Run()), "environment.mixed");
  w.overall["ccgpu.environment"] = "real";
  EXPECT_EQ(Outcome(w.Run()), "environment.unstated");
  TokenWorld local;  // not NVIDIA's service: silence means nothing
  local.options.token.issuer = "me";
  local.overall["iss"] = local.gpu["iss"] = "me";
  EXPECT_EQ(Outcome(local.Run()), "environment.unstated");
}

TEST(NrasToken, SwitchTokens) {
  TokenWorld w;
  Json nvswitch;
  for (const auto& [name, value] : w.gpu.items()) {
    std::string renamed = name;
    if (renamed.find("driver") != std::string::npos || renamed.find("index") != std::string::npos) continue;
    if (const size_t at = renamed.find("-gpu-"); at != std::string::npos) renamed.replace(at, 5, "-switch-");
    if (const size_t at = renamed.find("vbios"); at != std::string::npos) renamed.replace(at, 5, "bios");
    nvswitch[renamed] = value;
  }
  nvswitch["ueid"] = "9";
  const Verdict v = w.Judge(w.Around({{"GPU-0", w.Sign(w.gpu)}, {"SWITCH-0", w.Sign(nvswitch)}}));
  EXPECT_TRUE(v.accepted) << v.ToJson();
  EXPECT_EQ(Json::parse(v.claims_json)["switches"].size(), 1u);
  // A GPU's claims do not make a switch.
  Json gpu = w.gpu;
  gpu["ueid"] = "9";
  EXPECT_EQ(Outcome(w.Judge(w.Around({{"SWITCH-0", w.Sign(gpu)}}))), "token.statement");
}

TEST(NrasToken, FailuresSayWhere) {
  const TokenWorld w;
  evidence::DetachedEat bundle = w.Bundle();
  bundle.overall.back() = bundle.overall.back() == 'A' ? 'B' : 'A';
  const Verdict v = w.Judge(bundle);
  const Check* failure = v.FirstFailure();
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->name, "overall.signature");
  EXPECT_EQ(failure->document, "eat/overall");
  EXPECT_EQ(failure->offset, bundle.overall.rfind('.') + 1);
  EXPECT_EQ(failure->offset + failure->length, bundle.overall.size());
}

TEST(NrasToken, EveryBitOfTheBundleCounts) {
  const TokenWorld w;
  const evidence::DetachedEat bundle = w.Bundle();
  const auto overall = [&](const Bytes& text) { return w.Judge({ToText(text), bundle.devices}).accepted; };
  EXPECT_TRUE(test::EveryFlipIsRefused("overall EAT", ToBytes(AsBytes(bundle.overall)), overall));
  const auto device = [&](const Bytes& text) { return w.Judge({bundle.overall, {{"GPU-0", ToText(text)}}}).accepted; };
  EXPECT_TRUE(test::SampledFlipsAreRefused("device EAT", ToBytes(AsBytes(bundle.devices[0].second)), device, 500));
  EXPECT_TRUE(test::EveryCutIsRefused("device EAT", ToBytes(AsBytes(bundle.devices[0].second)), device, 13));
}

}  // namespace
}  // namespace ccgpu::verify
