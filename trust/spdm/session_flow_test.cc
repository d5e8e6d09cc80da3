// Requester against responder: the whole way, in both versions, and what each refuses.
#include <gmock/gmock.h>

#include "trust/spdm/test_support.h"

namespace ccgpu::spdm {
namespace {

using test::CountingRandom;
using test::Device;
using testing::ElementsAre;
using testing::HasSubstr;

class Flow : public testing::TestWithParam<uint8_t> {
 protected:
  Requester Make(Transport& transport) {
    return Requester(
        {.transport = &transport, .random = &random_, .min_version = GetParam(), .max_version = GetParam()});
  }
  void Start(Requester& requester) {
    const Status connected = requester.Connect();
    ASSERT_TRUE(connected.ok()) << connected.error().ToString();
    const Status started = requester.StartSession();
    ASSERT_TRUE(started.ok()) << started.error().ToString();
  }
  CountingRandom random_{42};
  Device device_;
};

TEST_P(Flow, WholeWay) {
  Requester requester = Make(device_);
  Start(requester);
  EXPECT_EQ(requester.version(), GetParam());
  EXPECT_EQ(requester.heartbeat_period_s(), 4);
  ASSERT_EQ(requester.chain().size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(requester.chain()[i].Der(), test::TestChain().der[i]);
  EXPECT_TRUE(device_.responder->in_session());
  ASSERT_EQ(device_.session_secrets.size(), 1u);
  EXPECT_EQ(requester.export_master_secret().size(), 48u);
  EXPECT_EQ(requester.export_master_secret(), device_.session_secrets[0]);
  EXPECT_TRUE(requester.Heartbeat().ok());
  Result<Bytes> echo = requester.Vendor(Bytes{9, 8, 7, 0, 0});
  ASSERT_TRUE(echo.ok()) << echo.error().ToString();
  EXPECT_EQ(*echo, (Bytes{9, 8, 7, 0, 0}));
  EXPECT_TRUE(requester.UpdateKeys().ok());
  EXPECT_TRUE(requester.UpdateKeys(KeyUpdateOp::kUpdateKey).ok());
  EXPECT_TRUE(requester.UpdateKeys().ok());
  EXPECT_TRUE(requester.GetMeasurements(Bytes(32, 5)).ok());
  EXPECT_TRUE(requester.Heartbeat().ok());
  EXPECT_TRUE(requester.EndSession().ok());
  EXPECT_FALSE(device_.responder->in_session());
  EXPECT_THAT(device_.session_ends, ElementsAre("END_SESSION"));
  // And again on the same connection, with other secrets.
  ASSERT_TRUE(requester.StartSession().ok());
  ASSERT_EQ(device_.session_secrets.size(), 2u);
  EXPECT_NE(device_.session_secrets[0], device_.session_secrets[1]);
}

// Nothing of what crosses inside a session may be readable on the link.
TEST_P(Flow, SessionTrafficIsCiphertext) {
  Requester requester = Make(device_);
  Start(requester);
  const size_t from_request = device_.requests.size();
  const Bytes canary = ToBytes(AsBytes("CANARY-canary-CANARY-canary"));
  ASSERT_TRUE(requester.Vendor(canary).ok());
  for (size_t i = from_request; i < device_.requests.size(); ++i) {
    EXPECT_TRUE(device_.requests[i].secured);
    EXPECT_TRUE(device_.responses[i].secured);
    EXPECT_TRUE(std::ranges::search(device_.requests[i].bytes, canary).empty());
    EXPECT_TRUE(std::ranges::search(device_.responses[i].bytes, canary).empty());
  }
}

// The report is request||response, and its signature is over exactly what the version says.
// rule 1: spdm
TEST_P(Flow, ReportVerifiesAndBindsNonce) {
  Requester requester = Make(device_);
  ASSERT_TRUE(requester.Connect().ok());
  const Bytes nonce(32, 0xAB);
  Result<Bytes> report = requester.GetMeasurements(nonce);
  ASSERT_TRUE(report.ok()) << report.error().ToString();
  ByteView request = ByteView(*report).first(37);
  Result<GetMeasurements> asked = DecodeGetMeasurements(&request);
  ASSERT_TRUE(asked.ok());
  EXPECT_EQ(asked->nonce, nonce);
  EXPECT_EQ(asked->operation, kAllMeasurements);
  ByteView response = ByteView(*report).subspan(37);
  Result<Measurements> answered = DecodeMeasurements(&response, true);
  ASSERT_TRUE(answered.ok());
  EXPECT_EQ(answered->opaque, (Bytes{1, 2, 3}));
  Result<std::vector<MeasurementBlock>> blocks = DecodeRecord(answered->record, answered->block_count);
  ASSERT_TRUE(blocks.ok());
  ASSERT_EQ(blocks->size(), 64u);
  EXPECT_EQ((*blocks)[10].value, crypto::Sha384(Bytes{11}));

  const Bytes covered = ToBytes(ByteView(*report).first(report->size() - 96));
  const Bytes to_sign = GetParam() == kVersion12 ? Concat({requester.vca(), covered}) : covered;
  const crypto::PublicKey key = requester.chain().back().key();
  EXPECT_TRUE(VerifyTranscript(key, GetParam(), SigningContext::kMeasurements, to_sign, answered->signature));
  Bytes other = to_sign;
  other[10] ^= 1;
  EXPECT_FALSE(VerifyTranscript(key, GetParam(), SigningContext::kMeasurements, other, answered->signature));
  EXPECT_FALSE(VerifyTranscript(key, GetParam() == kVersion11 ? kVersion12 : kVersion11, SigningContext::kMeasurements,
                                to_sign, answered->signature));

  // Two reports never share the device's nonce.
  Result<Bytes> second = requester.GetMeasurements(nonce);
  ASSERT_TRUE(second.ok());
  ByteView again = ByteView(*second).subspan(37);
  EXPECT_NE(DecodeMeasurements(&again, true)->nonce, answered->nonce);
}

TEST_P(Flow, HandlerErrorComesBackWithItsCode) {
  device_.vendor = [](ByteView) -> Result<Bytes> { return Err("spdm.state", "gpu0", "START needs the lock nonce"); };
  Requester requester = Make(device_);
  Start(requester);
  Result<Bytes> answer = requester.Vendor(Bytes{1});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, "spdm.state");
  EXPECT_EQ(answer.error().text, "START needs the lock nonce");
  EXPECT_TRUE(requester.in_session()) << "an error of the handler does not end the session";
  EXPECT_TRUE(requester.Heartbeat().ok());
}

TEST_P(Flow, HandlerMayResetTheResponder) {
  device_.vendor = [this](ByteView) -> Result<Bytes> {
    device_.responder->Reset();
    return Bytes{};
  };
  Requester requester = Make(device_);
  Start(requester);
  Result<Bytes> answer = requester.Vendor(Bytes{1});
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, "spdm.session-lost");
  EXPECT_THAT(device_.session_ends, ElementsAre("reset"));
  EXPECT_FALSE(requester.in_session());
  EXPECT_TRUE(requester.export_master_secret().empty());
}

TEST_P(Flow, LargestVendorMessage) {
  Requester requester = Make(device_);
  Start(requester);
  const size_t most = kMaxMessageSize - 11;
  ASSERT_TRUE(requester.Vendor(Bytes(most, 1)).ok());
  EXPECT_EQ(requester.Vendor(Bytes(most + 1, 1)).error().code, "spdm.state");
  device_.vendor = [](ByteView) -> Result<Bytes> { return Bytes(5000); };
  EXPECT_EQ(requester.Vendor(Bytes{1}).error().code, "spdm.peer-error");
  EXPECT_TRUE(requester.in_session());
}

TEST_P(Flow, HeartbeatTimeout) {
  Requester requester = Make(device_);
  Start(requester);
  device_.now += std::chrono::seconds(8);
  device_.responder->CheckHeartbeat(device_.now);
  EXPECT_TRUE(device_.responder->in_session()) << "two periods are still allowed";
  ASSERT_TRUE(requester.Heartbeat().ok());
  device_.now += std::chrono::seconds(8);
  device_.responder->CheckHeartbeat(device_.now);
  EXPECT_TRUE(device_.responder->in_session()) << "the heartbeat counted";
  device_.now += std::chrono::seconds(1);
  device_.responder->CheckHeartbeat(device_.now);
  EXPECT_FALSE(device_.responder->in_session());
  EXPECT_THAT(device_.session_ends, ElementsAre("heartbeat timeout"));
  EXPECT_EQ(requester.Heartbeat().error().code, "spdm.session-lost");
}

TEST_P(Flow, LateRecordDoesNotReviveASession) {
  Requester requester = Make(device_);
  Start(requester);
  device_.now += std::chrono::seconds(9);  // nobody called CheckHeartbeat
  EXPECT_EQ(requester.Heartbeat().error().code, "spdm.session-lost");
  EXPECT_THAT(device_.session_ends, ElementsAre("heartbeat timeout"));
}

// A refused record is not traffic.
TEST_P(Flow, PlainRequestsDoNotCountAsHeartbeat) {
  Requester requester = Make(device_);
  Start(requester);
  device_.now += std::chrono::seconds(7);
  ASSERT_TRUE(device_.Exchange({false, EncodeHeader({GetParam(), kGetDigests, 0, 0})}).ok());
  device_.now += std::chrono::seconds(2);
  device_.responder->CheckHeartbeat(device_.now);
  EXPECT_FALSE(device_.responder->in_session());
}

TEST_P(Flow, EachFlippedByteOfARecordEndsTheSession) {
  device_.bypass_doe = true;
  constexpr size_t kHeartbeatRecord = 6 + 2 + 4 + 16;
  for (size_t byte = 0; byte < kHeartbeatRecord; ++byte) {
    Requester requester = Make(device_);
    Start(requester);
    ASSERT_TRUE(requester.Heartbeat().ok()) << "the unchanged record opens";
    ASSERT_EQ(device_.requests.back().bytes.size(), kHeartbeatRecord);
    device_.session_ends.clear();
    device_.on_request = [&](Packet& packet) { packet.bytes[byte] ^= 1 << (byte % 8); };
    EXPECT_FALSE(requester.Heartbeat().ok());
    device_.on_request = nullptr;
    EXPECT_THAT(device_.session_ends, ElementsAre("a record did not open")) << "byte " << byte;
    EXPECT_TRUE(device_.responses.back().secured);
  }
}

TEST_P(Flow, FlippedRequestOrResponseIsNoticedByBothEnds) {
  for (const bool flip_request : {true, false}) {
    Requester requester = Make(device_);
    Start(requester);
    device_.session_ends.clear();
    auto flip = [](Packet& packet) { packet.bytes.back() ^= 0x80; };
    (flip_request ? device_.on_request : device_.on_response) = flip;
    const Status status = requester.Heartbeat();
    device_.on_request = device_.on_response = nullptr;
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, flip_request ? "spdm.peer-error" : "spdm.record-rejected");
    EXPECT_FALSE(requester.in_session());
    EXPECT_EQ(device_.responder->in_session(), !flip_request) << "the device times out when only we saw it";
    EXPECT_EQ(requester.Heartbeat().error().code, "spdm.state");
  }
}

