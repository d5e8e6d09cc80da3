#include "trust/evidence/corim.h"

#include <gmock/gmock.h>

#include "base/encoding.h"
#include "trust/evidence/cose.h"
#include "trust/evidence/test_vectors.h"

namespace ccgpu::evidence {
namespace {

using crypto::Hash;

ReferenceValues Spec() {
  ReferenceValues out;
  out.id = "gpu firmware";
  out.profile = "tag:ccgpu.dev,2026:corim";
  out.not_before = TimePoint(std::chrono::seconds(1000));
  out.not_after = TimePoint(std::chrono::seconds(2000));
  ReferenceMeasurement first{"7", {{Hash::kSha384, {Bytes(48, 1), Bytes(48, 2)}}}, {}, {}, "550.90.07", "driver"};
  ReferenceMeasurement second{"measurement", {{Hash::kSha256, {Bytes(32, 3)}}}, 4, {}, "", ""};
  ReferenceMeasurement third{"", {}, {}, 5, "", ""};
  out.tags = {{"tag-1", 3, {{{"oid:2b0601", "NVIDIA", "GH100", 1, 2}, {first, second, third}}}}};
  return out;
}

TEST(Corim, ReadsItsOwnDocuments) {
  const Bytes bytes = EncodeCorim(Spec());
  const auto values = ParseCorim(bytes);
  ASSERT_TRUE(values.ok()) << values.error().ToString();
  EXPECT_EQ(EncodeCorim(*values), bytes);
  EXPECT_EQ(values->not_after, TimePoint(std::chrono::seconds(2000)));
  ASSERT_EQ(values->tags.size(), 1u);
  const ReferenceTriple& triple = values->tags[0].triples[0];
  EXPECT_EQ(triple.environment, (ReferenceEnvironment{"oid:2b0601", "NVIDIA", "GH100", 1, 2}));
  EXPECT_EQ(triple.measurements[0].digests.at(Hash::kSha384).size(), 2u);
  EXPECT_EQ(triple.measurements[0].version, "550.90.07");
  EXPECT_EQ(triple.measurements[1].svn, 4u);
  EXPECT_EQ(triple.measurements[2].minimum_svn, 5u);
  for (size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(ParseCorim(ByteView(bytes).first(size)).ok()) << size;
}

TEST(Corim, RealSignedCorim) {
  SKIP_WITHOUT_VECTORS();
  const auto message = ParseCoseSign1(test::VectorBytes("cose/veraison_signed-good-corim.cbor"));
  ASSERT_TRUE(message.ok()) << message.error().ToString();
  EXPECT_EQ(message->content_type, "application/rim+cbor");
  const auto meta = ParseCorimMeta(*message->corim_meta);
  ASSERT_TRUE(meta.ok()) << meta.error().ToString();
  EXPECT_EQ(meta->signer, "ACME Ltd signing key");
  EXPECT_EQ(FormatTime(*meta->not_before), "2021-12-31T00:00:00Z");
  EXPECT_EQ(FormatTime(*meta->not_after), "2025-12-31T00:00:00Z");
  const auto values = ParseCorim(*message->payload);
  ASSERT_TRUE(values.ok()) << values.error().ToString();
  EXPECT_EQ(values->id, "test corim id");
  ASSERT_EQ(values->tags.size(), 1u);
  EXPECT_EQ(values->tags[0].id, "uuid:43bbe37f2e614b33aed353cff1428b16");
  const ReferenceTriple& triple = values->tags[0].triples.at(0);
  EXPECT_EQ(triple.environment.vendor, "ACME");
  EXPECT_EQ(triple.environment.model, "RoadRunner");
  EXPECT_EQ(triple.environment.class_id, "bytes:" + HexEncode(AsBytes("acme-implementation-id-000000001")));
  ASSERT_EQ(triple.measurements.size(), 3u);
  EXPECT_EQ(HexEncode(triple.measurements[0].digests.at(Hash::kSha256).at(0)),
            "87428fc522803d31065e7bce3cf03fe475096631e5e07bbd7a0fde60c4cf25c7");
}

std::string Problem(const std::string& hex) {
  const auto values = ParseCorim(HexDecode(hex).value());
  return values.ok() ? "" : values.error().code;
}

// A CoRIM around one measurement-values map (hex), and around one CoMID.
Bytes Around(const Bytes& comid) {
  return cbor::Writer().Tag(501).Map(2).Unsigned(0).Text("x").Unsigned(1).Array(1).Tag(506).ByteString(comid).Finish();
}
std::string ValuesProblem(const std::string& hex, const std::string& environment = "a100a1016141") {
  const Bytes comid = HexDecode("a201a100617404a1008182" + environment + "81a201" + hex + "0007").value();
  const auto values = ParseCorim(Around(comid));
  return values.ok() ? "" : values.error().code;
}

TEST(Corim, ShapesThatAreRefused) {
  const std::string digest = "82015820" + std::string(64, 'a');
  EXPECT_EQ(ValuesProblem("a10281" + digest), "");
  EXPECT_EQ(ValuesProblem("a0"), "corim.unsupported") << "accepts anything";
  EXPECT_EQ(ValuesProblem("a20281" + digest + "0341ff"), "corim.unsupported") << "flags";
  EXPECT_EQ(ValuesProblem("a104d9023041ff"), "corim.unsupported") << "raw value";
  EXPECT_EQ(ValuesProblem("a10280"), "corim.malformed") << "no digests";
  EXPECT_EQ(ValuesProblem("a1028182014100"), "corim.malformed") << "a SHA-256 of one byte";
  EXPECT_EQ(ValuesProblem("a1028182025820" + std::string(64, 'a')), "corim.unsupported") << "SHA-256-128";
  EXPECT_EQ(ValuesProblem("a1028182677368612d3338345830" + std::string(96, 'a')), "") << "sha-384 by its name";
  EXPECT_EQ(ValuesProblem("a10120"), "corim.malformed") << "negative svn";
  EXPECT_EQ(ValuesProblem("a10281" + digest, "a0"), "corim.malformed") << "no class";
  EXPECT_EQ(ValuesProblem("a10281" + digest, "a100a0"), "corim.malformed") << "empty class";
  EXPECT_EQ(ValuesProblem("a10281" + digest, "a200a101614101d902304101"), "corim.unsupported") << "for one instance";
  EXPECT_EQ(Problem("a0"), "corim.malformed") << "no tag 501";
  EXPECT_EQ(Problem("d901f5a0"), "corim.malformed");
  EXPECT_EQ(Problem("d901f5a20061780180"), "corim.malformed") << "no tags";
}

TEST(Corim, TagsOfOtherKinds) {
  EXPECT_EQ(Problem("d901f5a20061780181d901f941a0"), "") << "a CoSWID is left out";
  EXPECT_EQ(Problem("d901f5a20061780181d901fb41a0"), "corim.unsupported");
  EXPECT_EQ(Problem("d901f5a30061780181d901f941a00280"), "corim.unsupported") << "dependent RIMs";
  const Bytes linked = HexDecode("a301a1006174038004a1008101").value();
  EXPECT_FALSE(ParseCorim(Around(linked)).ok());
  const Bytes endorsed = HexDecode("a201a100617404a1018101").value();
  const auto values = ParseCorim(Around(endorsed));
  ASSERT_TRUE(values.ok()) << values.error().ToString();
  EXPECT_EQ(values->ignored_triples, 1u);
  EXPECT_EQ(ParseCorim(Around(HexDecode("a201a100617404a1181e8101").value())).error().code, "corim.unsupported");
  ReferenceValues twice = Spec();
  twice.tags.push_back(twice.tags[0]);
  EXPECT_EQ(ParseCorim(EncodeCorim(twice)).error().code, "corim.malformed");
}

TEST(Corim, TimesHaveABound) {
  EXPECT_EQ(ParseCorimMeta(EncodeCorimMeta({"s", {}, TimePoint(std::chrono::seconds(5))}))->not_after,
            TimePoint(std::chrono::seconds(5)));
  EXPECT_FALSE(ParseCorimMeta(HexDecode("a200a100617301a101c11b7fffffffffffffff").value()).ok());
  EXPECT_FALSE(ParseCorimMeta(HexDecode("a200a100617301a101c120").value()).ok()) << "before 1970";
  EXPECT_FALSE(ParseCorimMeta(HexDecode("a200a100617301a100c105").value()).ok()) << "no end";
  EXPECT_FALSE(ParseCorimMeta(HexDecode("a0").value()).ok()) << "no signer";
}

}  // namespace
}  // namespace ccgpu::evidence
