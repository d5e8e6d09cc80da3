// The same for key exchange, FINISH and everything in a session, after DMTF's conformance cases.
#include "trust/spdm/test_conformance.h"

namespace ccgpu::spdm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class InSession : public test::Conformance {};

TEST_P(InSession, KeyExchange_8) {
  ToNegotiated();
  for (uint8_t summary : {kSummaryNone, kSummaryTcb, kSummaryAll})
    ToHandshake(summary);  // unfinished ones are replaced
}

TEST_P(InSession, KeyExchangeInvalid_8_6) {
  ToNegotiated();
  auto expect_invalid = [&](std::function<void(KeyExchange&)> spoil) {
    KeyExchange request = GoodKeyExchange();
    spoil(request);
    ExpectError(Send(Encode(request)), kInvalidRequest);
  };
  for (int slot : {1, 7, 8, 15, 255}) expect_invalid([&](KeyExchange& r) { r.slot = static_cast<uint8_t>(slot); });
  expect_invalid([](KeyExchange& r) { r.summary_type = 2; });
  expect_invalid([](KeyExchange& r) { r.summary_type = 0xFE; });
  expect_invalid([](KeyExchange& r) { r.exchange[5] ^= 1; });        // not on the curve
  expect_invalid([](KeyExchange& r) { r.exchange.assign(96, 0); });  // the point at infinity's encoding
  expect_invalid([](KeyExchange& r) { r.opaque.clear(); });          // no version of secured messages
  expect_invalid([&](KeyExchange& r) { r.opaque = EncodeSelectedVersion(version(), 0x1200); });
  expect_invalid([&](KeyExchange& r) { r.opaque = EncodeSupportedVersions(v12() ? kVersion11 : kVersion12); });
  expect_invalid([](KeyExchange& r) { r.opaque.resize(r.opaque.size() - 4); });
  expect_invalid([&](KeyExchange& r) {  // speaks only 2.0
    Bytes opaque = EncodeSupportedVersions(version());
    for (Bytes::iterator at = opaque.end() - 9; at < opaque.end(); ++at) {
      if (*at == 0x10 || *at == 0x11 || *at == 0x12) *at = 0x20;
    }
    r.opaque = opaque;
  });
  Bytes lying = Encode(GoodKeyExchange());
  lying[40 + 96 - 0] = 0xFF;
  lying[40 + 96 + 1] = 0xFF;  // OpaqueDataLength
  ExpectError(Send(lying), kInvalidRequest);
  EXPECT_FALSE(device_.responder->in_session());
  ToHandshake();
}

TEST_P(InSession, KeyExchangeNeedsTheCapability) {
  Version();
  Capabilities request = GoodCapabilities();
  request.flags = kCapCert;
  ASSERT_EQ(Send(Encode(request))[1], kCapabilities);
  Algorithms algorithms = GoodAlgorithms();
  algorithms.dhe.reset();
  algorithms.aead.reset();
  algorithms.req_base_asym.reset();
  algorithms.key_schedule.reset();
  ASSERT_EQ(Send(Encode(algorithms))[1], kAlgorithms);
  ExpectError(Send(Encode(GoodKeyExchange())), kUnsupportedRequest, kKeyExchange);
  EXPECT_EQ(Send(Bytes{version(), kGetMeasurements, 0, 0})[1], kMeasurements);
}

TEST_P(InSession, SecondSessionIsRefused) {
  ToSession();
  ExpectError(Send(Encode(GoodKeyExchange())), kSessionLimitExceeded);
  EXPECT_EQ(SendSealed(Plain(kHeartbeat)), Plain(kHeartbeatAck));
}

