// A device that lies, each lie made so that nothing but the requester's own check for it can notice.
#include <gmock/gmock.h>

#include "trust/spdm/test_support.h"

namespace ccgpu::spdm {
namespace {

using test::Device;

class LyingDevice : public testing::TestWithParam<uint8_t> {
 protected:
  // Changes the plain responses of one code.
  void Lie(uint8_t code, std::function<void(Bytes&)> change) {
    device_.on_response = [code, change](Packet& packet) {
      if (!packet.secured && packet.bytes[1] == code) change(packet.bytes);
    };
  }
  std::string ConnectCode() {
    const Status status = requester_.Connect();
    return status.ok() ? "" : status.error().code;
  }
  std::string SessionCode() {
    EXPECT_TRUE(requester_.Connect().ok());
    const Status status = requester_.StartSession();
    EXPECT_FALSE(requester_.in_session());
    EXPECT_TRUE(requester_.export_master_secret().empty());
    return status.ok() ? "" : status.error().code;
  }
  // KEY_EXCHANGE_RSP changed and signed again by the true key, as a device with wrong firmware could.
  void LieAndSign(std::function<void(KeyExchangeRsp&)> change) {
    Lie(kKeyExchangeRsp, [this, change](Bytes& bytes) {
      ByteView view = bytes;
      KeyExchangeRsp response = *DecodeKeyExchangeRsp(&view, false);
      change(response);
      const Bytes verify_data = std::exchange(response.verify_data, {});
      response.signature.clear();
      Bytes chain;
      for (const Packet& packet : device_.responses) {
        if (packet.bytes[1] == kCertificate) chain.assign(packet.bytes.begin() + 8, packet.bytes.end());
      }
      chain.resize(chain[0] | chain[1] << 8);
      ByteView request = device_.requests.back().bytes;
      ASSERT_TRUE(DecodeKeyExchange(&request).ok());
      const Bytes covered = Concat({requester_.vca(), crypto::Sha384(chain), request, Encode(response)});
      response.signature =
          SignTranscript(test::TestChain().leaf_key, GetParam(), SigningContext::kKeyExchangeRsp, covered);
      response.verify_data = verify_data;
      bytes = Encode(response);
    });
  }

