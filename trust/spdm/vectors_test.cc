// Our bytes against other people's: sessions between DMTF's own programs (logs and key-schedule answers), and
// attestation reports of real H100s.
#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/file.h"
#include "trust/spdm/certificate_chain.h"
#include "trust/spdm/opaque.h"
#include "trust/spdm/test_support.h"

namespace ccgpu::spdm {
namespace {

using test::Log;
using test::LoggedMessage;
using Kat = std::map<std::string, Bytes>;

void ExpectKeySchedule(uint8_t version, Kat kat) {
  const HandshakeSecrets handshake = DeriveHandshakeSecrets(version, kat["dhe_secret"], kat["th1_hash"]);
  EXPECT_EQ(handshake.handshake, kat["handshake_secret"]);
  EXPECT_EQ(handshake.request, kat["request_handshake_secret"]);
  EXPECT_EQ(handshake.response, kat["response_handshake_secret"]);
  const DataSecrets data = DeriveDataSecrets(version, handshake.handshake, kat["th2_hash"]);
  EXPECT_EQ(data.master, kat["master_secret"]);
  EXPECT_EQ(data.request, kat["request_data_secret"]);
  EXPECT_EQ(data.response, kat["response_data_secret"]);
  EXPECT_EQ(data.export_master, kat["export_master_secret"]);
  EXPECT_EQ(UpdatedSecret(version, data.request), kat["request_data_secret_updated"]);
  EXPECT_EQ(UpdatedSecret(version, data.response), kat["response_data_secret_updated"]);
}

TEST(Vectors, KeySchedule) {
  REQUIRE_VECTORS(folder);
  for (const auto& [name, version] : std::map<std::string, uint8_t>{{"doe11", kVersion11},
                                                                    {"doe12", kVersion12},
                                                                    {"doe12_clear", kVersion12},
                                                                    {"h100_profile_11", kVersion11},
                                                                    {"h100_profile_12", kVersion12}}) {
    SCOPED_TRACE(name);
    const std::vector<Kat> kats = test::ReadKats(*folder / (name + ".kat.json"));
    ASSERT_EQ(kats.size(), 2u);
    for (const Kat& kat : kats) ExpectKeySchedule(version, kat);
  }
}

// Cuts the padding and checks that our encoder gives back the same bytes.
Bytes Exact(const LoggedMessage& message) {
  ByteView view = message.bytes;
  const std::string& name = message.name;
  Bytes again;
  auto take = [&](auto decoded) {
    EXPECT_TRUE(decoded.ok()) << name << ": " << decoded.error().ToString();
    if constexpr (requires { Encode(*decoded); }) {
      if (decoded.ok()) again = Encode(*decoded);
    } else {
      if (decoded.ok()) again = EncodeHeader(*decoded);
    }
  };
  const uint8_t code = message.bytes[1];
  if (name == "VERSION") take(DecodeVersion(&view));
  else if (name == "GET_CAPABILITIES" || name == "CAPABILITIES") take(DecodeCapabilities(&view, code));
  else if (name == "NEGOTIATE_ALGORITHMS") take(DecodeAlgorithms(&view, false));
  else if (name == "ALGORITHMS") take(DecodeAlgorithms(&view, true));
  else if (name == "DIGESTS") take(DecodeDigests(&view));
  else if (name == "GET_CERTIFICATE") take(DecodeGetCertificate(&view));
  else if (name == "CERTIFICATE") take(DecodeCertificate(&view));
  else if (name == "GET_MEASUREMENTS") take(DecodeGetMeasurements(&view));
  else if (name == "MEASUREMENTS") take(DecodeMeasurements(&view, true));
  else if (name == "KEY_EXCHANGE") take(DecodeKeyExchange(&view));
  else if (name == "KEY_EXCHANGE_RSP") take(DecodeKeyExchangeRsp(&view, true));
  else if (name == "FINISH") take(DecodeFinish(&view, false));
  else if (name == "CHALLENGE") take(DecodeChallenge(&view));
  else if (name == "CHALLENGE_AUTH") take(DecodeChallengeAuth(&view, true));
  else take(DecodeHeaderOnly(&view, code, name));
  EXPECT_EQ(HexEncode(again), HexEncode(view)) << name;
  return ToBytes(view);
}

struct DmtfRun {
  const char* name;  // of the log, without .req.log or .rsp.log
  uint8_t version;
  const char* end = ".req.log";
  std::string log() const { return std::string(name) + end; }
  friend std::ostream& operator<<(std::ostream& out, const DmtfRun& run) { return out << run.name; }
};

class DmtfLog : public testing::TestWithParam<DmtfRun> {};

TEST_P(DmtfLog, EveryMessageDecodesAndEncodesToItself) {
  REQUIRE_VECTORS(folder);
  const Log log = test::ReadLog(*folder / (GetParam().log()));
  ASSERT_GT(log.messages.size(), 40u);
  for (const LoggedMessage& message : log.messages) Exact(message);
}

// Both sessions of the log: transcripts, signatures, VerifyData, key schedule, every secured record, key update,
// in-session measurement signature. Only DMTF's private keys are missing to have been either end.
TEST_P(DmtfLog, SessionsReplay) {
  REQUIRE_VECTORS(folder);
  const uint8_t version = GetParam().version;
  const Log log = test::ReadLog(*folder / (GetParam().log()));
  std::vector<Kat> kats = test::ReadKats(*folder / (std::string(GetParam().name) + ".kat.json"));
  Bytes vca, chain;
  for (const char* name :
       {"GET_VERSION", "VERSION", "GET_CAPABILITIES", "CAPABILITIES", "NEGOTIATE_ALGORITHMS", "ALGORITHMS"}) {
    Append(vca, Exact(log.All(name).at(0)));
  }
  // DMTF's responder has two slots and its requester opens the second session on slot 1: certificates 0 and 1 of the
  // log.
  crypto::PublicKey leaf;
  auto use_slot = [&](uint8_t slot) {
    const Bytes certificate = Exact(log.All("CERTIFICATE").at(slot));
    chain.assign(certificate.begin() + 8, certificate.end());
    const Bytes digests = Exact(log.All("DIGESTS").at(0));
    EXPECT_TRUE(Equal(crypto::Sha384(chain), ByteView(digests).subspan(4 + slot * kHashSize, kHashSize)));
    for (size_t at = 4 + kHashSize; at < chain.size();) {
      const size_t size = 4 + (chain[at + 2] << 8 | chain[at + 3]);
      auto parsed = crypto::Certificate::FromDer(ByteView(chain).subspan(at, size));
      if (!parsed.ok()) FAIL() << parsed.error().ToString();
      leaf = parsed->key();
      at += size;
    }
  };

  // Secured objects in the log's order; each belongs to the next logged message with a session id.
  std::deque<Bytes> records;
  for (const test::LoggedObject& object : log.objects) {
    if (object.bytes.size() < 12 || object.bytes[2] != 2) continue;
    Result<Packet> packet = DecodeDoe(object.bytes);
    ASSERT_TRUE(packet.ok()) << packet.error().ToString();
    EXPECT_EQ(EncodeDoe(*packet), object.bytes);
    records.push_back(packet->bytes);
  }

  size_t session_index = 0;
  std::unique_ptr<Session> requester, responder;
  Bytes transcript, measurements, summary;
  uint8_t update = 0;
  int records_opened = 0, measurements_verified = 0;
  Bytes before;
  for (const LoggedMessage& message : log.messages) {
    const Bytes exact = Exact(message);
    if (message.name == "KEY_EXCHANGE") {
      use_slot(exact[3]);
      before = Concat({vca, crypto::Sha384(chain), exact});
      ByteView view = exact;
      Result<KeyExchange> parsed = DecodeKeyExchange(&view);
      EXPECT_EQ(parsed->opaque, EncodeSupportedVersions(version));
      EXPECT_EQ(*DecodeSupportedVersions(version, parsed->opaque), (std::vector<uint16_t>{0x1000, 0x1100, 0x1200}));
    } else if (message.name == "KEY_EXCHANGE_RSP") {
      ByteView view = exact;
      Result<KeyExchangeRsp> parsed = DecodeKeyExchangeRsp(&view, true);
      ASSERT_TRUE(parsed.ok());
      EXPECT_EQ(parsed->opaque, EncodeSelectedVersion(version, *DecodeSelectedVersion(version, parsed->opaque)));
      summary = parsed->summary_hash;
      const size_t unsigned_size = exact.size() - kHashSize - kSignatureSize;
      EXPECT_TRUE(VerifyTranscript(leaf, version, SigningContext::kKeyExchangeRsp,
                                   Concat({before, ByteView(exact).first(unsigned_size)}), parsed->signature));
      const Bytes th1 = Concat({before, ByteView(exact).first(exact.size() - kHashSize)});
      Kat& kat = kats.at(session_index);
      EXPECT_EQ(HexEncode(crypto::Sha384(th1)), HexEncode(kat["th1_hash"]));
      requester = std::make_unique<Session>(Session::Role::kRequester, version, 0xFFFFFFFF, kat["dhe_secret"],
                                            crypto::Sha384(th1));
      responder = std::make_unique<Session>(Session::Role::kResponder, version, 0xFFFFFFFF, kat["dhe_secret"],
                                            crypto::Sha384(th1));
      EXPECT_EQ(parsed->verify_data, responder->ResponderVerifyData(th1));
      transcript = Concat({before, exact});
    }
    if (message.session_id == 0) continue;

    // Both ends: whoever seals must give the logged record byte by byte, whoever opens must get the logged message.
    ASSERT_FALSE(records.empty());
    const Bytes record = records.front();
    records.pop_front();
    const bool all_keys = update == 2;
    if (!message.request && all_keys) {  // acknowledged under the new response key
      requester->UpdateResponseKey();
      responder->UpdateResponseKey();
    }
    Session& from = message.request ? *requester : *responder;
    Session& to = message.request ? *responder : *requester;
    Result<Bytes> sealed = from.Seal(exact);
    ASSERT_TRUE(sealed.ok());
    EXPECT_EQ(HexEncode(*sealed), HexEncode(record)) << message.name;
    Result<Bytes> opened = to.Open(record);
    ASSERT_TRUE(opened.ok()) << message.name << ": " << opened.error().ToString();
    EXPECT_EQ(*opened, exact) << message.name;
    ++records_opened;
    if (!message.request && update != 0) {
      if (update != 3) {
        requester->UpdateRequestKey();
        responder->UpdateRequestKey();
        EXPECT_EQ(requester->data_secrets().request, kats[session_index]["request_data_secret_updated"]);
        if (all_keys) {
          EXPECT_EQ(requester->data_secrets().response, kats[session_index]["response_data_secret_updated"]);
        }
      }
      update = 0;
    }

    if (message.name == "FINISH") {
      const Bytes covered = Concat({transcript, ByteView(exact).first(4)});
      EXPECT_TRUE(Equal(ByteView(exact).subspan(4), requester->RequesterVerifyData(covered)));
      Append(transcript, exact);
    } else if (message.name == "FINISH_RSP") {
      Append(transcript, exact);
      EXPECT_EQ(HexEncode(crypto::Sha384(transcript)), HexEncode(kats[session_index]["th2_hash"]));
      requester->Establish(crypto::Sha384(transcript));
      responder->Establish(crypto::Sha384(transcript));
      EXPECT_EQ(requester->export_master_secret(), kats[session_index]["export_master_secret"]);
    } else if (message.name == "KEY_UPDATE") {
      update = exact[2];
    } else if (message.name == "GET_MEASUREMENTS") {
      measurements = exact;
    } else if (message.name == "MEASUREMENTS") {
      ByteView view = exact;
      Result<Measurements> parsed = DecodeMeasurements(&view, true);
      MeasurementTranscript l1;
      ASSERT_TRUE(l1.Add(measurements) && l1.Add(ByteView(exact).first(exact.size() - 96)));
      EXPECT_TRUE(
          VerifyTranscript(leaf, version, SigningContext::kMeasurements, l1.ToSign(version, vca), parsed->signature));
      Result<std::vector<MeasurementBlock>> blocks = DecodeRecord(parsed->record, parsed->block_count);
      if (blocks.ok()) {  // DMTF's sample numbers its manifest 0xFD, 0xFE: all fit
        EXPECT_EQ(EncodeRecord(*blocks), parsed->record);
        EXPECT_EQ(HexEncode(SummaryHash(*blocks, kSummaryAll)), HexEncode(summary));
      } else {
        ADD_FAILURE() << blocks.error().ToString();
      }
      ++measurements_verified;
    } else if (message.name == "END_SESSION_ACK") {
      ++session_index;
    }
  }
  EXPECT_EQ(session_index, 2u);
  EXPECT_TRUE(records.empty());
  EXPECT_EQ(records_opened, 24);
  EXPECT_EQ(measurements_verified, 2);
}

INSTANTIATE_TEST_SUITE_P(Runs, DmtfLog,
                         testing::Values(DmtfRun{"doe11", kVersion11}, DmtfRun{"doe12", kVersion12},
                                         DmtfRun{"h100_profile_11", kVersion11}, DmtfRun{"h100_profile_12", kVersion12},
                                         DmtfRun{"doe11", kVersion11, ".rsp.log"},
                                         DmtfRun{"doe12", kVersion12, ".rsp.log"},
                                         DmtfRun{"h100_profile_11", kVersion11, ".rsp.log"},
                                         DmtfRun{"h100_profile_12", kVersion12, ".rsp.log"}),
                         [](const auto& info) {
                           return std::string(info.param.name) +
                                  (info.param.end[1] == 'r' && info.param.end[2] == 's' ? "_responder" : "_requester");
                         });

// M1/M2: what CHALLENGE_AUTH signs, over the log's own messages. No H100 has CHAL_CAP; the transcript rules are the
// same.
TEST(Vectors, ChallengeSignatures) {
  REQUIRE_VECTORS(folder);
  for (const DmtfRun& run : {DmtfRun{"doe11", kVersion11}, DmtfRun{"doe12", kVersion12}}) {
    SCOPED_TRACE(run.name);
    const Log log = test::ReadLog(*folder / run.log());
    Bytes vca, certificates;  // A, B
    crypto::PublicKey leaf;
    Bytes challenge, chain_hash;
    int verified = 0;
    for (const LoggedMessage& message : log.messages) {
      const Bytes exact = Exact(message);
      if (message.name == "KEY_EXCHANGE") break;
      if (message.name.find("VERSION") != std::string::npos || message.name.find("CAPABILITIES") != std::string::npos ||
          message.name.find("ALGORITHMS") != std::string::npos) {
        Append(vca, exact);
      } else if (message.name == "GET_DIGESTS") {
        certificates = exact;
      } else if (message.name == "CHALLENGE") {
        challenge = exact;
      } else if (message.name == "CHALLENGE_AUTH") {
        ByteView view = exact;
        const ChallengeAuth answer = *DecodeChallengeAuth(&view, true);
        EXPECT_EQ(answer.chain_hash, chain_hash);
        const Bytes m1 = Concat({vca, certificates, challenge, ByteView(exact).first(exact.size() - kSignatureSize)});
        EXPECT_TRUE(VerifyTranscript(leaf, run.version, SigningContext::kChallengeAuth, m1, answer.signature));
        EXPECT_FALSE(VerifyTranscript(leaf, run.version, SigningContext::kChallengeAuth, ByteView(m1).subspan(4),
                                      answer.signature));
        ++verified;
      } else {
        Append(certificates, exact);
        ByteView view = exact;
        const Result<CertificatePortion> portion = DecodeCertificate(&view);
        if (portion.ok() && portion->slot == 0) {
          leaf = DecodeChain(portion->portion)->back().key();
          chain_hash = crypto::Sha384(portion->portion);
        }
      }
    }
    EXPECT_EQ(verified, 1);
  }
}

}  // namespace
}  // namespace ccgpu::spdm
