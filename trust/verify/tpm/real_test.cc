// VerifyTpm on quotes of real (virtual) TPMs, with the key pinned: the folder has no vendor's root.
#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/tcg_log.h"
#include "trust/evidence/test_vectors.h"
#include "trust/verify/testing/world.h"
#include "trust/verify/tpm/tpm.h"

namespace ccgpu::verify {
namespace {

namespace alg = evidence::tpm_alg;

// A field of a protobuf message: number, and bytes or a number. Enough for the one file that needs it.
struct Field {
  uint64_t number = 0, value = 0;
  ByteView bytes;
};

uint64_t Varint(Reader& in) {
  uint64_t out = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const uint8_t byte = in.U8();
    out |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) break;
  }
  return out;
}

std::vector<Field> Fields(ByteView message) {
  Reader in(message);
  std::vector<Field> out;
  while (in.ok() && in.remaining() > 0) {
    const uint64_t tag = Varint(in);
    Field field{tag >> 3, 0, {}};
    if ((tag & 7) == 0) field.value = Varint(in);
    if ((tag & 7) == 2) field.bytes = in.Take(Varint(in));
    out.push_back(field);
  }
  EXPECT_TRUE(in.ok());
  return out;
}

ByteView Only(const std::vector<Field>& fields, uint64_t number) {
  for (const Field& field : fields) {
    if (field.number == number) return field.bytes;
  }
  return {};
}

struct RealQuote {
  evidence::TpmEvidence evidence;
  TpmOptions options;
  TimePoint now = ParseTime("2022-01-01").value();
  Verdict Run() const {
    return VerifyTpm(evidence::Unverified<evidence::TpmEvidence>(evidence), {}, BuiltinAnchors(), options, now);
  }
  void Pin() { options.pinned_keys = {evidence::ParseTpmPublic(evidence.ak_area)->Key()->Der()}; }
};

// go-tpm-tools' attestation of a Container-Optimized OS machine: {1: AK area, 2: quotes, 3: log, 6: AK certificate}; a
// quote is {1: TPMS_ATTEST, 2: signature, 3: {1: bank, 2: {1: index, 2: value}}}.
RealQuote GceQuote(uint16_t bank) {
  const Bytes file = test::VectorBytes("tpm/gotpmtools_gce-cos-85-nonce9009.pb");
  const auto top = Fields(file);
  RealQuote out;
  out.options.bank = bank;
  out.evidence.ak_area = ToBytes(Only(top, 1));
  out.evidence.event_log = ToBytes(Only(top, 3));
  out.evidence.ak_certificates = crypto::Certificate::FromDer(Only(top, 6)).value().Pem();
  for (const Field& quote : top) {
    if (quote.number != 2) continue;
    const auto parts = Fields(quote.bytes);
    const auto registers = Fields(Only(parts, 3));
    if (registers.at(0).value != bank) continue;
    out.evidence.quote = ToBytes(Only(parts, 1));
    out.evidence.signature = ToBytes(Only(parts, 2));
    for (const Field& entry : registers) {
      if (entry.number != 2) continue;
      uint32_t index = 0;
      Bytes value;
      for (const Field& part : Fields(entry.bytes)) {
        if (part.number == 1) index = static_cast<uint32_t>(part.value);
        if (part.number == 2) value = ToBytes(part.bytes);
      }
      out.evidence.pcrs[index] = value;
    }
  }
  return out;
}

// The vectors' nonce has 2 bytes, which no caller of ours may ask for: everything else holds, and only that is refused.
std::vector<std::string> Refusals(const Verdict& v) {
  std::vector<std::string> out;
  for (const Check& check : v.checks) {
    if (check.outcome == Check::Outcome::kFailed) out.push_back(check.reason.code);
  }
  return out;
}

