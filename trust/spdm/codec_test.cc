// Envelope, records and codec on their own: round trips, and every way of being too short or too long.
#include <gmock/gmock.h>

#include <limits>

#include "trust/spdm/measurements.h"
#include "trust/spdm/opaque.h"
#include "trust/spdm/test_support.h"

namespace ccgpu::spdm {
namespace {

TEST(Doe, RoundTripPadsToWords) {
  for (size_t size = 1; size < 9; ++size) {
    const Bytes object = EncodeDoe({false, Bytes(size, 7)});
    EXPECT_EQ(object.size() % 4, 0u);
    EXPECT_EQ(object.size(), 8 + (size + 3) / 4 * 4);
    Result<Packet> packet = DecodeDoe(object);
    ASSERT_TRUE(packet.ok());
    EXPECT_FALSE(packet->secured);
    EXPECT_TRUE(Equal(ByteView(packet->bytes).first(size), Bytes(size, 7)));
  }
}

TEST(Doe, SecuredRecordsLoseTheirPadding) {
  const Bytes record = {1, 2, 3, 4, 3, 0, 9, 9, 9};
  Result<Packet> packet = DecodeDoe(EncodeDoe({true, record}));
  ASSERT_TRUE(packet.ok());
  EXPECT_TRUE(packet->secured);
  EXPECT_EQ(packet->bytes, record);
}

TEST(Doe, Refusals) {
  const Bytes good = EncodeDoe({true, {1, 2, 3, 4, 3, 0, 9, 9, 9}});
  ASSERT_TRUE(DecodeDoe(good).ok());
  auto changed = [&](size_t at, uint8_t value) {
    Bytes bytes = good;
    bytes[at] = value;
    return bytes;
  };
  EXPECT_EQ(DecodeDoe(changed(0, 2)).error().code, "spdm.doe-type");
  EXPECT_EQ(DecodeDoe(changed(2, 3)).error().code, "spdm.doe-type");
  EXPECT_EQ(DecodeDoe(changed(2, 0)).error().code, "spdm.doe-type");
  EXPECT_EQ(DecodeDoe(changed(4, 4)).error().code, "spdm.doe-malformed");
  EXPECT_EQ(DecodeDoe(changed(4, 6)).error().code, "spdm.doe-malformed");
  EXPECT_EQ(DecodeDoe(changed(4, 0)).error().code, "spdm.doe-malformed") << "0 words means 2^18";
  EXPECT_EQ(DecodeDoe(changed(12, 7)).error().code, "spdm.doe-malformed") << "record longer than the object";
  EXPECT_EQ(DecodeDoe(changed(19, 1)).error().code, "spdm.doe-malformed") << "padding that is not zero";
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(DecodeDoe(ByteView(good).first(size)).ok()) << size;
  EXPECT_FALSE(DecodeDoe(Bytes{1, 0, 1, 0, 2, 0, 0, 0}).ok()) << "no payload";
}

TEST(Doe, LargestObject) {
  const Bytes object = EncodeDoe({false, Bytes((1u << 20) - 8)});
  EXPECT_EQ(object.size(), 1u << 20);
  EXPECT_TRUE(Equal(ByteView(object).subspan(4, 4), Bytes(4))) << "2^18 words are written as 0";
  EXPECT_TRUE(DecodeDoe(object).ok());
}

TEST(Doe, DiscoveryListsThreeProtocols) {
  uint8_t index = 0;
  std::vector<DoeType> offered;
  do {
    Result<Bytes> answer = AnswerDiscovery(EncodeDiscoveryRequest(index));
    ASSERT_TRUE(answer.ok());
    Result<DoeProtocol> protocol = DecodeDiscoveryResponse(*answer);
    ASSERT_TRUE(protocol.ok());
    offered.push_back(protocol->type);
    index = protocol->next;
  } while (index != 0);
  EXPECT_THAT(offered, testing::ElementsAre(DoeType::kDiscovery, DoeType::kSpdm, DoeType::kSecuredSpdm));
  EXPECT_FALSE(DecodeDiscoveryResponse(*AnswerDiscovery(EncodeDiscoveryRequest(3))).ok());
  EXPECT_FALSE(AnswerDiscovery(EncodeDoe({false, {1, 2, 3, 4}})).ok());
}

RecordKey Key(uint8_t seed) { return {Bytes(32, seed), Bytes(12, seed)}; }

TEST(Record, OnlyTheNextOneOpens) {
  RecordCipher sender(Key(1)), receiver(Key(1));
  const Bytes first = *sender.Seal(5, Bytes{1, 2, 3});
  const Bytes second = *sender.Seal(5, Bytes{4});
  EXPECT_EQ(receiver.Open(5, second).error().code, "spdm.record-rejected") << "reordered";
  EXPECT_EQ(receiver.sequence(), 0u);
  EXPECT_EQ(*receiver.Open(5, first), (Bytes{1, 2, 3}));
  EXPECT_EQ(receiver.Open(5, first).error().code, "spdm.record-rejected") << "replayed";
  EXPECT_EQ(receiver.Open(6, second).error().code, "spdm.record-rejected") << "another session's";
  EXPECT_EQ(*receiver.Open(5, second), (Bytes{4}));
  RecordCipher stranger(Key(2));
  EXPECT_FALSE(stranger.Open(5, first).ok());
}

// rule 2: spdm
TEST(Record, EveryChangeIsNoticed) {
  RecordCipher sender(Key(1));
  const Bytes record = *sender.Seal(5, Bytes{1, 2, 3});
  for (size_t bit = 0; bit < record.size() * 8; ++bit) {
    Bytes bad = record;
    bad[bit / 8] ^= 1 << (bit % 8);
    RecordCipher receiver(Key(1));
    EXPECT_FALSE(receiver.Open(5, bad).ok()) << "bit " << bit;
  }
  for (size_t size = 0; size < record.size(); ++size) {
    RecordCipher receiver(Key(1));
    EXPECT_FALSE(receiver.Open(5, ByteView(record).first(size)).ok()) << size;
  }
  RecordCipher padded(Key(1)), long_tail(Key(1));
  EXPECT_TRUE(padded.Open(5, Concat({record, Bytes(3)})).ok());
  EXPECT_FALSE(long_tail.Open(5, Concat({record, Bytes(4)})).ok());
}

TEST(Record, InnerLengthIsChecked) {
  // Sealed by someone with the key, but lying about the message's length.
  Writer header;
  header.U32(5).U16(2 + 1 + 16);
  const Bytes plain = {2, 0, 9};
  const Bytes record = Concat({header.bytes(), crypto::AeadSeal(Key(1).key, Key(1).iv, header.bytes(), plain)});
  RecordCipher receiver(Key(1));
  EXPECT_EQ(receiver.Open(5, record).error().code, "spdm.record-rejected");
}

TEST(Record, RandomPaddingInsideIsSkipped) {
  Writer header;
  header.U32(5).U16(2 + 3 + 16);
  const Bytes plain = {1, 0, 9, 0xAA, 0xBB};
  const Bytes record = Concat({header.bytes(), crypto::AeadSeal(Key(1).key, Key(1).iv, header.bytes(), plain)});
  RecordCipher receiver(Key(1));
  EXPECT_EQ(*receiver.Open(5, record), (Bytes{9}));
}

// rule 16: spdm
TEST(Record, CounterNeverWraps) {
  RecordCipher cipher(Key(1));
  cipher.set_sequence_for_test(std::numeric_limits<uint64_t>::max() - 1);
  ASSERT_TRUE(cipher.Seal(5, Bytes{1}).ok());
  EXPECT_EQ(cipher.Seal(5, Bytes{1}).error().code, "spdm.sequence-exhausted");
  EXPECT_EQ(cipher.Open(5, Bytes(30)).error().code, "spdm.sequence-exhausted");
}

// Each message cut short anywhere, or with bytes behind it, does not decode; with padding it does and is cut.
template <typename Decode>
void ExpectExact(const Bytes& message, Decode decode, bool may_end_early = false) {
  ByteView view = message;
  ASSERT_TRUE(decode(&view)) << "unchanged";
  EXPECT_EQ(view.size(), message.size());
  const Bytes padded = Concat({message, Bytes(3)});
  view = padded;
  EXPECT_TRUE(decode(&view));
  EXPECT_EQ(view.size(), message.size());
  for (const Bytes& tail : {Bytes(4), Bytes{1}, Bytes{0, 0, 1}}) {
    const Bytes longer = Concat({message, tail});
    view = longer;
    EXPECT_FALSE(decode(&view));
    EXPECT_EQ(view.size(), longer.size()) << "a failure leaves the view";
  }
  for (size_t size = 0; size < message.size() && !may_end_early; ++size) {
    view = ByteView(message).first(size);
    EXPECT_FALSE(decode(&view)) << "cut at " << size;
  }
  Bytes other_code = message;
  other_code[1] ^= 0x10;
  view = other_code;
  EXPECT_FALSE(decode(&view));
}

// rule 15: spdm
TEST(Messages, LengthsAreExact) {
  const Bytes b32(32, 1), b48(48, 2), b96(96, 3);
  for (uint8_t version : {kVersion11, kVersion12}) {
    ExpectExact(Encode(VersionMessage{{0x1100, 0x1200}}), [](ByteView* v) { return DecodeVersion(v).ok(); });
    Capabilities capabilities;
    capabilities.version = version;
    capabilities.code = kCapabilities;
    ExpectExact(Encode(capabilities), [](ByteView* v) { return DecodeCapabilities(v, kCapabilities).ok(); });
    Algorithms algorithms;
    algorithms.version = version;
    algorithms.dhe = 1;
    algorithms.key_schedule = 1;
    ExpectExact(Encode(algorithms), [](ByteView* v) { return DecodeAlgorithms(v, false).ok(); });
    algorithms.response = true;
    ExpectExact(Encode(algorithms), [](ByteView* v) { return DecodeAlgorithms(v, true).ok(); });
    ExpectExact(Encode(Digests{version, 3, {b48, b48}}), [](ByteView* v) { return DecodeDigests(v).ok(); });
    ExpectExact(Encode(GetCertificate{version, 0, 1, 2}), [](ByteView* v) { return DecodeGetCertificate(v).ok(); });
    ExpectExact(Encode(CertificatePortion{version, 0, b32, 7}), [](ByteView* v) { return DecodeCertificate(v).ok(); });
    ExpectExact(Encode(GetMeasurements{version, true, false, 0xFF, b32, 0}),
                [](ByteView* v) { return DecodeGetMeasurements(v).ok(); });
    Measurements measurements{version, 0, 0, 0, b48, b32, {1, 2}, {}};
    ExpectExact(Encode(measurements), [](ByteView* v) { return DecodeMeasurements(v, false).ok(); });
    measurements.signature = b96;
    ExpectExact(Encode(measurements), [](ByteView* v) { return DecodeMeasurements(v, true).ok(); });
    ExpectExact(Encode(KeyExchange{version, 0, 0, 1, 0, b32, b96, {1, 2, 3}}),
                [](ByteView* v) { return DecodeKeyExchange(v).ok(); });
    KeyExchangeRsp response{version, 4, 1, 0, 0, b32, b96, {}, {1}, b96, b48};
    ExpectExact(Encode(response), [](ByteView* v) { return DecodeKeyExchangeRsp(v, false).ok(); });
    response.summary_hash = b48;
    ExpectExact(Encode(response), [](ByteView* v) { return DecodeKeyExchangeRsp(v, true).ok(); });
    ExpectExact(Encode(Finish{version, false, 0, {}, b48}), [](ByteView* v) { return DecodeFinish(v, false).ok(); });
    VendorDefined vendor;
    vendor.version = version;
    vendor.payload = {5, 6};
    ExpectExact(Encode(vendor), [](ByteView* v) { return DecodeVendorDefined(v, false).ok(); });
    ExpectExact(EncodeHeader({version, kHeartbeat, 0, 0}),
                [](ByteView* v) { return DecodeHeaderOnly(v, kHeartbeat, "").ok(); });
    ExpectExact(Encode(ErrorMessage{version, kInvalidRequest, 0, {}}), [](ByteView* v) { return DecodeError(v).ok(); });
  }
}

TEST(Records, RefuseWhatDoesNotFit) {
  const std::vector<MeasurementBlock> blocks = {{1, 0, Bytes(48, 1)}, {7, 0x85, {1, 2}}, {0xFE, 4, {}}};
  const Bytes record = EncodeRecord(blocks);
  Result<std::vector<MeasurementBlock>> back = DecodeRecord(record, 3);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ((*back)[1].type, 0x85);
  EXPECT_EQ((*back)[1].value, (Bytes{1, 2}));
  EXPECT_FALSE(DecodeRecord(record, 2).ok());
  EXPECT_FALSE(DecodeRecord(record, 4).ok());
  EXPECT_TRUE(DecodeRecord({}, 0).ok());
  for (size_t size = 0; size < record.size(); ++size) EXPECT_FALSE(DecodeRecord(ByteView(record).first(size), 3).ok());
  for (const auto& [at, value] :
       std::vector<std::pair<size_t, uint8_t>>{{0, 0}, {0, 8}, {1, 2}, {2, 0x34}, {5, 0x2F}}) {
    Bytes bad = record;
    bad[at] = value;
    EXPECT_FALSE(DecodeRecord(bad, 3).ok()) << at;
  }
  EXPECT_FALSE(DecodeRecord(EncodeRecord({{2, 0, {1}}, {2, 0, {1}}}), 2).ok()) << "an index twice";
  EXPECT_FALSE(DecodeRecord(EncodeRecord({{0xFF, 0, {1}}}), 1).ok());
  EXPECT_NE(SummaryHash(blocks, kSummaryAll), SummaryHash(blocks, kSummaryTcb));
  EXPECT_EQ(SummaryHash(blocks, kSummaryTcb), crypto::Sha384(EncodeRecord({blocks[0]})));
}

TEST(Opaque, SkipsForeignElementsRefusesDoubleOnes) {
  const Bytes foreign = {1, 0, 0, 0, /*registry 3, vendor id of 2*/ 3, 2, 0xDE, 0x10, 1, 0, 0xAA, 0};
  EXPECT_FALSE(DecodeSupportedVersions(kVersion12, foreign).ok());
  const Bytes ours = EncodeSupportedVersions(kVersion12);
  Bytes both = foreign;
  both[0] = 2;
  both.insert(both.end(), ours.begin() + 4, ours.end());
  EXPECT_TRUE(DecodeSupportedVersions(kVersion12, both).ok());
  Bytes twice = ours;
  twice[0] = 2;
  twice.insert(twice.end(), ours.begin() + 4, ours.end());
  EXPECT_FALSE(DecodeSupportedVersions(kVersion12, twice).ok());
  EXPECT_EQ(DecodeSelectedVersion(kVersion12, EncodeSelectedVersion(kVersion12, 0x1300)).error().code, "spdm.version");
  for (uint8_t version : {kVersion11, kVersion12}) {
    const Bytes opaque = EncodeSupportedVersions(version);
    for (size_t size = 0; size + 3 < opaque.size(); ++size) {
      EXPECT_FALSE(DecodeSupportedVersions(version, ByteView(opaque).first(size)).ok()) << size;
    }
  }
}

TEST(KeySchedule, LabelsAreAsSpecified) {
  EXPECT_EQ(BinConcat(kVersion11, "finished", {}, 48), Concat({Bytes{0x30, 0}, AsBytes("spdm1.1 finished")}));
  EXPECT_EQ(BinConcat(kVersion12, "key", Bytes{9}, 32), Concat({Bytes{0x20, 0}, AsBytes("spdm1.2 key"), Bytes{9}}));
}

}  // namespace
}  // namespace ccgpu::spdm
