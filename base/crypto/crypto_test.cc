// Known answers and forgeries for base/crypto.
#include <gtest/gtest.h>

#include "base/crypto/aead.h"
#include "base/crypto/digest.h"
#include "base/crypto/key.h"
#include "base/crypto/x509.h"
#include "base/encoding.h"

namespace ccgpu::crypto {
namespace {

Bytes Hex(std::string_view text) { return *HexDecode(text); }

TEST(Digest, KnownAnswers) {
  EXPECT_EQ(HexEncode(Sha256(AsBytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(HexEncode(Sha384(AsBytes("abc"))).substr(0, 32), "cb00753f45a35e8bb5a03d699ac65007");
  EXPECT_EQ(Hasher(Hash::kSha384).Update(AsBytes("a")).Update(AsBytes("bc")).Finish(), Sha384(AsBytes("abc")));
}

// RFC 5869, test case 1.
TEST(Hkdf, Rfc5869) {
  const Bytes prk = HkdfExtract(Hash::kSha256, Hex("000102030405060708090a0b0c"), Bytes(22, 0x0b));
  EXPECT_EQ(HexEncode(prk), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
  EXPECT_EQ(HexEncode(HkdfExpand(Hash::kSha256, prk, Hex("f0f1f2f3f4f5f6f7f8f9"), 42)),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

// NIST GCM, AES-256, test case 14: zero key, zero nonce, one zero block.
TEST(Aead, KnownAnswerAndEveryForgery) {
  const Bytes key(32), nonce(12), plain(16);
  Bytes sealed = AeadSeal(key, nonce, {}, plain);
  EXPECT_EQ(HexEncode(sealed), "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
  ASSERT_TRUE(AeadOpen(key, nonce, {}, sealed).ok());
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    Bytes flipped = sealed;
    flipped[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    EXPECT_EQ(AeadOpen(key, nonce, {}, flipped).error().code, "crypto.bad-tag");
  }
  EXPECT_FALSE(AeadOpen(key, nonce, AsBytes("other"), sealed).ok());
  EXPECT_FALSE(AeadOpen(key, Bytes(12, 1), {}, sealed).ok());
  EXPECT_EQ(AeadOpen(key, nonce, {}, Bytes(15)).error().code, "crypto.truncated");
}

TEST(Aead, FailedOpenLeavesNoPlaintext) {
  Aead aead(Bytes(32, 7));
  Bytes out(16), tag(16);
  aead.Seal(Bytes(12), {}, AsBytes("0123456789abcdef"), out.data(), tag.data());
  tag[0] ^= 1;
  Bytes opened(16, 0xee);
  EXPECT_FALSE(aead.Open(Bytes(12), {}, out, tag, opened.data()));
  EXPECT_EQ(opened, Bytes(16));
}

TEST(Ecdsa, SignaturesVerifyAndForgeriesDoNot) {
  const PrivateKey key = PrivateKey::Generate(KeyType::kP384);
  const PublicKey pub = key.public_key();
  const Bytes data = ToBytes(AsBytes("evidence"));
  const Bytes raw = key.SignRaw(Hash::kSha384, data);
  ASSERT_EQ(raw.size(), 96u);
  EXPECT_TRUE(pub.VerifyRaw(Hash::kSha384, data, raw));
  EXPECT_FALSE(pub.VerifyRaw(Hash::kSha384, AsBytes("evidencf"), raw));
  EXPECT_FALSE(pub.VerifyRaw(Hash::kSha256, data, raw));
  EXPECT_FALSE(pub.VerifyRaw(Hash::kSha384, data, Bytes(96)));  // r = s = 0 (CVE-2022-21449)
  EXPECT_FALSE(pub.VerifyRaw(Hash::kSha384, data, ByteView(raw).first(95)));
  EXPECT_FALSE(PrivateKey::Generate(KeyType::kP384).public_key().VerifyRaw(Hash::kSha384, data, raw));
  EXPECT_EQ(*EcdsaDerToRaw(*EcdsaRawToDer(raw), 48), raw);
}

TEST(Key, PointsRoundTripAndOffCurveIsRefused) {
  const PublicKey pub = PrivateKey::Generate(KeyType::kP384).public_key();
  Bytes point = pub.Point();
  ASSERT_EQ(point.size(), 96u);
  EXPECT_TRUE(*PublicKey::FromPoint(KeyType::kP384, point) == pub);
  point[95] ^= 1;
  EXPECT_FALSE(PublicKey::FromPoint(KeyType::kP384, point).ok());
  EXPECT_FALSE(PublicKey::FromPoint(KeyType::kP384, Bytes(96)).ok());
  EXPECT_EQ(PublicKey::FromDer(pub.Der())->type(), KeyType::kP384);
  Bytes tail = pub.Der();
  tail.push_back(0);
  EXPECT_FALSE(PublicKey::FromDer(tail).ok());
}

TEST(Key, PublicKeyNeverHoldsThePrivateHalf) {
  const PrivateKey key = PrivateKey::Generate(KeyType::kP256);
  EXPECT_TRUE(PrivateKey::FromPem(key.Pem()).ok());
  EXPECT_FALSE(PrivateKey::FromPem(key.public_key().Pem()).ok());
  EXPECT_EQ(PrivateKey(std::shared_ptr<evp_pkey_st>()).valid(), false);
}

TEST(Key, ScalarOneIsTheBasePoint) {
  auto key = PrivateKey::FromScalar(KeyType::kP256, Bytes{1});
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(HexEncode(key->public_key().Point()).substr(0, 64),
            "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296");
}

TEST(Key, ScalarsOutsideTheGroupAreNone) {
  Bytes order = Hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");  // of P-256
  EXPECT_FALSE(PrivateKey::FromScalar(KeyType::kP256, order).ok());
  EXPECT_FALSE(PrivateKey::FromScalar(KeyType::kP256, Bytes(32)).ok());
  EXPECT_FALSE(PrivateKey::FromScalar(KeyType::kP256, Bytes(32, 0xFF)).ok());
  --order.back();
  EXPECT_TRUE(PrivateKey::FromScalar(KeyType::kP256, order).ok());
}

TEST(Key, PointsOffTheCurveAreNone) {
  for (const KeyType type : {KeyType::kP256, KeyType::kP384, KeyType::kP521}) {
    const Bytes good = PrivateKey::Generate(type).public_key().Point();
    EXPECT_TRUE(PublicKey::FromPoint(type, good).ok());
    for (const size_t byte : {size_t{0}, good.size() / 2 - 1, good.size() / 2, good.size() - 1}) {
      Bytes bad = good;
      bad[byte] ^= 1;
      EXPECT_FALSE(PublicKey::FromPoint(type, bad).ok()) << byte;
    }
    EXPECT_FALSE(PublicKey::FromPoint(type, Bytes(good.size())).ok());
    EXPECT_FALSE(PublicKey::FromPoint(type, Bytes(good.size(), 0xFF)).ok());
  }
}

TEST(Key, AgreementIsTheSameOnBothSides) {
  const PrivateKey a = PrivateKey::Generate(KeyType::kP384), b = PrivateKey::Generate(KeyType::kP384);
  EXPECT_EQ(*a.Agree(b.public_key()), *b.Agree(a.public_key()));
  EXPECT_EQ(a.Agree(b.public_key())->size(), 48u);
  EXPECT_FALSE(a.Agree(PrivateKey::Generate(KeyType::kP256).public_key()).ok());
}

CertificateSpec Spec(const PrivateKey& key, const char* name) {
  CertificateSpec spec;
  spec.subject = {{"O", "test"}, {"CN", name}};
  spec.key = key.public_key();
  spec.not_before = *ParseTime("2024-01-01");
  spec.not_after = *ParseTime("9999-12-31T23:59:59Z");
  return spec;
}

TEST(X509, ChainLinkAndFields) {
  const PrivateKey root_key = PrivateKey::Generate(KeyType::kP384), leaf_key = PrivateKey::Generate(KeyType::kP384);
  CertificateSpec root_spec = Spec(root_key, "root");
  root_spec.ca = root_spec.key_cert_sign = true;
  root_spec.path_length = 1;
  auto root = MakeCertificate(root_spec, root_key, nullptr);
  ASSERT_TRUE(root.ok()) << root.error().ToString();
  CertificateSpec leaf_spec = Spec(leaf_key, "leaf");
  leaf_spec.digital_signature = true;
  leaf_spec.serial = Hex("4142");
  leaf_spec.extensions = {{"2.23.133.5.4.1", Hex("0401aa"), false}};
  auto leaf = MakeCertificate(leaf_spec, root_key, &*root);
  ASSERT_TRUE(leaf.ok());
  EXPECT_TRUE(leaf->IsSignedBy(*root));
  EXPECT_FALSE(root->IsSignedBy(*leaf));
  EXPECT_TRUE(root->IsSignedBy(*root));
  EXPECT_TRUE(root->IsCa() && root->MayKeyCertSign());
  EXPECT_EQ(root->PathLength(), 1);
  EXPECT_FALSE(leaf->IsCa());
  EXPECT_TRUE(leaf->MayDigitalSign());
  EXPECT_EQ(leaf->SubjectCommonName(), "leaf");
  EXPECT_EQ(HexEncode(leaf->SerialNumber()), "4142");
  EXPECT_EQ(leaf->Extension("2.23.133.5.4.1"), Hex("0401aa"));
  EXPECT_FALSE(leaf->Extension("1.2.3.4").has_value());
  EXPECT_EQ(FormatTime(leaf->NotAfter()), "9999-12-31T23:59:59Z");
  // Same name, other key: the name alone is not a link.
  const PrivateKey other = PrivateKey::Generate(KeyType::kP384);
  CertificateSpec impostor_spec = root_spec;
  impostor_spec.key = other.public_key();
  EXPECT_FALSE(leaf->IsSignedBy(*MakeCertificate(impostor_spec, other, nullptr)));
}

TEST(X509, PemListsToleratesGluedBlocksAndRefusesBrokenOnes) {
  const PrivateKey key = PrivateKey::Generate(KeyType::kP256);
  const std::string pem = MakeCertificate(Spec(key, "a"), key, nullptr)->Pem();
  std::string glued = pem + pem;
  glued.erase(pem.size() - 1, 1);  // "-----END CERTIFICATE----------BEGIN CERTIFICATE-----"
  EXPECT_EQ(Certificate::ListFromPem(glued)->size(), 2u);
  EXPECT_FALSE(Certificate::ListFromPem("").ok());
  EXPECT_FALSE(Certificate::ListFromPem(pem.substr(0, pem.size() - 10)).ok());
  std::string broken = pem;
  broken[60] = '!';
  EXPECT_FALSE(Certificate::ListFromPem(broken).ok());
  EXPECT_FALSE(Certificate::ListFromPem(pem + pem + pem, 2).ok());
  const auto block = [](const Bytes& der) {
    return "-----BEGIN CERTIFICATE-----\n" + Base64Encode(der) + "\n-----END CERTIFICATE-----\n";
  };
  Bytes der = Certificate::ListFromPem(pem)->at(0).Der();
  EXPECT_TRUE(Certificate::ListFromPem(block(der)).ok());
  der.push_back(0);
  EXPECT_FALSE(Certificate::ListFromPem(block(der)).ok()) << "bytes behind the certificate, inside of the block";
}

}  // namespace
}  // namespace ccgpu::crypto