  Device device_;
  test::CountingRandom random_{3};
  Requester requester_{
      {.transport = &device_, .random = &random_, .min_version = GetParam(), .max_version = GetParam()}};
};

TEST_P(LyingDevice, ResigningWithoutALieWorks) {  // the positive control of the cases below
  LieAndSign([](KeyExchangeRsp&) {});
  // ECDSA signatures differ, TH1 with them: only VerifyData can notice.
  EXPECT_EQ(SessionCode(), "spdm.verify-data");
}

TEST_P(LyingDevice, AsksForMutualAuthentication) {
  LieAndSign([](KeyExchangeRsp& response) { response.mutual_auth = 1; });
  EXPECT_EQ(SessionCode(), "spdm.mutual-auth");
}

TEST_P(LyingDevice, SelectsAnotherSecuredVersion) {
  LieAndSign([](KeyExchangeRsp& response) { response.opaque[response.opaque.size() - 1] = 0x13; });
  EXPECT_EQ(SessionCode(), "spdm.version");
}

// rule 5: spdm
TEST_P(LyingDevice, SendsAPointOffTheCurve) {
  LieAndSign([](KeyExchangeRsp& response) { response.exchange[0] ^= 1; });
  EXPECT_NE(SessionCode(), "");
}

// rule 16: spdm
TEST_P(LyingDevice, WrongVerifyData) {
  Lie(kKeyExchangeRsp, [](Bytes& bytes) { bytes[bytes.size() - 6] ^= 1; });  // 1.1 and 1.2 end in two bytes of padding
  EXPECT_EQ(SessionCode(), "spdm.verify-data");
}

// r = s = 0, which a verifier without range checks takes for anything.
// rule 5: spdm
// advisory: CVE-2022-21449
TEST_P(LyingDevice, SignaturesOfZeros) {
  Lie(kKeyExchangeRsp, [](Bytes& bytes) {
    ByteView view = bytes;
    KeyExchangeRsp response = *DecodeKeyExchangeRsp(&view, false);
    response.signature.assign(kSignatureSize, 0);
    bytes = Encode(response);
  });
  EXPECT_EQ(SessionCode(), "spdm.signature");
  Lie(kMeasurements, [](Bytes& bytes) {
    ByteView view = bytes;
    Measurements response = *DecodeMeasurements(&view, true);
    response.signature.assign(kSignatureSize, 0);
    bytes = Encode(response);
  });
  EXPECT_EQ(requester_.GetMeasurements(Bytes(32, 1)).error().code, "spdm.signature");
}

// rule 3: spdm
TEST_P(LyingDevice, AlgorithmsThatWereNotOffered) {
  const std::vector<std::pair<size_t, uint8_t>> lies = {{6, 2},  {7, 0x05}, {8, 2},     {12, 0x10},
                                                        {16, 1}, {38, 8},   {42, 1},    {46, 2},
                                                        {50, 2}, {38, 0},   {38, 0x30}, {12, 0x90}};
  for (const auto& [at, value] : lies) {
    Lie(kAlgorithms, [&](Bytes& bytes) { bytes[at] = value; });
    EXPECT_EQ(ConnectCode(), "spdm.algorithms") << "byte " << at << " = " << int{value};
  }
  Lie(kAlgorithms, [](Bytes& bytes) { bytes[46] = 0; });  // no requester signature algorithm: fine
  EXPECT_EQ(ConnectCode(), "");
  Lie(kAlgorithms, [](Bytes& bytes) {  // a structure is missing
    bytes[2] = 3;
    bytes[4] -= 4;
    bytes.resize(bytes.size() - 4);
  });
  EXPECT_EQ(ConnectCode(), "spdm.algorithms");
}

TEST_P(LyingDevice, Capabilities) {
  Lie(kCapabilities, [](Bytes& bytes) { bytes[8] ^= 0x04; });
  EXPECT_EQ(ConnectCode(), "spdm.capabilities");
  Lie(kCapabilities, [](Bytes& bytes) { bytes[5] = 0x1E; });
  EXPECT_EQ(ConnectCode(), "spdm.capabilities");
  if (GetParam() >= kVersion12) {
    Lie(kCapabilities, [](Bytes& bytes) { bytes[13] = 0; });  // transfer size 0
    EXPECT_EQ(ConnectCode(), "spdm.capabilities");
  }
}

TEST_P(LyingDevice, Version) {
  Lie(kVersion, [](Bytes& bytes) { bytes[7] = bytes[9] = 0x13; });
  EXPECT_EQ(ConnectCode(), "spdm.version");
  Lie(kVersion, [](Bytes& bytes) { bytes[6] = bytes[8] = 0x01; });  // an alpha release
  EXPECT_EQ(ConnectCode(), "spdm.version");
  Lie(kCapabilities, [](Bytes& bytes) { bytes[0] ^= 0x03; });
  EXPECT_EQ(ConnectCode(), "spdm.version");
}

// The root hash is in the chain structure that DIGESTS covers: a device may lie in both consistently.
// rule 4: spdm
TEST_P(LyingDevice, RootHashOfAnotherRoot) {
  Bytes chain;
  Lie(kCertificate, [&](Bytes& bytes) { bytes[8 + 4] ^= 1; });
  EXPECT_EQ(ConnectCode(), "spdm.certificate");
  chain = device_.responses.back().bytes;
  chain.erase(chain.begin(), chain.begin() + 8);
  chain.resize(chain[0] | chain[1] << 8);
  device_.on_response = [&](Packet& packet) {
    if (packet.bytes[1] == kCertificate) packet.bytes[8 + 4] ^= 1;
    if (packet.bytes[1] == kDigests) std::ranges::copy(crypto::Sha384(chain), packet.bytes.begin() + 4);
  };
  const Status status = requester_.Connect();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, "spdm.certificate");
  EXPECT_THAT(status.error().text, testing::HasSubstr("root hash"));
}

TEST_P(LyingDevice, PortionsThatWereNotAskedFor) {
  Lie(kCertificate, [](Bytes& bytes) { bytes = Encode(CertificatePortion{bytes[0], 0, {}, 100}); });
  EXPECT_EQ(ConnectCode(), "spdm.certificate") << "an empty portion would never end";
  Lie(kCertificate, [](Bytes& bytes) { bytes = Encode(CertificatePortion{bytes[0], 1, {1}, 0}); });
  EXPECT_EQ(ConnectCode(), "spdm.certificate") << "another slot";
  Lie(kCertificate, [](Bytes& bytes) { bytes = Encode(CertificatePortion{bytes[0], 0, {1}, 0xFFFF}); });
  EXPECT_EQ(ConnectCode(), "spdm.certificate") << "longer than 64 KiB";
  Lie(kDigests, [](Bytes& bytes) { bytes[3] = 2; });
  EXPECT_EQ(ConnectCode(), "spdm.certificate") << "slot 0 is empty";
}

// Measurements of another nonce, or another block, signed truly but for another question.
// rule 1: spdm
TEST_P(LyingDevice, OldReportForANewNonce) {
  ASSERT_TRUE(requester_.Connect().ok());
  ASSERT_TRUE(requester_.GetMeasurements(Bytes(32, 1)).ok());
  const Packet old = device_.responses.back();
  device_.on_response = [&](Packet& packet) { packet = old; };
  EXPECT_EQ(requester_.GetMeasurements(Bytes(32, 2)).error().code, "spdm.signature");
}

TEST_P(LyingDevice, SecuredAnswerToAPlainRequest) {
  device_.on_response = [](Packet& packet) { packet = {true, Bytes(40)}; };
  EXPECT_EQ(ConnectCode(), "spdm.malformed");
}

INSTANTIATE_TEST_SUITE_P(Versions, LyingDevice, testing::Values(kVersion11, kVersion12),
                         [](const auto& info) { return info.param == kVersion11 ? "Spdm11" : "Spdm12"; });

}  // namespace
}  // namespace ccgpu::spdm
