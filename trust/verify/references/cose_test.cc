// Whose COSE_Sign1 messages count, with the COSE working group's cases.
#include "trust/verify/references/cose.h"

#include <gmock/gmock.h>

#include "base/crypto/rsa.h"
#include "trust/evidence/test_mutation.h"
#include "trust/evidence/test_vectors.h"
#include "trust/verify/testing/tokens.h"

namespace ccgpu::verify {
namespace {

using crypto::KeyType;
using crypto::PrivateKey;

struct CoseWorld {
  PrivateKey key = PrivateKey::Generate(KeyType::kP384);
  evidence::CoseSpec spec;
  CoseRules rules;
  Bytes payload = {1, 2, 3};

  CoseWorld() { rules.keys = {PinnedCoseKey(key.public_key()).value()}; }
  std::string Judge(const Bytes& message) const {
    return Outcome(VerifyCose(evidence::Unverified(message), rules, kTestNow));
  }
  std::string Run() const { return Judge(evidence::SignCoseSign1(spec, payload, key)); }
};

// A message with any protected header and a signature of `sign` over it.
Bytes Message(const Bytes& header, const Bytes& unprotected, const Bytes& payload,
              const std::function<Bytes(ByteView)>& sign, uint64_t tag = 18) {
  return evidence::cbor::Writer()
      .Tag(tag)
      .Array(4)
      .ByteString(header)
      .Raw(unprotected)
      .ByteString(payload)
      .ByteString(sign(evidence::CoseSigStructure(header, {}, payload)))
      .Finish();
}
Bytes Hex(const char* hex) { return HexDecode(hex).value(); }

TEST(CoseVerify, HealthyMessagesOfEachCurve) {
  for (KeyType type : {KeyType::kP256, KeyType::kP384, KeyType::kP521}) {
    CoseWorld w;
    w.key = PrivateKey::Generate(type);
    w.rules.keys = {PinnedCoseKey(w.key.public_key()).value()};
    EXPECT_EQ(w.Run(), "accepted");
    w.spec.detached = true;
    EXPECT_EQ(w.Run(), "cose.payload");
    w.rules.detached_payload = w.payload;
    EXPECT_EQ(w.Run(), "accepted");
    w.rules.detached_payload->push_back(0);
    EXPECT_EQ(w.Run(), "cose.signature-invalid");
    w.spec.detached = false;
    EXPECT_EQ(w.Run(), "cose.payload") << "which of the two would count?";
  }
  const PrivateKey rsa = PrivateKey::Generate(KeyType::kRsa2048);
  CoseWorld w;
  w.rules.keys = {PinnedCoseKey(rsa.public_key()).value()};
  EXPECT_EQ(w.Judge(Message(Hex("a1013824"), Hex("a0"), w.payload,
                            [&](ByteView data) { return rsa.SignPss(crypto::Hash::kSha256, data); })),
            "accepted");
}

TEST(CoseVerify, WorkingGroupsCases) {
  SKIP_WITHOUT_VECTORS();
  const auto judge = [](const std::string& name, const std::function<void(CoseRules&)>& edit = nullptr) {
    const Json test = Json::parse(test::VectorText("cose/cosewg_sign1-tests_" + name + ".json"));
    const Json& jwk = test["input"]["sign0"]["key"];
    Json open = jwk;
    open.erase("d");
    open.erase("kid");
    const auto key = evidence::ParseJwks(Json{{"keys", {open}}}.dump());
    CoseRules rules;
    rules.keys = {PinnedCoseKey(key->at(0).key, ToBytes(AsBytes(jwk["kid"].get<std::string>()))).value()};
    rules.external_aad = HexDecode(test["input"]["sign0"].value("external", "")).value();
    if (edit) edit(rules);
    const Bytes message = HexDecode(test["output"]["cbor"].get<std::string>()).value();
    return Outcome(VerifyCose(evidence::Unverified(message), rules, kTestNow));
  };
  // Its algorithm stands in the unprotected header, where anybody may change it: refused here on purpose.
  EXPECT_EQ(judge("sign-pass-01"), "cose.algorithm");
  EXPECT_EQ(judge("sign-pass-02"), "accepted");
  EXPECT_EQ(judge("sign-pass-02", [](CoseRules& r) { r.external_aad.clear(); }), "cose.signature-invalid");
  EXPECT_EQ(judge("sign-pass-03"), "cose.untagged");
  EXPECT_EQ(judge("sign-pass-03", [](CoseRules& r) { r.allow_untagged = true; }), "accepted");
  EXPECT_EQ(judge("sign-fail-01"), "cose.malformed") << "another tag";
  EXPECT_EQ(judge("sign-fail-02"), "cose.signature-invalid");
  EXPECT_EQ(judge("sign-fail-03"), "cose.algorithm");
  EXPECT_EQ(judge("sign-fail-04"), "cose.algorithm");
  EXPECT_EQ(judge("sign-fail-06"), "cose.signature-invalid");
  EXPECT_EQ(judge("sign-fail-07"), "cose.signature-invalid");
}

// rule 3: cose
TEST(CoseVerify, TheMessageDoesNotChooseItsAlgorithm) {
  const CoseWorld w;
  const auto sign = [&](ByteView data) { return w.key.SignRaw(crypto::Hash::kSha384, data); };
  EXPECT_EQ(w.Judge(Message(Hex("a1013822"), Hex("a0"), w.payload, sign)), "accepted");
  EXPECT_EQ(w.Judge(Message(Hex("a10126"), Hex("a0"), w.payload, sign)), "cose.algorithm") << "ES256";
  EXPECT_EQ(w.Judge(Message(Hex("a10105"), Hex("a0"), w.payload, sign)), "cose.algorithm") << "HMAC 256/256";
  EXPECT_EQ(w.Judge(Message(Hex("a0"), Hex("a1013822"), w.payload, sign)), "cose.algorithm") << "unprotected";
  EXPECT_EQ(w.Judge(Message({}, Hex("a1013822"), w.payload, sign)), "cose.algorithm");
  EXPECT_EQ(w.Judge(Message(Hex("a1013822"), Hex("a10126"), w.payload, sign)), "cose.malformed") << "in both";
  CoseWorld other;
  other.rules.keys[0].algorithm = evidence::cose_alg::kEs256;  // pinned for something else
  EXPECT_EQ(other.Run(), "cose.algorithm");
}

// rule 4: cose
TEST(CoseVerify, OnlyPinnedKeysCount) {
  CoseWorld w;
  EXPECT_EQ(w.Judge(evidence::SignCoseSign1({}, w.payload, PrivateKey::Generate(KeyType::kP384))),
            "cose.signature-invalid");
  w.rules.keys[0].key_id = {1};
  w.spec.key_id = {2};
  EXPECT_EQ(w.Run(), "cose.unknown-key");
  w.spec.key_id = {1};
  EXPECT_EQ(w.Run(), "accepted");
  w.rules.keys.clear();
  EXPECT_EQ(w.Run(), "cose.unknown-key");
  // With certificates: they must end in a pinned root.
  const PrivateKey root_key = PrivateKey::Generate(KeyType::kP384);
  crypto::CertificateSpec root;
  root.subject = {{"CN", "signing root"}};
  root.key = root_key.public_key();
  root.not_before = kTestNow - std::chrono::hours(1);
  root.not_after = kTestNow + std::chrono::hours(1);
  root.ca = root.key_cert_sign = true;
  const auto root_certificate = crypto::MakeCertificate(root, root_key, nullptr).value();
  crypto::CertificateSpec leaf = root;
  leaf.subject = {{"CN", "signer"}};
  leaf.key = w.key.public_key();
  leaf.ca = leaf.key_cert_sign = false;
  leaf.digital_signature = true;
  w.spec.x5chain = {crypto::MakeCertificate(leaf, root_key, &root_certificate)->Der()};
  EXPECT_EQ(w.Run(), "cose.unknown-key");
  w.rules.x5chain_roots = {root_certificate};
  EXPECT_EQ(w.Run(), "accepted");
  w.spec.x5chain.push_back(root_certificate.Der());
  EXPECT_EQ(w.Run(), "accepted");
  leaf.not_after = kTestNow - std::chrono::minutes(1);
  w.spec.x5chain = {crypto::MakeCertificate(leaf, root_key, &root_certificate)->Der()};
  EXPECT_EQ(w.Run(), "token.chain-expired");
  leaf.not_after = root.not_after;
  w.spec.x5chain = {crypto::MakeCertificate(leaf, w.key, nullptr)->Der()};
  EXPECT_EQ(w.Run(), "token.untrusted-root") << "signed by itself";
}

// rule 5: cose
// advisory: CVE-2022-21449
TEST(CoseVerify, SignaturesOfZero) {
  const CoseWorld w;
  const Bytes order =
      Hex("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973");
  for (const Bytes& half : {Bytes(48), order}) {
    const Bytes signature = Concat({half, half});
    EXPECT_EQ(w.Judge(Message(Hex("a1013822"), Hex("a0"), w.payload, [&](ByteView) { return signature; })),
              "cose.signature-invalid");
  }
  EXPECT_EQ(w.Judge(Message(Hex("a1013822"), Hex("a0"), w.payload, [&](ByteView) { return Bytes(); })),
            "cose.signature-invalid");
  EXPECT_EQ(w.Judge(Message(Hex("a1013822"), Hex("a0"), w.payload,
                            [&](ByteView data) { return w.key.SignDer(crypto::Hash::kSha384, data); })),
            "cose.signature-invalid");
}

// rule 2: cose
TEST(CoseVerify, EveryBitCounts) {
  CoseWorld w;
  w.spec.content_type = "x";
  const Bytes message = evidence::SignCoseSign1(w.spec, w.payload, w.key);
  const auto judge = [&](const Bytes& changed) { return w.Judge(changed) == "accepted"; };
  EXPECT_TRUE(test::EveryFlipIsRefused("COSE_Sign1", message, judge));
  EXPECT_TRUE(test::EveryCutIsRefused("COSE_Sign1", message, judge));
  Bytes longer = message;
  longer.push_back(0);
  EXPECT_EQ(w.Judge(longer), "cbor.malformed");
}

TEST(CoseVerify, ContentTypeAndCriticalHeaders) {
  CoseWorld w;
  w.rules.content_type = "application/rim+cbor";
  EXPECT_EQ(w.Run(), "cose.content-type");
  w.spec.content_type = "application/rim+cbor";
  EXPECT_EQ(w.Run(), "accepted");
  w.rules.content_type.clear();
  const auto sign = [&](ByteView data) { return w.key.SignRaw(crypto::Hash::kSha384, data); };
  EXPECT_EQ(w.Judge(Message(Hex("a201382202811863"), Hex("a0"), w.payload, sign)), "cose.critical");
}

}  // namespace
}  // namespace ccgpu::verify
