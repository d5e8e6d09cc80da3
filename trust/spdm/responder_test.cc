// What the responder answers before a session to requests that are malformed, out of order or not for it, after DMTF's
// conformance cases (SPDM-Responder-Validator; case numbers in the names).
#include "trust/spdm/test_conformance.h"

namespace ccgpu::spdm {
namespace {

using testing::IsEmpty;

class Connection : public test::Conformance {};

TEST_P(Connection, NothingBeforeGetVersion) {
  for (uint8_t code : {kGetCapabilities, kNegotiateAlgorithms, kGetDigests, kGetMeasurements, kKeyExchange, kFinish,
                       kVendorDefinedRequest}) {
    ExpectError(Send(Plain(code)), kUnexpectedRequest, 0, kVersion10);
  }
}

TEST_P(Connection, VersionMessage_1) {
  EXPECT_EQ(Send(get_version_), (Bytes{0x10, 0x04, 0, 0, 0, 2, 0x00, 0x11, 0x00, 0x12}));
  ExpectError(Send(Bytes{0x11, kGetVersion, 0, 0}), kVersionMismatch, 0, kVersion10);
  ExpectError(Send(Bytes{0x10, kGetVersion, 0}), kInvalidRequest, 0, kVersion10);
  ExpectError(Send(Bytes{0x10, kGetVersion, 0, 0, 1}), kInvalidRequest, 0, kVersion10);
  ExpectError(Send(Bytes{}), kInvalidRequest, 0, kVersion10);
}

TEST_P(Connection, CapabilitiesMessage_2_1) {
  Version();
  const Bytes answer = Send(Encode(GoodCapabilities()));
  Bytes expected = {version(), 0x61, 0, 0, 0, 0x1F, 0, 0, 0xF2, 0x73, 0, 0};
  if (v12()) Append(expected, Bytes{0x00, 0x12, 0, 0, 0x00, 0x12, 0, 0});
  EXPECT_EQ(answer, expected);
}

TEST_P(Connection, CapabilitiesVersionMismatch_2_2) {
  Version();
  for (uint8_t bad : {0x10, 0x13, 0x00, 0xFF}) {
    Capabilities request = GoodCapabilities();
    request.version = bad;
    ExpectError(Send(Encode(request)), kVersionMismatch, 0, kVersion10);
  }
  EXPECT_EQ(Send(Encode(GoodCapabilities()))[1], kCapabilities) << "a refusal leaves the state";
}

TEST_P(Connection, CapabilitiesInvalid_2_4) {
  Version();
  auto with_flags = [&](uint32_t flags) {
    Capabilities request = GoodCapabilities();
    request.flags = flags;
    return Encode(request);
  };
  const uint32_t good = kRequesterFlags;
  for (uint32_t flags : {good & ~(kCapEncrypt | kCapMac), good & ~kCapKeyEx, (good | kCapMutAuth) & ~kCapEncap,
                         good | 2u << 10, good | 3u << 10, (kCapCert | kCapHeartbeat), (kCapCert | kCapKeyUpdate),
                         kCapCert | kCapHandshakeInClear, good | kCapPublicKeyId}) {
    ExpectError(Send(with_flags(flags)), kInvalidRequest);
  }
  Bytes shorter = Encode(GoodCapabilities());
  shorter.pop_back();
  ExpectError(Send(shorter), kInvalidRequest);
  if (v12()) {
    for (auto [transfer, most] : {std::pair{41u, 41u}, {0x1200u, 0x11FFu}, {0x1100u, 0x1200u}}) {
      Capabilities request = GoodCapabilities();
      request.data_transfer_size = transfer;
      request.max_message_size = most;
      ExpectError(Send(Encode(request)), kInvalidRequest);
    }
  }
  EXPECT_EQ(Send(Encode(GoodCapabilities()))[1], kCapabilities);
}

TEST_P(Connection, SecondCapabilitiesUnexpected_2_6) {
  ToCapabilities();
  Capabilities again = GoodCapabilities();
  ExpectError(Send(Encode(again)), kUnexpectedRequest);
  again.flags &= ~kCapHeartbeat;
  ExpectError(Send(Encode(again)), kUnexpectedRequest);
}

TEST_P(Connection, AlgorithmsMessage_3_5_3_6) {
  ToCapabilities();
  const Bytes answer = Send(Encode(GoodAlgorithms()));
  ByteView view = answer;
  Result<Algorithms> chosen = DecodeAlgorithms(&view, true);
  ASSERT_TRUE(chosen.ok());
  EXPECT_EQ(answer.size(), 0x34u);
  EXPECT_EQ(chosen->measurement_hash, kMeasurementHashSha384);
  EXPECT_EQ(chosen->base_asym, kAsymEcdsaP384);
  EXPECT_EQ(chosen->base_hash, kHashSha384);
  EXPECT_EQ(chosen->dhe, kDheSecp384r1);
  EXPECT_EQ(chosen->aead, kAeadAes256Gcm);
  EXPECT_EQ(chosen->req_base_asym, kReqAsymRsaPss3072);
  EXPECT_EQ(chosen->key_schedule, kKeyScheduleSpdm);
  EXPECT_EQ(chosen->other_params, v12() ? kOpaqueFormat1 : 0);
}

TEST_P(Connection, AlgorithmsRefused_3_2_to_3_4) {
  Version();
  ExpectError(Send(Encode(GoodAlgorithms())), kUnexpectedRequest, 0, kVersion10);  // 3.3
  ToCapabilities();
  for (int delta : {-1, 1}) {  // 3.2
    Algorithms request = GoodAlgorithms();
    request.version = static_cast<uint8_t>(version() + delta);
    ExpectError(Send(Encode(request)), kVersionMismatch);
  }
  const Bytes good = Encode(GoodAlgorithms());
  auto changed = [&](size_t at, uint8_t value) {
    Bytes bytes = good;
    bytes[at] = value;
    return bytes;
  };
  for (const Bytes& bad :
       {changed(4, 0x2F), changed(4, 0x31), changed(28, 21), changed(29, 21), changed(33, 0x10), changed(33, 0x30),
        changed(33, 0x2F), changed(2, 3), changed(2, 5), changed(32, 3), changed(32, 1), changed(44, 6)}) {
    ExpectError(Send(bad), kInvalidRequest);
  }
  // Offers that leave nothing in common.
  for (auto spoil : std::vector<std::function<void(Algorithms&)>>{
           [](Algorithms& a) { a.base_asym = 0x10; }, [](Algorithms& a) { a.base_hash = 1; },
           [](Algorithms& a) { a.dhe = 8; }, [](Algorithms& a) { a.aead = 1; },
           [](Algorithms& a) { a.key_schedule = 0; }, [](Algorithms& a) { a.dhe.reset(); },
           [](Algorithms& a) { a.measurement_spec = 0; }}) {
    Algorithms request = GoodAlgorithms();
    spoil(request);
    ExpectError(Send(Encode(request)), kInvalidRequest);
  }
  if (v12()) {
    Algorithms request = GoodAlgorithms();
    request.other_params = 1;  // opaque format 0 alone
    ExpectError(Send(Encode(request)), kInvalidRequest);
  }
  EXPECT_EQ(Send(good)[1], kAlgorithms);
  ExpectError(Send(good), kUnexpectedRequest);
}

TEST_P(Connection, NothingElseBeforeAlgorithms) {
  ToCapabilities();
  for (uint8_t code :
       {kGetDigests, kGetCertificate, kGetMeasurements, kKeyExchange, kFinish, kHeartbeat, kVendorDefinedRequest}) {
    ExpectError(Send(Plain(code)), kUnexpectedRequest);
  }
}

TEST_P(Connection, OtherVersionsAreMismatches) {
  ToNegotiated();
  for (uint8_t code : {kGetDigests, kGetCertificate, kGetMeasurements, kKeyExchange}) {
    for (int delta : {-1, 1}) {
      Bytes request = Plain(code);
      request[0] = static_cast<uint8_t>(version() + delta);
      ExpectError(Send(request), kVersionMismatch);
    }
  }
}

TEST_P(Connection, UnsupportedRequests) {
  ToNegotiated();
  for (uint8_t code : {uint8_t{kChallenge}, uint8_t{kPskExchange}, uint8_t{kPskFinish}, uint8_t{0x85}, uint8_t{0x86},
                       uint8_t{0xED}, uint8_t{0xEE}, uint8_t{kRespondIfReady}, uint8_t{0x00}, uint8_t{0x60}}) {
    ExpectError(Send(Plain(code)), kUnsupportedRequest, code);
  }
  // Nobody asked for mutual authentication.
  ExpectError(Send(Plain(kGetEncapsulatedRequest)), kUnexpectedRequest);
  ExpectError(Send(Plain(kDeliverEncapsulatedResponse)), kUnexpectedRequest);
}

TEST_P(Connection, SessionMessagesOutsideASession) {
  ToNegotiated();
  const uint8_t expected = v12() ? kSessionRequired : kUnexpectedRequest;
  for (uint8_t code : {kHeartbeat, kKeyUpdate, kEndSession, kVendorDefinedRequest})
    ExpectError(Send(Plain(code)), expected);
  Bytes finish = Plain(kFinish);
  finish.resize(52);
  ExpectError(Send(finish), expected);
}

TEST_P(Connection, Certificates_5) {
  ToNegotiated();
  const Bytes digests_bytes = Send(Plain(kGetDigests));
  ByteView view = digests_bytes;
  Result<Digests> digests = DecodeDigests(&view);
  ASSERT_TRUE(digests.ok());
  EXPECT_EQ(digests->slot_mask, 1);
  for (uint16_t length : {uint16_t{0x100}, uint16_t{0x400}, uint16_t{1}, uint16_t{0xFFFF}}) {
    Bytes chain;
    uint16_t remainder = 1;
    while (remainder != 0) {
      const Bytes answer = Send(Encode(GetCertificate{version(), 0, static_cast<uint16_t>(chain.size()), length}));
      ByteView part = answer;
      Result<CertificatePortion> portion = DecodeCertificate(&part);
      ASSERT_TRUE(portion.ok());
      ASSERT_GT(portion->portion.size(), 0u);
      ASSERT_LE(portion->portion.size(), length);
      Append(chain, portion->portion);
      remainder = portion->remainder;
    }
    EXPECT_EQ(chain[0] | chain[1] << 8, static_cast<int>(chain.size()));
    EXPECT_EQ(crypto::Sha384(chain), digests->digests[0]);
  }
  for (uint8_t slot = 1; slot < 16; ++slot)
    ExpectError(Send(Encode(GetCertificate{version(), slot, 0, 0x400})), kInvalidRequest);
  ExpectError(Send(Encode(GetCertificate{version(), 0, 0xFFFF, 0x400})), kInvalidRequest);
  ExpectError(Send(Encode(GetCertificate{version(), 0, 0, 0})), kInvalidRequest);
  ExpectError(Send(Bytes{version(), kGetCertificate, 0, 0, 0, 0, 0}), kInvalidRequest);
}

TEST_P(Connection, Measurements_7) {
  ToNegotiated();
  Bytes transcript;
  auto ask = [&](bool sign, uint8_t operation) {
    GetMeasurements request;
    request.version = version();
    request.want_signature = sign;
    request.operation = operation;
    if (sign) request.nonce = Bytes(32, 3);
    const Bytes bytes = Encode(request);
    const Bytes answer = Send(bytes);
    ByteView view = answer;
    Result<Measurements> parsed = DecodeMeasurements(&view, sign);
    EXPECT_TRUE(parsed.ok());
    Append(transcript, bytes);
    Append(transcript, view.first(view.size() - (sign ? 96 : 0)));
    if (sign) {
      const Bytes signed_bytes = v12() ? Concat({vca_, transcript}) : transcript;
      EXPECT_TRUE(VerifyTranscript(test::TestChain().leaf_key.public_key(), version(), SigningContext::kMeasurements,
                                   signed_bytes, parsed->signature));
      transcript.clear();
    }
    return *parsed;
  };
  const Measurements count = ask(true, kMeasurementCount);
  EXPECT_EQ(count.param1, 64);
  EXPECT_EQ(count.block_count, 0);
  EXPECT_THAT(count.record, IsEmpty());
  EXPECT_EQ(ask(true, kAllMeasurements).block_count, 64);
  // Several unsigned, then one signature over all of them.
  for (uint8_t index = 1; index < 20; ++index) {
    const Measurements one = ask(false, index);
    EXPECT_EQ(one.block_count, 1);
    EXPECT_EQ(one.record, EncodeRecord({device_.measurements.blocks[index - 1]}));
  }
  ask(true, 20);
  // Another request in between starts a new transcript.
  ask(false, 1);
  Send(Plain(kGetDigests));
  transcript.clear();
  ask(true, 2);
  // So does a refusal.
  ask(false, 1);
  ExpectError(Send(Bytes{version(), kGetMeasurements, 0, 65}), kInvalidRequest);
  transcript.clear();
  ask(true, 3);
}

TEST_P(Connection, MeasurementsInvalid_7_4) {
  ToNegotiated();
  for (int index : {65, 100, 254})
    ExpectError(Send(Bytes{version(), kGetMeasurements, 0, static_cast<uint8_t>(index)}), kInvalidRequest);
  for (uint8_t slot = 1; slot < 16; ++slot) {
    GetMeasurements request{version(), true, false, kAllMeasurements, Bytes(32), slot};
    ExpectError(Send(Encode(request)), kInvalidRequest);
  }
  Bytes without_nonce = {version(), kGetMeasurements, 1, 0xFF};
  ExpectError(Send(without_nonce), kInvalidRequest);
}

TEST_P(Connection, EndlessUnsignedMeasurementsAreBounded) {
  ToNegotiated();
  int refusals = 0;
  for (int i = 0; i < 200; ++i) refusals += Send(Bytes{version(), kGetMeasurements, 0, 0xFF})[1] == kError;
  EXPECT_GT(refusals, 0);
  EXPECT_LT(refusals, 10);
}

TEST_P(Connection, SmallRequesterGetsSmallPortions) {
  if (!v12()) {  // 1.1 has no transfer size: everything up to our own limit goes
    ToNegotiated();
    EXPECT_EQ(Send(Encode(GetCertificate{version(), 0, 0, 0xFFFF}))[1], kCertificate);
    EXPECT_GT(Send(Encode(GetMeasurements{version(), true, false, kAllMeasurements, Bytes(32), 0})).size(), 3000u);
    return;
  }
  Version();
  Capabilities request = GoodCapabilities();
  request.data_transfer_size = request.max_message_size = 200;
  ASSERT_EQ(Send(Encode(request))[1], kCapabilities);
  ASSERT_EQ(Send(Encode(GoodAlgorithms()))[1], kAlgorithms);
  EXPECT_EQ(Send(Encode(GetCertificate{version(), 0, 0, 0xFFFF})).size(), 200u);
  const Bytes answer = Send(Encode(GetMeasurements{version(), true, false, kAllMeasurements, Bytes(32), 0}));
  ExpectError(answer, kResponseTooLarge);
  EXPECT_EQ(answer.size(), 8u);
  ExpectError(Send(Encode(GoodKeyExchange())), kResponseTooLarge);
  ExpectError(device_.responder->Handle({true, Bytes(30)}, device_.now).bytes, kInvalidSession);
}

INSTANTIATE_TEST_SUITE_P(Versions, Connection, testing::Values(kVersion11, kVersion12),
                         [](const auto& info) { return info.param == kVersion11 ? "Spdm11" : "Spdm12"; });

}  // namespace
}  // namespace ccgpu::spdm