TEST(VerifyRealTpm, GceQuotesHoldButForTheirShortNonce) {
  SKIP_WITHOUT_VECTORS();
  for (const uint16_t bank : {alg::kSha256, alg::kSha384}) {
    RealQuote real = GceQuote(bank);
    real.Pin();
    real.options.nonce = HexDecode("9009").value();
    const Verdict v = real.Run();
    EXPECT_THAT(Refusals(v), testing::ElementsAre("tpm.nonce-missing", "tpm.nonce-mismatch")) << v.ToJson();
    EXPECT_EQ(v.environment, "hardware");
    const Json claims = Json::parse(v.claims_json);
    EXPECT_EQ(claims["report_data"], "9009");
    EXPECT_GT(claims["event_log_events"].get<int>(), 40);
    EXPECT_EQ(claims["x-ms-azurevm-attested-pcrs"].size(), 24u);
  }
}

TEST(VerifyRealTpm, GceSha1BankIsRefused) {
  SKIP_WITHOUT_VECTORS();
  RealQuote real = GceQuote(alg::kSha1);
  real.Pin();
  EXPECT_THAT(Refusals(real.Run()), testing::Contains("tpm.sha1-bank"));
  real.options.allow_sha1 = true;
  EXPECT_THAT(Refusals(real.Run()), testing::ElementsAre("tpm.nonce-missing", "tpm.nonce-mismatch"));
}

TEST(VerifyRealTpm, GceQuoteWithAChangedLog) {
  SKIP_WITHOUT_VECTORS();
  RealQuote real = GceQuote(alg::kSha256);
  real.Pin();
  auto log = evidence::ParseTcgLog(real.evidence.event_log).value();
  log.events.erase(log.events.begin() + 20);
  real.evidence.event_log = evidence::EncodeTcgLog(log);
  EXPECT_THAT(Refusals(real.Run()), testing::Contains("tpm.log-mismatch"));
}

TEST(VerifyRealTpm, GceKeyIsNotBelievedUnpinned) {
  SKIP_WITHOUT_VECTORS();
  EXPECT_THAT(Refusals(GceQuote(alg::kSha256).Run()), testing::Contains("tpm.untrusted-root"));
}

// go-eventlog's Windows machine: SHA-1 everywhere, no nonce.
RealQuote WindowsQuote() {
  const Json document = ParseJson(test::VectorText("tpm/goeventlog_windows_gcp_shielded_vm.json"), "vector").value();
  const auto bytes = [](const Json& value) { return Base64Decode(value.get<std::string>()).value(); };
  RealQuote out;
  out.evidence.ak_area = bytes(document["AK"]["Public"]);
  out.evidence.quote = bytes(document["Quote"]["Quote"]);
  out.evidence.signature = bytes(document["Quote"]["Signature"]);
  out.evidence.event_log = bytes(document["Log"]["Raw"]);
  for (const Json& pcr : document["Log"]["PCRs"]) out.evidence.pcrs[pcr["Index"]] = bytes(pcr["Digest"]);
  out.Pin();
  return out;
}

// rule 10: tpm
TEST(VerifyRealTpm, WindowsOnSha1IsRefusedByDefault) {
  SKIP_WITHOUT_VECTORS();
  RealQuote real = WindowsQuote();
  EXPECT_THAT(Refusals(real.Run()), testing::IsSupersetOf({"tpm.signature-algorithm", "tpm.sha1-bank"}));
  real.options.bank = alg::kSha1;
  EXPECT_THAT(Refusals(real.Run()), testing::IsSupersetOf({"tpm.signature-algorithm", "tpm.sha1-bank"}));
}

TEST(VerifyRealTpm, WindowsHoldsButForItsMissingNonce) {
  SKIP_WITHOUT_VECTORS();
  RealQuote real = WindowsQuote();
  real.options.bank = alg::kSha1;
  real.options.allow_sha1 = real.options.require_secure_boot = real.options.require_event_log = true;
  const Verdict v = real.Run();
  EXPECT_THAT(Refusals(v), testing::ElementsAre("tpm.nonce-missing", "tpm.nonce-mismatch")) << v.ToJson();
  EXPECT_EQ(Json::parse(v.claims_json)["secureboot"], true);
}

}  // namespace
}  // namespace ccgpu::verify