// rule 16: spdm
TEST_P(Flow, ReplayedRequestEndsTheSession) {
  Requester requester = Make(device_);
  Start(requester);
  ASSERT_TRUE(requester.Vendor(Bytes{1}).ok());
  const Packet old = device_.requests.back();
  device_.responder->Handle(old, device_.now);
  EXPECT_THAT(device_.session_ends, ElementsAre("a record did not open"));
}

TEST_P(Flow, ReorderedResponseIsRejected) {
  Requester requester = Make(device_);
  Start(requester);
  ASSERT_TRUE(requester.Vendor(Bytes{1}).ok());
  const Packet old = device_.responses.back();
  device_.on_response = [&](Packet& packet) { packet = old; };
  EXPECT_EQ(requester.Vendor(Bytes{1}).error().code, "spdm.record-rejected");
  EXPECT_FALSE(requester.in_session());
}

// rule 12: spdm
TEST_P(Flow, RecordOfAnEarlierSessionIsRejected) {
  Requester requester = Make(device_);
  Start(requester);
  ASSERT_TRUE(requester.Vendor(Bytes{1}).ok());
  const Packet old = device_.requests.back();
  ASSERT_TRUE(requester.EndSession().ok());
  ASSERT_TRUE(requester.StartSession().ok());
  device_.responder->Handle(old, device_.now);
  EXPECT_FALSE(device_.responder->in_session());
}

