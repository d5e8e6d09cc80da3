#include "gpu-emulator/link/cipher.h"

#include <gtest/gtest.h>

#include <set>

#include "base/crypto/aead.h"
#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "gpu-emulator/link/rpc.h"

namespace ccgpu::link {
namespace {

CipherKey TestKey() {
  CipherKey key;
  for (size_t i = 0; i < 32; ++i) key.key[i] = static_cast<uint8_t>(i);
  for (size_t i = 0; i < 12; ++i) key.iv_mask[i] = static_cast<uint8_t>(0xa0 + i);
  key.channel_counter = 0x1122334455667788;
  key.label = KeyLabel(3, false);
  return key;
}

RecordHeader Header(size_t length, RecordKind kind) {
  RecordHeader header{};
  header.length = static_cast<uint32_t>(length);
  header.kind = static_cast<uint32_t>(kind);
  return header;
}

TEST(Keys, FollowTheDriversDerivation) {
  EXPECT_EQ(KeyLabel(3, false), "Lce03_h2d_user");
  EXPECT_EQ(KeyLabel(31, true), "Lce31_d2h_user");
  const Bytes emk(32, 0x42);
  // HKDF-Expand with one block, written out: T(1) = HMAC(EMK, label || 0x01).
  const std::string info = std::string("Lce03_h2d_user") + '\x01';
  const Bytes expected = crypto::Hmac(crypto::Hash::kSha256, emk, AsBytes(info));
  EXPECT_TRUE(Equal(DeriveKey(emk, "Lce03_h2d_user"), expected));
  // Rotation: key' = HKDF-Expand(SHA256(key), label).
  const auto key = DeriveKey(emk, "Lce03_h2d_user");
  const Bytes next = crypto::Hmac(crypto::Hash::kSha256, crypto::Sha256(key), AsBytes(info));
  EXPECT_TRUE(Equal(RotateKey(key, "Lce03_h2d_user"), next));
  ChannelOffer offer;
  offer.channel = 3;
  offer.generation = 1;
  EXPECT_TRUE(Equal(KeyOf(offer, false, emk).key, next));
}

// The same record made with nothing but AES-256-GCM: IV = LE32 counter || LE64 channel counter, XOR mask; AAD = length,
// kind, counter.
TEST(RecordCipher, SealsAsTheFormatSays) {
  RecordCipher cipher(Protection::kSealed, TestKey());
  Bytes plain(50000, 7), sealed(plain.size());
  RecordHeader header = Header(plain.size(), RecordKind::kData);
  cipher.Seal(header, plain.data(), sealed.data());
  header = Header(plain.size(), RecordKind::kData);
  cipher.Seal(header, plain.data(), sealed.data());
  EXPECT_EQ(header.counter, 2u);
  Bytes nonce = HexDecode("020000008877665544332211").value();
  for (size_t i = 0; i < 12; ++i) nonce[i] ^= TestKey().iv_mask[i];
  Writer aad;
  aad.U32(plain.size()).U32(3).U64(2);
  const Bytes expected = crypto::AeadSeal(TestKey().key, nonce, aad.bytes(), plain);
  EXPECT_TRUE(Equal(sealed, ByteView(expected).first(plain.size())));
  EXPECT_TRUE(Equal(ByteView(header.tag, 16), ByteView(expected).last(16)));
}

class RoundTrip : public testing::TestWithParam<std::tuple<Protection, size_t>> {};
INSTANTIATE_TEST_SUITE_P(All, RoundTrip,
                         testing::Combine(testing::Values(Protection::kClear, Protection::kDataCtr,
                                                          Protection::kSealed),
                                          testing::Values(0, 1, 15, 16, 17, 16384, 16385, kSlotPayload)));

TEST_P(RoundTrip, GivesBackWhatWentIn) {
  const auto [protection, size] = GetParam();
  RecordCipher out(protection, TestKey()), in(protection, TestKey());
  for (const RecordKind kind : {RecordKind::kCommand, RecordKind::kData, RecordKind::kCode}) {
    Bytes plain(size), wire(size + 1), back(size + 1);
    for (size_t i = 0; i < size; ++i) plain[i] = static_cast<uint8_t>(i * 31);
    RecordHeader header = Header(size, kind);
    out.Seal(header, plain.data(), wire.data());
    ASSERT_TRUE(in.Open(header, wire.data(), back.data()).ok());
    back.pop_back();
    EXPECT_EQ(back, plain);
    if (size < 16) continue;
    const bool clear =
        protection == Protection::kClear || (protection == Protection::kDataCtr && kind != RecordKind::kData);
    EXPECT_EQ(Equal(ByteView(wire).first(size), plain), clear);
  }
}

TEST(RecordCipher, EveryBitOfARecordCounts) {
  const Bytes plain(40, 9);
  for (size_t bit = 0; bit < (kRecordAad + 16 + 40) * 8; ++bit) {
    RecordCipher out(Protection::kSealed, TestKey()), in(Protection::kSealed, TestKey());
    Bytes record(sizeof(RecordHeader) + 40), back(40, 1);
    auto& header = *reinterpret_cast<RecordHeader*>(record.data());
    header = Header(40, RecordKind::kCommand);
    out.Seal(header, plain.data(), record.data() + sizeof header);
    record[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    if (header.length > 40) header.length = 40;  // the ring's bounds check comes before; here only the tag may speak
    const bool same = bit < 32 && header.length == 40;
    Bytes room(40, 1);
    const Status opened = in.Open(header, record.data() + sizeof header, room.data());
    if (same) continue;
    ASSERT_FALSE(opened.ok()) << "bit " << bit;
    for (size_t i = 0; i < header.length; ++i) ASSERT_EQ(room[i], 0) << "bit " << bit;
  }
}

TEST(RecordCipher, RotatesItsKeyAndNeverAnIv) {
  RecordCipher out(Protection::kSealed, TestKey()), in(Protection::kSealed, TestKey());
  Bytes wire(1), back(1), first, after;
  for (uint64_t i = 0; i <= kRotateAfter + 1; ++i) {
    RecordHeader header = Header(1, RecordKind::kCommand);
    const uint8_t plain = 5;
    out.Seal(header, &plain, wire.data());
    ASSERT_TRUE(in.Open(header, wire.data(), back.data()).ok()) << i;
    if (i == 0) first.assign(header.tag, header.tag + 16);
    if (i == kRotateAfter) after.assign(header.tag, header.tag + 16);
  }
  EXPECT_NE(first, after);  // the same message counter in the IV, another key
}

TEST(RecordCipher, RefusesReplayAndOrder) {
  RecordCipher out(Protection::kSealed, TestKey());
  uint8_t plain = 1, wire[2], back = 0;
  RecordHeader one = Header(1, RecordKind::kCommand), two = one;
  out.Seal(one, &plain, &wire[0]);
  out.Seal(two, &plain, &wire[1]);
  {
    RecordCipher in(Protection::kSealed, TestKey());
    EXPECT_EQ(in.Open(two, &wire[1], &back).error().code, "link.replayed");
  }
  RecordCipher in(Protection::kSealed, TestKey());
  EXPECT_TRUE(in.Open(one, &wire[0], &back).ok());
  EXPECT_EQ(in.Open(one, &wire[0], &back).error().code, "link.replayed");
}

}  // namespace
}  // namespace ccgpu::link
