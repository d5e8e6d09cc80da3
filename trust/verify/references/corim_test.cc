// Signed CoRIMs as reference values.
#include "trust/verify/references/corim.h"

#include <gmock/gmock.h>

#include "trust/evidence/test_mutation.h"
#include "trust/evidence/test_vectors.h"
#include "trust/verify/references/checks.h"
#include "trust/verify/testing/tokens.h"

namespace ccgpu::verify {
namespace {

using crypto::Hash;
using crypto::KeyType;
using crypto::PrivateKey;

struct CorimWorld {
  PrivateKey key = PrivateKey::Generate(KeyType::kP384);
  CorimOptions options;
  evidence::CorimMeta meta{"ACME firmware", kTestNow - std::chrono::hours(1), kTestNow + std::chrono::hours(1)};
  evidence::ReferenceValues values;
  std::string content_type = "application/rim+cbor";

  CorimWorld() {
    options.signer.keys = {PinnedCoseKey(key.public_key()).value()};
    values.id = "firmware 1";
    values.tags = {{"gh100",
                    3,
                    {{{"", "NVIDIA", "GH100", {}, {}},
                      {{"7", {{Hash::kSha384, {Bytes(48, 7), Bytes(48, 8)}}}, {}, {}, "", ""},
                       {"8", {{Hash::kSha384, {Bytes(48, 9)}}}, {}, {}, "", ""}}}}}};
  }
  Bytes Document() const {
    evidence::CoseSpec spec;
    spec.content_type = content_type;
    spec.corim_meta = evidence::EncodeCorimMeta(meta);
    return evidence::SignCoseSign1(spec, evidence::EncodeCorim(values), key);
  }
  CorimVerdict Judge() const { return VerifyCorim(evidence::Unverified(Document()), options, kTestNow); }
  std::string Run() const { return Outcome(Judge().verdict); }
};

TEST(CorimVerify, RealSignedCorim) {
  SKIP_WITHOUT_VECTORS();
  const auto keys = evidence::ParseJwks(R"({"keys":[)" + [] {
    Json jwk = Json::parse(test::VectorText("cose/veraison_ec-p256.jwk"));
    jwk.erase("d");
    jwk.erase("use");  // the sample's key says "enc" and signs
    return jwk.dump();
  }() + "]}");
  ASSERT_TRUE(keys.ok()) << keys.error().ToString();
  CorimOptions options;
  options.signer.keys = {PinnedCoseKey(keys->at(0).key).value()};
  const evidence::Unverified<Bytes> document(test::VectorBytes("cose/veraison_signed-good-corim.cbor"));
  const CorimVerdict v = VerifyCorim(document, options, ParseTime("2024-06-01").value());
  ASSERT_TRUE(v.verdict.accepted) << v.verdict.ToJson();
  ASSERT_TRUE(v.values);
  EXPECT_EQ((*v.values)->id, "test corim id");
  EXPECT_EQ((*v.values)->environment, "hardware");
  EXPECT_EQ(Outcome(VerifyCorim(document, options, ParseTime("2026-01-01").value()).verdict), "corim.expired");
  EXPECT_EQ(Outcome(VerifyCorim(document, options, ParseTime("2021-01-01").value()).verdict), "corim.expired");
  options.signer.keys = {PinnedCoseKey(PrivateKey::Generate(KeyType::kP256).public_key()).value()};
  EXPECT_EQ(Outcome(VerifyCorim(document, options, ParseTime("2024-06-01").value()).verdict), "cose.signature-invalid");
}

TEST(CorimVerify, Healthy) {
  const CorimVerdict v = CorimWorld().Judge();
  ASSERT_TRUE(v.verdict.accepted) << v.verdict.ToJson();
  EXPECT_EQ(Json::parse(v.verdict.claims_json)["tags"]["gh100"], 3);
}

// rule 14: cose
TEST(CorimVerify, ValidityIsJudgedAtTheGivenTime) {
  CorimWorld w;
  w.meta.not_after = kTestNow - std::chrono::seconds(1);
  EXPECT_EQ(w.Run(), "corim.expired");
  w.meta = {"ACME firmware", kTestNow + std::chrono::seconds(1), kTestNow + std::chrono::hours(1)};
  EXPECT_EQ(w.Run(), "corim.expired");
  w.meta = {"ACME firmware", {}, {}};
  EXPECT_EQ(w.Run(), "corim.expired") << "no end at all";
  w.options.require_validity = false;
  EXPECT_EQ(w.Run(), "accepted");
  w.values.not_after = kTestNow - std::chrono::seconds(1);
  EXPECT_EQ(w.Run(), "corim.expired");
}

// rule 13: cose
TEST(CorimVerify, OldReferenceValuesDoNotComeBack) {
  CorimWorld w;
  w.options.minimum_versions = {{"gh100", 3}, {"other", 9}};
  EXPECT_EQ(w.Run(), "accepted");
  w.options.minimum_versions["gh100"] = 4;
  EXPECT_EQ(w.Run(), "corim.rollback");
}

// rule 17: cose
TEST(CorimVerify, EmulatedOnlyByName) {
  CorimWorld w;
  w.meta.signer = "ccgpu (EMULATED, NOT NVIDIA)";
  EXPECT_EQ(w.Run(), "environment.emulated");
  EXPECT_FALSE(w.Judge().values);
  w.options.insecure_accept_emulated = true;
  EXPECT_EQ(w.Run(), "accepted");
  EXPECT_EQ((*w.Judge().values)->environment, "emulated");
}

TEST(CorimVerify, OtherThingsSignedByTheSameKey) {
  CorimWorld w;
  w.content_type = "application/cbor";
  EXPECT_EQ(w.Run(), "cose.content-type");
  w.content_type.clear();
  EXPECT_EQ(w.Run(), "cose.content-type");
  const Bytes no_meta =
      evidence::SignCoseSign1({{}, "application/rim+cbor", {}, {}, false}, evidence::EncodeCorim(w.values), w.key);
  EXPECT_EQ(Outcome(VerifyCorim(evidence::Unverified(no_meta), w.options, kTestNow).verdict), "corim.malformed");
  const Bytes no_corim = evidence::SignCoseSign1(
      {{}, "application/rim+cbor", evidence::EncodeCorimMeta(w.meta), {}, false}, Bytes{0xa0}, w.key);
  EXPECT_EQ(Outcome(VerifyCorim(evidence::Unverified(no_corim), w.options, kTestNow).verdict), "corim.malformed");
}

TEST(CorimVerify, EveryBitCounts) {
  const CorimWorld w;
  const auto judge = [&](const Bytes& document) {
    const CorimVerdict v = VerifyCorim(evidence::Unverified(document), w.options, kTestNow);
    return v.verdict.accepted || v.values;
  };
  EXPECT_TRUE(test::EveryFlipIsRefused("signed CoRIM", w.Document(), judge));
  EXPECT_TRUE(test::EveryCutIsRefused("signed CoRIM", w.Document(), judge));
}

Measured Runtime() {
  return {"NVIDIA", "GH100", Hash::kSha384, {{"7", Bytes(48, 8)}, {"8", Bytes(48, 9)}, {"40", Bytes(48, 1)}}};
}

// rule 13: cose
TEST(References, WhatTheyNameMustMatch) {
  const References references{{*CorimWorld().Judge().values}};
  ReferenceComparison result = CompareWithReferences(references, Runtime());
  EXPECT_EQ(result.compared, 2u);
  EXPECT_TRUE(result.mismatches.empty());
  EXPECT_EQ(CheckReferences(&references, Runtime(), "hardware", "gpu0/report").outcome, Check::Outcome::kPassed);
  Measured changed = Runtime();
  changed.values["8"][0] ^= 1;
  result = CompareWithReferences(references, changed);
  ASSERT_EQ(result.mismatches.size(), 1u);
  EXPECT_EQ(result.mismatches[0].key, "8");
  EXPECT_EQ(result.mismatches[0].source, "firmware 1/gh100");
  EXPECT_EQ(CheckReferences(&references, changed, "hardware", "d").reason.code, "corim.measurement-mismatch");
  Measured missing = Runtime();
  missing.values.erase("7");
  EXPECT_EQ(CompareWithReferences(references, missing).mismatches.size(), 1u);
  Measured other = Runtime();
  other.model = "GB100";
  EXPECT_EQ(CheckReferences(&references, other, "hardware", "d").reason.code, "corim.no-values");
  Measured hash = Runtime();
  hash.hash = Hash::kSha256;
  EXPECT_EQ(CompareWithReferences(references, hash).mismatches.size(), 2u);
  EXPECT_EQ(CheckReferences(&references, Runtime(), "emulated", "d").reason.code, "environment.mixed");
  EXPECT_EQ(CheckReferences(&references, Runtime(), "", "d").reason.code, "environment.mixed");
  EXPECT_EQ(CheckReferences(nullptr, Runtime(), "hardware", "d").outcome, Check::Outcome::kNotApplicable);
  const References none;
  EXPECT_EQ(CheckReferences(&none, Runtime(), "hardware", "d").reason.code, "corim.no-values");
}

TEST(References, SeveralSetsAllowMoreAndNarrowOnesDoNotCount) {
  CorimWorld second;
  second.values.id = "firmware 2";
  second.values.tags[0].triples[0].measurements[1].digests = {{Hash::kSha384, {Bytes(48, 10)}}};
  const References both{{*CorimWorld().Judge().values, *second.Judge().values}};
  Measured newer = Runtime();
  newer.values["8"] = Bytes(48, 10);
  EXPECT_TRUE(CompareWithReferences(both, newer).mismatches.empty());
  CorimWorld narrow;
  narrow.values.tags[0].triples[0].environment.layer = 1;
  const References only{{*narrow.Judge().values}};
  EXPECT_EQ(CompareWithReferences(only, Runtime()).compared, 0u);
}

}  // namespace
}  // namespace ccgpu::verify
