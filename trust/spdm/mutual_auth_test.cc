// Mutual authentication by encapsulated requests, as an H100 and its driver do it: the whole way, and each lie of
// either end.
#include <gmock/gmock.h>

#include "trust/spdm/test_support.h"

namespace ccgpu::spdm {
namespace {

using RequesterAuth = ResponderConfig::RequesterAuth;
using test::Device;
using test::TestChain;
using test::TestIdentity;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

struct Way {
  uint8_t version;
  MutualAuth how;
};

class MutualAuthFlow : public testing::TestWithParam<Way> {
 protected:
  // A device that asks for authentication, and what it saw of its requesters.
  std::unique_ptr<Device> MakeDevice(std::function<void(ResponderConfig&)> change = {}) {
    return std::make_unique<Device>(7, TestChain(), [&](ResponderConfig& config) {
      config.mutual_auth = GetParam().how;
      config.requester_auth = RequesterAuth::kRequired;
      if (change) change(config);
    });
  }
  Requester Make(Transport& transport, const RequesterIdentity* identity = &TestIdentity()) {
    return Requester({.transport = &transport,
                      .random = &random_,
                      .min_version = GetParam().version,
                      .max_version = GetParam().version,
                      .identity = identity});
  }
  // The code with which StartSession fails; empty when it does not.
  std::string SessionCode(Requester& requester) {
    const Status connected = requester.Connect();
    EXPECT_TRUE(connected.ok()) << connected.error().ToString();
    const Status started = requester.StartSession();
    EXPECT_EQ(started.ok(), requester.in_session());
    return started.ok() ? "" : started.error().code;
  }
  test::CountingRandom random_{42};
};

TEST_P(MutualAuthFlow, WholeWay) {
  std::vector<std::string> seen;
  const auto device = MakeDevice([&](ResponderConfig& config) {
    config.accept_requester = [&](const std::vector<crypto::Certificate>& chain) {
      seen.push_back(chain.back().SubjectCommonName());
      return true;
    };
  });
  Requester requester = Make(*device);
  ASSERT_EQ(SessionCode(requester), "");
  EXPECT_THAT(seen, ElementsAre("EMULATED, NOT NVIDIA: test driver"));
  EXPECT_THAT(device->session_secrets, ElementsAre(requester.export_master_secret()));
  EXPECT_TRUE(requester.Heartbeat().ok());
  EXPECT_TRUE(requester.UpdateKeys().ok());
  EXPECT_TRUE(requester.EndSession().ok());
  // And again on the same connection.
  ASSERT_TRUE(requester.StartSession().ok());
  EXPECT_THAT(seen, SizeIs(2));
}

// A small buffer on either side: the chain goes in several portions.
TEST_P(MutualAuthFlow, ChainInPortions) {
  const auto device = MakeDevice([](ResponderConfig& config) { config.max_message_size = 700; });
  device->measurements.blocks.resize(3);
  Requester requester = Make(*device);
  size_t sealed_before = 0;
  ASSERT_EQ(SessionCode(requester), "");
  for (const Packet& packet : device->requests) sealed_before += packet.secured;
  EXPECT_GE(sealed_before, 4u) << "(GET_ENCAPSULATED_REQUEST), DIGESTS, at least two CERTIFICATEs, FINISH";
}

TEST_P(MutualAuthFlow, RequiredOfARequesterThatCannot) {
  const auto device = MakeDevice();
  Requester requester = Make(*device, nullptr);
  EXPECT_EQ(SessionCode(requester), "spdm.peer-error");
  EXPECT_EQ(device->responses.back().bytes[2], kUnsupportedRequest);
  EXPECT_THAT(device->session_secrets, IsEmpty());
}

TEST_P(MutualAuthFlow, OfferedAndNotWanted) {
  for (const auto auth : {RequesterAuth::kNever, RequesterAuth::kIfOffered}) {
    const auto device = MakeDevice([&](ResponderConfig& config) { config.requester_auth = auth; });
    const bool never = auth == RequesterAuth::kNever;
    Requester requester = Make(*device, never ? &TestIdentity() : nullptr);
    EXPECT_EQ(SessionCode(requester), "");
  }
}

// rule 4: spdm
TEST_P(MutualAuthFlow, ChainThatTheDeviceDoesNotAccept) {
  const auto device = MakeDevice([](ResponderConfig& config) {
    config.accept_requester = [](const std::vector<crypto::Certificate>&) { return false; };
  });
  Requester requester = Make(*device);
  EXPECT_EQ(SessionCode(requester), "spdm.peer-error");
  EXPECT_THAT(device->session_secrets, IsEmpty());
  EXPECT_FALSE(device->responder->in_session());
  EXPECT_THAT(device->session_ends, IsEmpty()) << "it never was a session";
}

// The certificate is public: whoever shows it must also sign with its key.
// rule 2: spdm
TEST_P(MutualAuthFlow, AnothersCertificate) {
  const auto device = MakeDevice();
  Requester requester = Make(*device, &test::OtherTestIdentity());
  EXPECT_EQ(SessionCode(requester), "spdm.peer-error");
  EXPECT_THAT(device->session_secrets, IsEmpty());
}

// rule 3: spdm
TEST_P(MutualAuthFlow, LeafKeyOfAnotherType) {
  const RequesterIdentity elliptic = {TestChain().der, TestIdentity().key};
  const auto device = MakeDevice();
  Requester requester = Make(*device, &elliptic);
  EXPECT_EQ(SessionCode(requester), "spdm.peer-error");
  EXPECT_THAT(device->session_secrets, IsEmpty());
}

// A host that strips MUT_AUTH from either end's capabilities, to have a session that nobody signed for.
TEST_P(MutualAuthFlow, StrippedCapabilities) {
  const auto device = MakeDevice([](ResponderConfig& c) { c.requester_auth = RequesterAuth::kIfOffered; });
  device->on_request = [](Packet& packet) {
    if (!packet.secured && packet.bytes[1] == kGetCapabilities) packet.bytes[9] &= ~(kCapMutAuth >> 8);
  };
  Requester requester = Make(*device);
  EXPECT_EQ(SessionCode(requester), "spdm.signature") << "the transcripts differ";
}

INSTANTIATE_TEST_SUITE_P(Ways, MutualAuthFlow,
                         testing::Values(Way{kVersion11, MutualAuth::kEncapsulated},
                                         Way{kVersion12, MutualAuth::kEncapsulated},
                                         Way{kVersion11, MutualAuth::kImplicitGetDigests},
                                         Way{kVersion12, MutualAuth::kImplicitGetDigests}),
                         [](const auto& info) {
                           return std::string(info.param.version == kVersion11 ? "Spdm11" : "Spdm12") +
                                  (info.param.how == MutualAuth::kEncapsulated ? "Encapsulated" : "ImplicitGetDigests");
                         });

// The device's half alone, so that each answer can be wrong in one thing.
class Asking : public testing::TestWithParam<uint8_t> {
 protected:
  uint8_t version() const { return GetParam(); }
  RequesterAuthentication Start() {
    RequesterAuthentication device(version(), MutualAuth::kEncapsulated, 4000, {});
    const auto first = device.OnGetEncapsulatedRequest(Bytes{version(), kGetEncapsulatedRequest, 0, 0});
    EXPECT_EQ(first.message, (Bytes{version(), kEncapsulatedRequest, 1, 0, version(), kGetDigests, 0, 0}));
    return device;
  }
  RequesterAuthentication::Answer Deliver(RequesterAuthentication& device, uint8_t id, const Bytes& response) {
    return device.OnDeliverEncapsulatedResponse(Encode(DeliverEncapsulatedResponse{version(), id, response}));
  }
  Bytes GoodDigests() const { return Encode(Digests{version(), 1, {crypto::Sha384(chain_)}}); }
  Bytes GoodCertificate() const { return Encode(CertificatePortion{version(), 0, chain_, 0}); }
  void ExpectEnds(const RequesterAuthentication::Answer& answer) {
    EXPECT_EQ(answer.message, (Bytes{version(), kError, kInvalidResponseCode, 0}));
    EXPECT_TRUE(answer.ends_handshake);
  }
  void ExpectRefused(const RequesterAuthentication::Answer& answer, uint8_t code) {
    EXPECT_EQ(answer.message, (Bytes{version(), kError, code, 0}));
    EXPECT_FALSE(answer.ends_handshake);
  }
  const Bytes chain_ = EncodeChain(TestIdentity().chain_der);
};

TEST_P(Asking, GoodAnswers) {
  RequesterAuthentication device = Start();
  const auto second = Deliver(device, 1, GoodDigests());
  ByteView view = second.message;
  const auto ack = DecodeEncapsulatedResponseAck(&view);
  ASSERT_TRUE(ack.ok());
  EXPECT_EQ(ack->payload, AckPayload::kRequest);
  EXPECT_EQ(ack->request_id, 2);
  EXPECT_EQ(ack->ack_request_id, version() >= kVersion12 ? 1 : 0);
  EXPECT_EQ(ack->request, (Bytes{version(), kGetCertificate, 0, 0, 0, 0, 4000 & 0xFF, 4000 >> 8}));
  const auto last = Deliver(device, 2, GoodCertificate());
  view = last.message;
  const auto end = DecodeEncapsulatedResponseAck(&view);
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->payload, AckPayload::kAbsent);
  ASSERT_TRUE(device.done());
  EXPECT_EQ(device.chain_hash(), crypto::Sha384(chain_));
  EXPECT_EQ(device.key(), TestIdentity().key.public_key());
  ExpectRefused(Deliver(device, 3, GoodDigests()), kUnexpectedRequest);
  ExpectRefused(device.OnGetEncapsulatedRequest(Bytes{version(), kGetEncapsulatedRequest, 0, 0}), kUnexpectedRequest);
  EXPECT_TRUE(device.done());
}

TEST_P(Asking, OutOfOrder) {
  RequesterAuthentication device(version(), MutualAuth::kEncapsulated, 4000, {});
  ExpectRefused(Deliver(device, 0, GoodDigests()), kUnexpectedRequest);
  ExpectRefused(Deliver(device, 1, GoodDigests()), kUnexpectedRequest);
  device = Start();
  ExpectRefused(device.OnGetEncapsulatedRequest(Bytes{version(), kGetEncapsulatedRequest, 0, 0}), kUnexpectedRequest);
  for (uint8_t id : {0, 2, 255}) ExpectRefused(Deliver(device, id, GoodDigests()), kInvalidRequest);
  ExpectRefused(device.OnDeliverEncapsulatedResponse(Bytes{version(), kDeliverEncapsulatedResponse, 1, 0}),
                kInvalidRequest);
  ExpectRefused(device.OnDeliverEncapsulatedResponse(Bytes{version(), kDeliverEncapsulatedResponse, 1, 0, 1, 2, 3}),
                kInvalidRequest);
  ExpectRefused(device.OnGetEncapsulatedRequest(Bytes{version(), kGetEncapsulatedRequest, 0, 0, 1}), kInvalidRequest);
  EXPECT_FALSE(device.done());
  EXPECT_FALSE(Deliver(device, 1, GoodDigests()).ends_handshake) << "none of these changed anything";
  EXPECT_FALSE(Deliver(device, 2, GoodCertificate()).ends_handshake);
  EXPECT_TRUE(device.done());
}

TEST_P(Asking, WrongDigests) {
  Bytes other_version = GoodDigests();
  other_version[0] ^= 3;
  Bytes empty_slot = GoodDigests();
  empty_slot[3] = 2;
  const Bytes error = Encode(ErrorMessage{version(), kUnsupportedRequest, kGetDigests, {}});
  Bytes shorter = GoodDigests();
  shorter.pop_back();
  for (const Bytes& bad : {other_version, empty_slot, error, shorter, Concat({GoodDigests(), Bytes(1)}),
                           Encode(Digests{version(), 0, {}}), GoodCertificate()}) {
    RequesterAuthentication device = Start();
    ExpectEnds(Deliver(device, 1, bad));
    EXPECT_FALSE(device.done());
  }
}

// rule 15: spdm
TEST_P(Asking, WrongCertificates) {
  const auto portion = [&](uint8_t slot, Bytes bytes, uint16_t remainder) {
    return Encode(CertificatePortion{version(), slot, std::move(bytes), remainder});
  };
  Bytes cut = chain_;
  cut.pop_back();
  Bytes no_certificate(chain_.begin(), chain_.begin() + 52);
  for (const Bytes& bad : {portion(0, {}, 100), portion(1, chain_, 0), portion(0, Bytes(4001), 0),
                           portion(0, Bytes(100), 0xFFFF), portion(0, cut, 0), portion(0, no_certificate, 0),
                           GoodDigests(), Encode(ErrorMessage{version(), kInvalidRequest, 0, {}})}) {
    RequesterAuthentication device = Start();
    ASSERT_FALSE(Deliver(device, 1, GoodDigests()).ends_handshake);
    ExpectEnds(Deliver(device, 2, bad));
    EXPECT_FALSE(device.done());
  }
  // The length may not change between portions.
  RequesterAuthentication device = Start();
  Deliver(device, 1, GoodDigests());
  ASSERT_FALSE(Deliver(device, 2, portion(0, Bytes(chain_.begin(), chain_.begin() + 100), 500)).ends_handshake);
  ExpectEnds(Deliver(device, 3, portion(0, Bytes(100), 401)));
}

// Digests that fit a chain which is not one.
TEST_P(Asking, ConsistentNonsense) {
  Bytes wrong_root = chain_;
  wrong_root[4] ^= 1;
  Bytes wrong_length = chain_;
  wrong_length[0] ^= 1;
  for (const Bytes& chain : {wrong_root, wrong_length, Bytes(300, 0x30), Bytes(60)}) {
    RequesterAuthentication device = Start();
    ASSERT_FALSE(Deliver(device, 1, Encode(Digests{version(), 1, {crypto::Sha384(chain)}})).ends_handshake);
    ExpectEnds(Deliver(device, 2, Encode(CertificatePortion{version(), 0, chain, 0})));
    EXPECT_FALSE(device.done());
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, Asking, testing::Values(kVersion11, kVersion12),
                         [](const auto& info) { return info.param == kVersion11 ? "Spdm11" : "Spdm12"; });

}  // namespace
}  // namespace ccgpu::spdm