// A host in the middle: it may show the device's chain, but cannot make its signature.
// rule 4: spdm
TEST_P(Flow, ImpostorWithAnotherKeyIsRefused) {
  test::Chain stolen = test::TestChain();
  stolen.leaf_key = test::OtherTestChain().leaf_key;
  Device impostor(7, stolen);
  Requester requester = Make(impostor);
  ASSERT_TRUE(requester.Connect().ok());
  EXPECT_EQ(requester.StartSession().error().code, "spdm.signature");
  EXPECT_EQ(requester.GetMeasurements(Bytes(32)).error().code, "spdm.signature");
  EXPECT_FALSE(requester.in_session());
}

// Every byte of every negotiation and handshake response matters: a changed one must be refused at the latest by the
// signature in KEY_EXCHANGE_RSP or its VerifyData.
// rule 2: spdm
TEST_P(Flow, ChangedNegotiationNeverGivesASession) {
  Requester probe = Make(device_);
  Start(probe);
  const std::vector<Packet> good = device_.responses;
  int refused = 0;
  for (size_t message = 0; message < good.size(); ++message) {
    const size_t size = good[message].bytes.size();
    const size_t step = size > 400 ? 37 : 3;
    for (size_t byte = 0; byte < size; byte += step) {
      Device device;
      size_t count = 0;
      device.on_response = [&](Packet& packet) {
        if (count++ == message && byte < packet.bytes.size()) packet.bytes[byte] ^= 0x01;
      };
      Requester requester = Make(device);
      const bool connected = requester.Connect().ok();
      if (connected && requester.StartSession().ok()) {
        ADD_FAILURE() << "response " << message << " changed at byte " << byte << " went through";
      }
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

INSTANTIATE_TEST_SUITE_P(Versions, Flow, testing::Values(kVersion11, kVersion12),
                         [](const auto& info) { return info.param == kVersion11 ? "Spdm11" : "Spdm12"; });

TEST(Requester, ChoosesTheHighestCommonVersion) {
  Device device;
  CountingRandom random;
  Requester both({.transport = &device, .random = &random});
  ASSERT_TRUE(both.Connect().ok());
  EXPECT_EQ(both.version(), kVersion12);
  Requester none({.transport = &device, .random = &random, .min_version = 0x13, .max_version = 0x13});
  EXPECT_EQ(none.Connect().error().code, "spdm.version");
}

TEST(Requester, RefusesADeviceWithOtherCapabilities) {
  Device device;
  CountingRandom random;
  Requester strict({.transport = &device, .random = &random, .responder_flags = kH100ResponderFlags | kCapChunk});
  EXPECT_EQ(strict.Connect().error().code, "spdm.capabilities");
  Requester exponent({.transport = &device, .random = &random, .responder_ct_exponent = 0});
  EXPECT_EQ(exponent.Connect().error().code, "spdm.capabilities");
}

TEST(Requester, CallsOutOfOrderAreErrors) {
  Device device;
  CountingRandom random;
  Requester requester({.transport = &device, .random = &random});
  EXPECT_EQ(requester.StartSession().error().code, "spdm.state");
  EXPECT_EQ(requester.GetMeasurements(Bytes(32)).error().code, "spdm.state");
  EXPECT_EQ(requester.Vendor({}).error().code, "spdm.state");
  ASSERT_TRUE(requester.Connect().ok());
  EXPECT_EQ(requester.Heartbeat().error().code, "spdm.state");
  EXPECT_EQ(requester.UpdateKeys().error().code, "spdm.state");
  EXPECT_EQ(requester.EndSession().error().code, "spdm.state");
  EXPECT_EQ(requester.GetMeasurements(Bytes(31)).error().code, "spdm.state");
  ASSERT_TRUE(requester.StartSession().ok());
  EXPECT_EQ(requester.StartSession().error().code, "spdm.state");
  EXPECT_TRUE(requester.in_session());
}

TEST(Requester, TransportErrorDropsTheSession) {
  class Cut final : public Transport {
   public:
    explicit Cut(Device& device) : device_(device) {}
    Result<Packet> Exchange(const Packet& request) override {
      if (cut) return Error::FromWire("link.down", "gpu0", "the mailbox does not answer");
      return device_.Exchange(request);
    }
    bool cut = false;

   private:
    Device& device_;
  };
  Device device;
  Cut transport(device);
  CountingRandom random;
  Requester requester({.transport = &transport, .random = &random});
  ASSERT_TRUE(requester.Connect().ok());
  ASSERT_TRUE(requester.StartSession().ok());
  transport.cut = true;
  EXPECT_EQ(requester.UpdateKeys().error().code, "link.down");
  EXPECT_FALSE(requester.in_session());
  EXPECT_TRUE(requester.export_master_secret().empty());
}

}  // namespace
}  // namespace ccgpu::spdm
