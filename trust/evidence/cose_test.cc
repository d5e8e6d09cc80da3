// Reading and writing COSE_Sign1. Which signatures count is trust/verify's test.
#include "trust/evidence/cose.h"

#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/test_vectors.h"

namespace ccgpu::evidence {
namespace {

std::string Code(const Bytes& document) {
  const auto message = ParseCoseSign1(document);
  return message.ok() ? "" : message.error().code;
}

// A message out of its parts, whatever they say.
Bytes Message(const Bytes& protected_map, const Bytes& unprotected, std::optional<Bytes> payload = Bytes{1},
              uint64_t tag = kCoseSign1Tag) {
  cbor::Writer out;
  out.Tag(tag).Array(4).ByteString(protected_map).Raw(unprotected);
  if (payload) out.ByteString(*payload);
  else out.Null();
  return out.ByteString(Bytes(64)).Finish();
}
Bytes Hex(const char* hex) { return HexDecode(hex).value(); }
const Bytes kEmpty = Hex("a0"), kEs256 = Hex("a10126");

TEST(Cose, ReadsItsOwnMessages) {
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  const CoseSpec spec{Bytes{1, 2}, "application/rim+cbor", Bytes{0xa0}, {Bytes{9}, Bytes{8}}, false};
  const Bytes payload = Hex("d901f5a0");
  const auto message = ParseCoseSign1(SignCoseSign1(spec, payload, key));
  ASSERT_TRUE(message.ok()) << message.error().ToString();
  EXPECT_EQ(message->algorithm, cose_alg::kEs384);
  EXPECT_EQ(message->key_id, spec.key_id);
  EXPECT_EQ(message->content_type, spec.content_type);
  EXPECT_EQ(message->corim_meta, spec.corim_meta);
  EXPECT_EQ(message->x5chain, spec.x5chain);
  EXPECT_EQ(message->payload, payload);
  EXPECT_TRUE(message->tagged);
  EXPECT_TRUE(key.public_key().VerifyRaw(crypto::Hash::kSha384,
                                         CoseSigStructure(message->protected_header, {}, payload), message->signature));
  CoseSpec detached = spec;
  detached.detached = true;
  EXPECT_EQ(ParseCoseSign1(SignCoseSign1(detached, payload, key))->payload, std::nullopt);
  EXPECT_TRUE(SignCoseSign1(spec, payload, crypto::PrivateKey::Generate(crypto::KeyType::kEd25519)).empty());
}

TEST(Cose, RefusesOtherShapes) {
  EXPECT_EQ(Code(Message(kEs256, kEmpty)), "");
  EXPECT_EQ(Code(Message(kEs256, kEmpty, std::nullopt)), "");
  EXPECT_EQ(Code(Message(kEs256, kEmpty, Bytes{1}, 17)), "cose.malformed") << "COSE_Mac0";
  EXPECT_EQ(Code(Hex("80")), "cose.malformed");
  EXPECT_EQ(Code(Hex("8440a040")), "cbor.malformed");
  EXPECT_EQ(Code(Hex("84a0a04040")), "cose.malformed") << "protected is no byte string";
  EXPECT_EQ(Code(Hex("844080f640")), "cose.malformed") << "unprotected is no map";
  EXPECT_EQ(Code(Message(Hex("80"), kEmpty)), "cose.malformed");
  EXPECT_EQ(Code(Message(Hex("a1012600"), kEmpty)), "cbor.malformed") << "bytes after the protected map";
  EXPECT_EQ(Code(Message(Hex("a201260126"), kEmpty)), "cbor.malformed") << "alg twice";
  EXPECT_EQ(Code(Message(kEs256, Hex("a10126"))), "cose.malformed") << "alg in both headers";
  Bytes longer = Message(kEs256, kEmpty);
  longer.push_back(0);
  EXPECT_EQ(Code(longer), "cbor.malformed");
}

// rule 3: cose
TEST(Cose, TheAlgorithmStandsInTheProtectedHeaderOnly) {
  EXPECT_EQ(Code(Message({}, Hex("a10126"))), "cose.algorithm");
  EXPECT_EQ(Code(Message(kEmpty, Hex("a10126"))), "cose.algorithm");
  EXPECT_EQ(Code(Message(Hex("a10167756e6b6e6f776e"), kEmpty)), "cose.algorithm") << "by a name";
}

TEST(Cose, CriticalHeadersStopWhoDoesNotKnowThem) {
  EXPECT_EQ(Code(Message(Hex("a2012602811863"), kEmpty)), "cose.critical");
  EXPECT_EQ(Code(Message(Hex("a2012602816178"), kEmpty)), "cose.critical");
  EXPECT_EQ(Code(Message(Hex("a20126028101"), kEmpty)), "") << "alg is known";
  EXPECT_EQ(Code(Message(Hex("a20126028104"), kEmpty)), "cose.malformed") << "names a header that is not there";
  EXPECT_EQ(Code(Message(kEs256, Hex("a1028101"))), "cose.malformed") << "unprotected crit";
}

TEST(Cose, EveryTruncationIsAnError) {
  const Bytes whole = Message(kEs256, kEmpty);
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(ParseCoseSign1(ByteView(whole).first(size)).ok()) << size;
}

TEST(Cose, WorkingGroupsToBeSigned) {
  SKIP_WITHOUT_VECTORS();
  for (const char* name : {"sign-pass-02", "sign-pass-03"}) {
    const Json test = Json::parse(test::VectorText(std::string("cose/cosewg_sign1-tests_") + name + ".json"));
    const auto message = ParseCoseSign1(HexDecode(test["output"]["cbor"].get<std::string>()).value());
    ASSERT_TRUE(message.ok()) << name;
    const std::string external = test["input"]["sign0"].value("external", "");
    EXPECT_EQ(CoseSigStructure(message->protected_header, HexDecode(external).value(), *message->payload),
              HexDecode(test["intermediates"]["ToBeSign_hex"].get<std::string>()).value())
        << name;
    EXPECT_EQ(message->tagged, std::string(name) != "sign-pass-03");
  }
}

}  // namespace
}  // namespace ccgpu::evidence