// Rule 16: nothing but FINISH before FINISH; the errors leave the handshake, a wrong VerifyData ends it.
// rule 16: spdm
TEST_P(InSession, HandshakeTakesOnlyFinish) {
  ToNegotiated();
  ToHandshake();
  for (uint8_t code : {kGetMeasurements, kHeartbeat, kKeyUpdate, kEndSession, kVendorDefinedRequest, kKeyExchange,
                       kGetVersion, kGetDigests}) {
    ExpectError(SendSealed(Plain(code)), kUnexpectedRequest);
  }
  ExpectError(SendSealed(Plain(kChallenge)), kUnsupportedRequest, kChallenge);
  ExpectError(SendSealed(Bytes{1}), kInvalidRequest);
  for (int delta : {-1, 1}) {  // 9.3
    Bytes finish = GoodFinish();
    finish[0] = static_cast<uint8_t>(version() + delta);
    ExpectError(SendSealed(finish), kVersionMismatch);
  }
  for (int slot : {1, 7, 8, 15, 255}) {  // 9.6
    Bytes finish = GoodFinish();
    finish[2] = 1;
    finish[3] = static_cast<uint8_t>(slot);
    ExpectError(SendSealed(finish), kInvalidRequest);
    finish[2] = 0;
    ExpectError(SendSealed(finish), kInvalidRequest);
  }
  ExpectError(SendSealed(Plain(kFinish)), kInvalidRequest);
  EXPECT_THAT(device_.session_secrets, IsEmpty());
  EXPECT_EQ(SendSealed(GoodFinish()), Plain(kFinishRsp));
  EXPECT_TRUE(device_.responder->in_session());
}

TEST_P(InSession, WrongVerifyDataEndsTheHandshake_9_7) {
  ToNegotiated();
  ToHandshake();
  Bytes finish = GoodFinish();
  finish.back() ^= 1;
  ExpectError(SendSealed(finish), kDecryptError);
  const Bytes good = *session_->Seal(GoodFinish());
  const Packet answer = device_.responder->Handle({true, good}, device_.now);
  EXPECT_FALSE(answer.secured);
  ExpectError(answer.bytes, kInvalidSession);
  EXPECT_THAT(device_.session_secrets, IsEmpty());
  EXPECT_THAT(device_.session_ends, IsEmpty()) << "it never was a session";
}

// rule 16: spdm
TEST_P(InSession, FinishOfAnotherExchangeIsRefused) {
  ToNegotiated();
  ToHandshake();
  std::unique_ptr<Session> first;
  std::swap(first, session_);
  ToHandshake();  // replaces the first
  std::swap(first, session_);
  const Bytes record = *session_->Seal(GoodFinish());
  device_.responder->Handle({true, record}, device_.now);
  EXPECT_THAT(device_.session_secrets, IsEmpty());
  EXPECT_FALSE(device_.responder->in_session());
}

// rule 16: spdm
TEST_P(InSession, ApplicationKeysBeforeFinishDoNotOpen) {
  ToNegotiated();
  ToHandshake();
  session_->Establish(crypto::Sha384(session_->transcript));
  const Bytes record = *session_->Seal(Plain(kHeartbeat));
  device_.responder->Handle({true, record}, device_.now);
  EXPECT_FALSE(device_.responder->in_session());
}

TEST_P(InSession, InSession_8_5_9_5_12_16) {
  ToSession();
  ExpectError(SendSealed(Encode(GoodKeyExchange())), kUnexpectedRequest);
  Bytes finish = Plain(kFinish);
  finish.resize(52);
  ExpectError(SendSealed(finish), kUnexpectedRequest);
  for (uint8_t code :
       {kGetVersion, kGetCapabilities, kNegotiateAlgorithms, kGetDigests, kGetCertificate, kGetEncapsulatedRequest}) {
    ExpectError(SendSealed(Plain(code)), kUnexpectedRequest);
  }
  ExpectError(SendSealed(Plain(kChallenge)), kUnsupportedRequest, kChallenge);
  ExpectError(SendSealed(Bytes{}), kInvalidRequest);
  for (uint8_t code : {kHeartbeat, kKeyUpdate, kEndSession, kVendorDefinedRequest, kGetMeasurements}) {
    for (int delta : {-1, 1}) {
      Bytes request = Plain(code);
      request[0] = static_cast<uint8_t>(version() + delta);
      ExpectError(SendSealed(request), kVersionMismatch);
    }
    Bytes longer = Plain(code);
    longer.resize(8, 1);
    ExpectError(SendSealed(longer), kInvalidRequest);
  }
  ExpectError(SendSealed(Bytes(kMaxMessageSize + 1, version())), kUnsupportedRequest, version());
  Bytes large(kMaxMessageSize + 1);
  large[0] = version();
  large[1] = kVendorDefinedRequest;
  ExpectError(SendSealed(large), v12() ? kRequestTooLarge : kInvalidRequest);
  EXPECT_EQ(SendSealed(Plain(kHeartbeat)), Plain(kHeartbeatAck));
  EXPECT_EQ(SendSealed(Plain(kEndSession)), Plain(kEndSessionAck));
  EXPECT_FALSE(device_.responder->in_session());
}

