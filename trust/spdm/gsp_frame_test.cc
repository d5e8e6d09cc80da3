// NVIDIA's envelope: exact sizes, and whole sessions through it.
#include "trust/spdm/gsp_frame.h"

#include <gmock/gmock.h>

#include "trust/spdm/test_support.h"

namespace ccgpu::spdm {
namespace {

TEST(GspFrame, KnownBytes) {
  const Bytes frame = *EncodeGspFrame({false, {0x10, 0x84, 0, 0}});
  EXPECT_EQ(frame, (Bytes{0, 0, 0, 0, 4, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0x84, 0, 0}));
  EXPECT_EQ((*EncodeGspFrame({true, {1}}))[0], 1);
}

TEST(GspFrame, RoundTripUpToTheBuffer) {
  for (size_t size : {1, 2, 3, 4, 5, 0x11F3, 0x11F4}) {
    const Bytes payload(size, 7);
    const Bytes frame = *EncodeGspFrame({true, payload});
    EXPECT_TRUE(IsGspFrame(frame));
    const Result<Packet> packet = DecodeGspFrame(frame);
    ASSERT_TRUE(packet.ok());
    EXPECT_TRUE(packet->secured);
    EXPECT_EQ(packet->bytes, payload);
  }
  EXPECT_EQ(EncodeGspFrame({true, Bytes(0x11F5)}).error().code, "spdm.frame-malformed");
}

// rule 15: spdm
TEST(GspFrame, Refusals) {
  const Bytes good = *EncodeGspFrame({false, {0x10, 0x84, 0, 0}});
  auto changed = [&](size_t at, uint8_t value) {
    Bytes bytes = good;
    bytes[at] = value;
    return bytes;
  };
  EXPECT_EQ(DecodeGspFrame(changed(0, 2)).error().code, "spdm.frame-type") << "application data";
  EXPECT_EQ(DecodeGspFrame(changed(0, 3)).error().code, "spdm.frame-type");
  EXPECT_EQ(DecodeGspFrame(changed(3, 1)).error().code, "spdm.frame-type");
  for (size_t at : {4, 7}) EXPECT_EQ(DecodeGspFrame(changed(at, 5)).error().code, "spdm.frame-malformed") << "size";
  for (size_t at : {8, 11})
    EXPECT_EQ(DecodeGspFrame(changed(at, 0x11)).error().code, "spdm.frame-malformed") << "version";
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(DecodeGspFrame(ByteView(good).first(size)).error().code, "spdm.frame-malformed") << size;
    EXPECT_FALSE(IsGspFrame(ByteView(good).first(size)));
  }
  EXPECT_FALSE(DecodeGspFrame(Concat({good, Bytes(1)})).ok());
  EXPECT_FALSE(DecodeGspFrame(Bytes{0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0}).ok()) << "nothing in it";
  Writer large;
  large.U32(0).U32(0x11F5).U32(0x10).Zeros(0x11F5);
  EXPECT_EQ(DecodeGspFrame(large.bytes()).error().code, "spdm.frame-malformed");
}

TEST(GspFrame, NoDoeObjectIsOne) {
  for (int index = 0; index < 256; ++index)
    EXPECT_FALSE(IsGspFrame(EncodeDiscoveryRequest(static_cast<uint8_t>(index)))) << index;
  for (size_t size : {4, 8, 12, 100}) EXPECT_FALSE(IsGspFrame(EncodeDoe({true, Bytes(size, 0x10)})));
}

// Found by the fuzzer: a DOE message of 16 bytes whose reserved byte is set.
TEST(GspFrame, TypesBeyondThoseKnownAreNoFrame) {
  const Bytes doe = {1, 0, 1, 0x10, 4, 0, 0, 0, 0x10, 0, 0, 0, 0x11, 0x81, 0x40, 0};
  EXPECT_TRUE(DecodeDoe(doe).ok());
  EXPECT_FALSE(IsGspFrame(doe));
}

// Found by the fuzzer: the one length at which both envelopes' length fields fit. Neither reading has an answer.
TEST(GspFrame, TheOneLengthThatBothHave) {
  const Bytes both = {1, 0, 0, 0, 4, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0x84, 0x20, 0};
  EXPECT_TRUE(IsGspFrame(both));
  EXPECT_EQ(*DoeTypeOf(both), DoeType::kDiscovery);
  EXPECT_FALSE(AnswerDiscovery(both).ok());
  test::Device device;
  const Result<Bytes> answer = HandleGspFrame(*device.responder, both, device.now);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ((*answer)[kGspHeaderSize + 1], kError) << "a secured record of 4 bytes";
}

class FramedDevice final : public Transport {
 public:
  explicit FramedDevice(test::Device& device) : device_(device) {}
  Result<Packet> Exchange(const Packet& request) override {
    ASSIGN_OR_RETURN(const Bytes frame, EncodeGspFrame(request));
    ASSIGN_OR_RETURN(const Bytes answer, HandleGspFrame(*device_.responder, frame, device_.now));
    largest = std::max(largest, answer.size());
    return DecodeGspFrame(answer);
  }
  size_t largest = 0;

 private:
  test::Device& device_;
};

TEST(GspFrame, WholeSessions) {
  for (uint8_t version : {kVersion11, kVersion12}) {
    test::Device device(7, test::TestChain(), [](ResponderConfig& c) { c.max_message_size = kGspMaxMessage; });
    FramedDevice transport(device);
    test::CountingRandom random;
    Requester requester({.transport = &transport,
                         .random = &random,
                         .min_version = version,
                         .max_version = version,
                         .identity = &test::TestIdentity(),
                         .max_message_size = kGspMaxMessage});
    ASSERT_TRUE(requester.Connect().ok());
    ASSERT_TRUE(requester.StartSession().ok());
    EXPECT_TRUE(requester.GetMeasurements(Bytes(32, 1)).ok());
    EXPECT_TRUE(requester.UpdateKeys().ok());
    device.vendor = [](ByteView in) -> Result<Bytes> { return ToBytes(in); };
    EXPECT_TRUE(requester.Vendor(Bytes(kGspMaxMessage - 11)).ok()) << "the largest message fills the buffer";
    EXPECT_EQ(transport.largest, kGspBufferSize);
    EXPECT_EQ(requester.Vendor(Bytes(kGspMaxMessage - 10)).error().code, "spdm.state");
    EXPECT_TRUE(requester.EndSession().ok());
  }
}

TEST(GspFrame, AnswerThatDoesNotFit) {
  test::Device device;  // 1.1, and messages up to 0x1200
  device.measurements.opaque = Bytes(1100);
  ASSERT_TRUE(HandleGspFrame(*device.responder, *EncodeGspFrame({false, {0x10, kGetVersion, 0, 0}}), device.now).ok());
  FramedDevice transport(device);
  test::CountingRandom random;
  Requester requester({.transport = &transport, .random = &random, .max_version = kVersion11});
  ASSERT_TRUE(requester.Connect().ok());
  device.measurements.opaque = Bytes(kMaxMessageSize - (8 + 64 * 55 + 32 + 2 + 96));
  EXPECT_EQ(requester.GetMeasurements(Bytes(32)).error().code, "spdm.frame-malformed");
}

}  // namespace
}  // namespace ccgpu::spdm
