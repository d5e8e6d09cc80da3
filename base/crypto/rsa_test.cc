#include "base/crypto/rsa.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace ccgpu::crypto {
namespace {

const ByteView kData = AsBytes("signed");

TEST(Rsa, SignsVerifiesAndTellsPaddingsApart) {
  const PrivateKey key = PrivateKey::Generate(KeyType::kRsa2048), other = PrivateKey::Generate(KeyType::kRsa2048);
  const Bytes signature = SignRsaPkcs1(key, Hash::kSha256, kData);
  EXPECT_TRUE(VerifyRsaPkcs1(key.public_key(), Hash::kSha256, kData, signature));
  EXPECT_FALSE(VerifyRsaPkcs1(other.public_key(), Hash::kSha256, kData, signature));
  EXPECT_FALSE(VerifyRsaPkcs1(key.public_key(), Hash::kSha384, kData, signature));
  EXPECT_FALSE(VerifyRsaPkcs1(key.public_key(), Hash::kSha256, AsBytes("signeD"), signature));
  EXPECT_FALSE(VerifyRsaPkcs1(key.public_key(), Hash::kSha256, kData, key.SignPss(Hash::kSha256, kData)));
  EXPECT_FALSE(key.public_key().VerifyPss(Hash::kSha256, kData, signature));
  EXPECT_FALSE(VerifyRsaPkcs1(PublicKey(), Hash::kSha256, kData, signature));
  const PrivateKey ec = PrivateKey::Generate(KeyType::kP256);
  EXPECT_FALSE(VerifyRsaPkcs1(ec.public_key(), Hash::kSha256, kData, ec.SignDer(Hash::kSha256, kData)));
}

TEST(Rsa, NumbersThereAndBack) {
  const PublicKey key = PrivateKey::Generate(KeyType::kRsa2048).public_key();
  const auto [n, e] = RsaNumbers(key);
  EXPECT_EQ(n.size(), 256u);
  EXPECT_EQ(HexEncode(e), "010001");
  const auto back = RsaFromNumbers(n, e);
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(*back == key);
  EXPECT_FALSE(RsaFromNumbers(n, Bytes{1}).ok());
  EXPECT_FALSE(RsaFromNumbers(n, Bytes{2}).ok());
  EXPECT_FALSE(RsaFromNumbers(n, Bytes(9, 1)).ok());
  EXPECT_FALSE(RsaFromNumbers(ByteView(n).first(128), e).ok());
  EXPECT_FALSE(RsaFromNumbers(Bytes(600, 0xff), e).ok());
  EXPECT_TRUE(RsaNumbers(PrivateKey::Generate(KeyType::kP256).public_key()).first.empty());
}

}  // namespace
}  // namespace ccgpu::crypto
