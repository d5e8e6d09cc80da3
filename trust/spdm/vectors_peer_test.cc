// Our ends in the place of DMTF's programs, DMTF's captures, and reports of real GPUs.
#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/file.h"
#include "trust/spdm/test_support.h"

namespace ccgpu::spdm {
namespace {

using test::Log;

// The captures hold the objects of the logs, and each decodes and encodes to itself.
TEST(Vectors, Captures) {
  REQUIRE_VECTORS(folder);
  for (const std::string name : {"h100_profile_11", "h100_profile_12"}) {
    SCOPED_TRACE(name);
    std::vector<Bytes> captured = test::ReadPcap(*folder / (name + ".req.pcap"));
    ASSERT_EQ(captured.size(), 52u);
    std::vector<Bytes> logged;
    for (const test::LoggedObject& object : test::ReadLog(*folder / (name + ".req.log")).objects) {
      if (object.bytes.size() >= 12 && object.bytes[0] == 1 && object.bytes[1] == 0) logged.push_back(object.bytes);
    }
    EXPECT_EQ(captured, logged);
    for (const Bytes& object : captured) {
      const Result<DoeType> type = DoeTypeOf(object);
      ASSERT_TRUE(type.ok());
      if (*type == DoeType::kDiscovery) continue;
      const Result<Packet> packet = DecodeDoe(object);
      ASSERT_TRUE(packet.ok());
      EXPECT_EQ(EncodeDoe(*packet), object);
    }
  }
}

// Our responder in place of DMTF's: DMTF's requests, as they came, get the same answers but for what is the device's
// own (CTExponent, versions, certificates, keys), up to the key exchange.
TEST(Vectors, DmtfsRequesterTalksToOurResponder) {
  REQUIRE_VECTORS(folder);
  for (const std::string name : {"h100_profile_11", "h100_profile_12"}) {
    SCOPED_TRACE(name);
    const Log log = test::ReadLog(*folder / (name + ".req.log"));
    test::Device device;
    int compared = 0;
    for (size_t i = 0; i + 1 < log.objects.size(); ++i) {
      const Bytes& object = log.objects[i].bytes;
      if (!log.objects[i].request || object.size() < 12 || object[0] != 1) continue;
      Result<Bytes> ours = HandleDoe(*device.responder, object, device.now);
      ASSERT_TRUE(ours.ok()) << ours.error().ToString();
      Bytes theirs = log.objects[i + 1].bytes;
      if (object[2] == 1 && object[9] == kGetCapabilities) theirs[8 + 5] = kH100CtExponent;
      const bool same = object[2] == 0 || object[9] == kGetCapabilities || object[9] == kNegotiateAlgorithms;
      if (same) {
        EXPECT_EQ(HexEncode(*ours), HexEncode(theirs));
      } else if (object[9] == kGetCertificate && object[10] != 0) {
        EXPECT_EQ((*ours)[9], kError) << "we have slot 0 alone";
      } else {
        EXPECT_EQ((*ours)[9], theirs[9]) << "the same kind of answer";
        EXPECT_EQ((*ours)[8], theirs[8]) << "of the same version";
      }
      ++compared;
      if (object[2] == 1 && object[9] == kKeyExchange) {
        EXPECT_EQ(ours->size(), theirs.size());
        break;
      }
    }
    EXPECT_GE(compared, 9);
  }
}

// Our requester in place of DMTF's: with DMTF's responses it sends, up to the certificate, exactly DMTF's requests.
TEST(Vectors, RequesterConnectsToDmtfsResponder) {
  REQUIRE_VECTORS(folder);
  class Replay final : public Transport {
   public:
    explicit Replay(const Log& log) {
      for (const test::LoggedObject& object : log.objects) {
        if (object.bytes.size() >= 12 && object.bytes[2] == 1) objects_.push_back(object);
      }
    }
    Result<Packet> Exchange(const Packet& request) override {
      if (objects_.size() < 2) return Error::FromWire("test.end", "log", "no more");
      EXPECT_EQ(HexEncode(EncodeDoe(request)), HexEncode(objects_.front().bytes));
      objects_.pop_front();
      const Bytes response = objects_.front().bytes;
      objects_.pop_front();
      return DecodeDoe(response);
    }

   private:
    std::deque<test::LoggedObject> objects_;
  };
  for (const char* name : {"h100_profile_11", "h100_profile_12"}) {
    SCOPED_TRACE(name);
    const Log log = test::ReadLog(*folder / (std::string(name) + ".req.log"));
    Replay replay(log);
    test::CountingRandom random;
    Requester requester({.transport = &replay, .random = &random, .responder_ct_exponent = 0, .ct_exponent = 0});
    const Status connected = requester.Connect();
    ASSERT_TRUE(connected.ok()) << connected.error().ToString();
    ASSERT_EQ(requester.chain().size(), 3u);
    EXPECT_EQ(requester.chain().back().SubjectCommonName(), "DMTF libspdm ECP384 responder cert");
  }
}

TEST(Vectors, DiscoveryAnswersLikeDmtfs) {
  REQUIRE_VECTORS(folder);
  const Log log = test::ReadLog(*folder / "h100_profile_11.req.log");
  int seen = 0;
  for (size_t i = 0; i + 1 < log.objects.size(); ++i) {
    const Bytes& object = log.objects[i].bytes;
    if (!log.objects[i].request || object.size() != 12 || object[0] != 1 || object[2] != 0) continue;
    Result<Bytes> answer = AnswerDiscovery(object);
    ASSERT_TRUE(answer.ok());
    EXPECT_EQ(*answer, log.objects[i + 1].bytes);
    ++seen;
  }
  EXPECT_EQ(seen, 3);
}

// Reports of real GPUs are GET_MEASUREMENTS || MEASUREMENTS of SPDM 1.1; their signature verifies with the chain's
// leaf.
TEST(Vectors, RealH100Reports) {
  REQUIRE_VECTORS(folder);
  const std::filesystem::path nvidia = folder->parent_path() / "nvidia";
  for (const auto& [report_name, chain_name] : std::map<std::string, std::string>{
           {"nvtrust_v1_initial/attestationReport.txt", "nvtrust_v1_initial/gpuAkCertChain.txt"},
           {"samples/hopperAttestationReport.txt", "samples/hopperCertChain.txt"}}) {
    SCOPED_TRACE(report_name);
    Result<std::string> hex = ReadFile(nvidia / report_name);
    Result<std::string> pem = ReadFile(nvidia / chain_name);
    if (!hex.ok() || !pem.ok()) GTEST_SKIP() << "NOT TESTED: no NVIDIA samples among the vectors";
    std::erase_if(*hex, [](unsigned char c) { return !std::isxdigit(c); });
    const Bytes report = HexDecode(*hex).value();
    ByteView request = ByteView(report).first(37);
    Result<GetMeasurements> asked = DecodeGetMeasurements(&request);
    ASSERT_TRUE(asked.ok());
    EXPECT_EQ(asked->version, kVersion11);
    EXPECT_EQ(asked->operation, kAllMeasurements);
    ByteView response = ByteView(report).subspan(37);
    Result<Measurements> answered = DecodeMeasurements(&response, true);
    ASSERT_TRUE(answered.ok()) << answered.error().ToString();
    EXPECT_EQ(37 + response.size(), report.size());
    EXPECT_EQ(Encode(*answered), ToBytes(response));
    Result<std::vector<MeasurementBlock>> blocks = DecodeRecord(answered->record, answered->block_count);
    ASSERT_TRUE(blocks.ok()) << blocks.error().ToString();
    EXPECT_EQ(blocks->size(), 64u);
    EXPECT_EQ(EncodeRecord(*blocks), answered->record);
    auto chain = crypto::Certificate::ListFromPem(*pem);
    ASSERT_TRUE(chain.ok());
    const Bytes covered = ToBytes(ByteView(report).first(report.size() - 96));
    EXPECT_TRUE(VerifyTranscript(chain->front().key(), kVersion11, SigningContext::kMeasurements, covered,
                                 answered->signature));
  }
}

}  // namespace
}  // namespace ccgpu::spdm