TEST_P(InSession, MeasurementsInSessionHaveTheirOwnTranscript) {
  ToSession();
  const Bytes outside = {version(), kGetMeasurements, 0, 1};
  Send(outside);  // must not count inside
  const Bytes request = Encode(GetMeasurements{version(), true, false, 5, Bytes(32, 1), 0});
  const Bytes answer = SendSealed(request);
  ByteView view = answer;
  Result<Measurements> parsed = DecodeMeasurements(&view, true);
  ASSERT_TRUE(parsed.ok());
  const Bytes covered = Concat({v12() ? ByteView(vca_) : ByteView(), request, view.first(view.size() - 96)});
  EXPECT_TRUE(VerifyTranscript(test::TestChain().leaf_key.public_key(), version(), SigningContext::kMeasurements,
                               covered, parsed->signature));
}

TEST_P(InSession, VendorOfAnotherRegistryIsUnsupported) {
  ToSession();
  VendorDefined request;
  request.version = version();
  request.vendor = {1, 0};
  ExpectError(SendSealed(Encode(request)), kUnsupportedRequest, kVendorDefinedRequest);
  request = {};
  request.version = version();
  request.standard = 0;
  ExpectError(SendSealed(Encode(request)), kUnsupportedRequest, kVendorDefinedRequest);
}

TEST_P(InSession, KeyUpdate_13) {
  ToSession();
  ExpectError(SendSealed(Plain(kKeyUpdate, 0, 1)), kInvalidRequest);
  ExpectError(SendSealed(Plain(kKeyUpdate, 4, 1)), kInvalidRequest);
  ExpectError(SendSealed(Plain(kKeyUpdate, 3, 1)), kInvalidRequest);           // nothing to verify
  EXPECT_EQ(SendSealed(Plain(kKeyUpdate, 1, 7)), Plain(kKeyUpdateAck, 1, 7));  // under the old response key
  session_->UpdateRequestKey();
  ExpectError(SendSealed(Plain(kHeartbeat)), kUnexpectedRequest);
  ExpectError(SendSealed(Plain(kKeyUpdate, 2, 7)), kInvalidRequest);
  EXPECT_EQ(SendSealed(Plain(kKeyUpdate, 3, 8)), Plain(kKeyUpdateAck, 3, 8));
  EXPECT_EQ(SendSealed(Plain(kHeartbeat)), Plain(kHeartbeatAck));
}

// rule 16: spdm
TEST_P(InSession, OldKeyAfterKeyUpdateEndsTheSession) {
  ToSession();
  EXPECT_EQ(SendSealed(Plain(kKeyUpdate, 1, 7)), Plain(kKeyUpdateAck, 1, 7));
  const Bytes record = *session_->Seal(Plain(kKeyUpdate, 3, 8));  // still under the old key
  device_.responder->Handle({true, record}, device_.now);
  EXPECT_THAT(device_.session_ends, ElementsAre("a record did not open"));
}

TEST_P(InSession, GetVersionForgetsEverything) {
  ToSession();
  EXPECT_EQ(Send(get_version_)[1], kVersion);
  EXPECT_THAT(device_.session_ends, ElementsAre("reset"));
  ExpectError(Send(Plain(kGetDigests)), kUnexpectedRequest, 0, kVersion10);
  const Packet answer = device_.responder->Handle({true, *session_->Seal(Plain(kHeartbeat))}, device_.now);
  EXPECT_FALSE(answer.secured);
  EXPECT_EQ(answer.bytes[2], kInvalidSession);
  ToSession();  // and the way is free again
}

TEST_P(InSession, ResetWithoutSessionCallsNobody) {
  device_.responder->Reset();
  ToNegotiated();
  device_.responder->Reset();
  EXPECT_THAT(device_.session_ends, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Versions, InSession, testing::Values(kVersion11, kVersion12),
                         [](const auto& info) { return info.param == kVersion11 ? "Spdm11" : "Spdm12"; });

}  // namespace
}  // namespace ccgpu::spdm
