// A requester taken apart, so that tests can send the responder anything at any moment.
#pragma once

#include <gmock/gmock.h>

#include "trust/spdm/ephemeral.h"
#include "trust/spdm/opaque.h"
#include "trust/spdm/test_support.h"

namespace ccgpu::spdm::test {

class Conformance : public testing::TestWithParam<uint8_t> {
 protected:
  uint8_t version() const { return GetParam(); }
  bool v12() const { return version() >= kVersion12; }

  Bytes Send(ByteView message) {
    const Packet answer = device_.responder->Handle({false, ToBytes(message)}, device_.now);
    EXPECT_FALSE(answer.secured);
    return answer.bytes;
  }
  Bytes SendSealed(ByteView message) {
    Result<Bytes> record = session_->Seal(message);
    const Packet answer = device_.responder->Handle({true, *record}, device_.now);
    EXPECT_TRUE(answer.secured);
    Result<Bytes> opened = session_->Open(answer.bytes);
    EXPECT_TRUE(opened.ok());
    return opened.ok() ? *opened : Bytes{};
  }
  void ExpectError(const Bytes& answer, uint8_t code, uint8_t data = 0, std::optional<uint8_t> header_version = {}) {
    ASSERT_GE(answer.size(), 4u);
    EXPECT_EQ(answer[1], kError) << "code " << int{answer[1]};
    EXPECT_EQ(answer[0], header_version.value_or(version()));
    EXPECT_EQ(ErrorCodeName(answer[2]), ErrorCodeName(code));
    EXPECT_EQ(answer[3], data);
  }

  Capabilities GoodCapabilities() const {
    Capabilities request;
    request.version = version();
    request.code = kGetCapabilities;
    request.flags = kRequesterFlags | (mutual_ ? kCapMutAuth : 0);
    request.data_transfer_size = request.max_message_size = kMaxMessageSize;
    return request;
  }
  Algorithms GoodAlgorithms() const {
    Algorithms request;
    request.version = version();
    request.measurement_spec = kMeasurementSpecDmtf;
    request.other_params = v12() ? kOpaqueFormat1 : 0;
    request.base_asym = 0x1FF;
    request.base_hash = 0x3F;
    request.dhe = 0x3F;
    request.aead = 7;
    request.req_base_asym = 0x1FF;
    request.key_schedule = 1;
    return request;
  }
  void Version() { vca_ = Concat({get_version_, Send(get_version_)}); }
  void ToCapabilities() {
    Version();
    const Bytes request = Encode(GoodCapabilities());
    const Bytes response = Send(request);
    ASSERT_EQ(response[1], kCapabilities);
    vca_ = Concat({vca_, request, response});
  }
  void ToNegotiated() {
    ToCapabilities();
    const Bytes request = Encode(GoodAlgorithms());
    const Bytes response = Send(request);
    ASSERT_EQ(response[1], kAlgorithms);
    vca_ = Concat({vca_, request, response});
  }
  KeyExchange GoodKeyExchange() {
    ephemeral_ = MakeEphemeralKey(random_);
    KeyExchange request;
    request.version = version();
    request.session_id = 0x1234;
    request.random = random_.Take(32);
    request.exchange = ephemeral_.public_key().Point();
    request.opaque = EncodeSupportedVersions(version());
    return request;
  }
  // A handshake up to KEY_EXCHANGE_RSP, checked as a requester would.
  void ToHandshake(uint8_t summary = kSummaryNone) {
    KeyExchange request = GoodKeyExchange();
    request.summary_type = summary;
    const Bytes request_bytes = Encode(request);
    const Bytes response_bytes = Send(request_bytes);
    ASSERT_EQ(response_bytes[1], kKeyExchangeRsp);
    ByteView view = response_bytes;
    Result<KeyExchangeRsp> response = DecodeKeyExchangeRsp(&view, summary != kSummaryNone);
    ASSERT_TRUE(response.ok());
    EXPECT_EQ(response->mutual_auth, mutual_ ? 2 : 0);
    EXPECT_EQ(response->heartbeat_period, 4);
    EXPECT_EQ(response->summary_hash,
              summary == kSummaryNone ? Bytes{} : SummaryHash(device_.measurements.blocks, summary));
    Writer chain;
    for (const Bytes& der : TestChain().der) chain.Raw(der);
    Writer structure;
    structure.U16(4 + 48 + chain.size()).U16(0).Raw(crypto::Sha384(TestChain().der[0])).Raw(chain.bytes());
    const Bytes before = Concat({vca_, crypto::Sha384(structure.bytes()), request_bytes});
    const Bytes th1 = Concat({before, view.first(view.size() - 48)});
    EXPECT_TRUE(VerifyTranscript(TestChain().leaf_key.public_key(), version(), SigningContext::kKeyExchangeRsp,
                                 ByteView(th1).first(th1.size() - 96), response->signature));
    auto peer = crypto::PublicKey::FromPoint(crypto::KeyType::kP384, response->exchange);
    session_ =
        std::make_unique<Session>(Session::Role::kRequester, version(), uint32_t{response->session_id} << 16 | 0x1234,
                                  *ephemeral_.Agree(*peer), crypto::Sha384(th1));
    EXPECT_EQ(response->verify_data, session_->ResponderVerifyData(th1));
    session_->transcript = Concat({before, view});
  }
  Bytes GoodFinish() {
    Finish finish;
    finish.version = version();
    finish.verify_data = session_->RequesterVerifyData(Concat({session_->transcript, Encode(finish)}));
    return Encode(finish);
  }
  void ToSession() {
    ToNegotiated();
    ToHandshake();
    const Bytes finish = GoodFinish();
    const Bytes response = SendSealed(finish);
    ASSERT_EQ(response, (Bytes{version(), kFinishRsp, 0, 0}));
    session_->Establish(crypto::Sha384(Concat({session_->transcript, finish, response})));
    ASSERT_TRUE(device_.responder->in_session());
  }
  Bytes Plain(uint8_t code, uint8_t param1 = 0, uint8_t param2 = 0) { return {version(), code, param1, param2}; }

  bool mutual_ = false;  // the requester has a certificate, so the device asks for it
  const Bytes get_version_ = {0x10, kGetVersion, 0, 0};
  Device device_;
  CountingRandom random_{99};
  crypto::PrivateKey ephemeral_;
  Bytes vca_;
  std::unique_ptr<Session> session_;
};

}  // namespace ccgpu::spdm::test
