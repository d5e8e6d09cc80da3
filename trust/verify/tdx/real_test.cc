// Intel's own quotes and collateral, judged at their time.
#include <gtest/gtest.h>

#include <set>

#include "base/json.h"
#include "trust/evidence/test_vectors.h"
#include "trust/verify/testing/tdx_world.h"

namespace ccgpu::verify {
namespace {

const TimePoint kThen = ParseTime("2023-07-01T00:00:00Z").value();

evidence::Collateral RealCollateral() {
  evidence::Collateral out;
  out.tcb_infos = {
      {test::VectorText("tdx/gotdx_sample_tcbInfo_response"), test::VectorText("tdx/tcbInfoIssuerChain.pem")},
      {test::VectorText("tdx/gotdx_sample_tcbinfo_response_v5"), test::VectorText("tdx/tcbInfoIssuerChain.pem")}};
  out.qe_identities = {
      {test::VectorText("tdx/gotdx_sample_qeIdentity_response"), test::VectorText("tdx/qeIdentityIssuerChain.pem")}};
  out.crls = {test::VectorBytes("tdx/gotdx_rootcrl.der"), test::VectorBytes("tdx/gotdx_pckcrl")};
  return out;
}

struct Real {
  explicit Real(const std::string& file) {
    evidence.quote = test::VectorBytes(file);
    quote = evidence::ParseTdxQuote(evidence.quote).value();
    options.report_data = quote.body.report_data;
  }
  Verdict Run() const { return VerifyTdx(evidence::Unverified(evidence), collateral, BuiltinAnchors(), options, now); }
  std::set<std::string> Failures() const {
    std::set<std::string> out;
    for (const Check& check : Run().checks) {
      if (check.outcome == Check::Outcome::kFailed) out.insert(check.reason.code);
    }
    return out;
  }
  evidence::TdxEvidence evidence;
  evidence::TdxQuote quote;
  evidence::Collateral collateral = RealCollateral();
  TdxOptions options;
  TimePoint now = kThen;
};

constexpr char kE4[] = "tdx/gotdx_tdx_prod_quote_SPR_E4.dat", kCos[] = "tdx/gotdx_cos-113-tdx-quote.dat";

TEST(VerifyRealTdx, ProductionQuoteAtItsTime) {
  SKIP_WITHOUT_VECTORS();
  Real real(kE4);
  // A pre-production machine: its firmware (SGX components 3, 3, 2, ..) is below every level that Intel lists for its
  // kind, and its guest did not set SEPT_VE_DISABLE. Everything else holds: signatures, chain, revocation, quoting
  // enclave, TDX module and Intel's documents. So hardware whose status no policy may accept stays refused.
  EXPECT_EQ(real.Failures(), (std::set<std::string>{"tdx.tcb-unsupported", "tdx.sept-ve"})) << real.Run().ToJson();
  real.options.require_sept_ve_disable = false;
  for (const auto status : {evidence::TcbStatus::kOutOfDate, evidence::TcbStatus::kRevoked})
    real.options.accepted_statuses.insert(status);
  const Verdict v = real.Run();
  EXPECT_FALSE(v.accepted);
  EXPECT_EQ(real.Failures(), std::set<std::string>{"tdx.tcb-unsupported"}) << v.ToJson();
  EXPECT_EQ(v.environment, "hardware");
  const Json claims = Json::parse(v.claims_json);
  EXPECT_EQ(claims["fmspc"], "50806f000000");
  EXPECT_EQ(claims["tcb_evaluation_number"], 15);
  EXPECT_EQ(claims["td_attributes"]["protection_keys"], true);
}

TEST(VerifyRealTdx, ProductionQuoteAtOtherTimes) {
  SKIP_WITHOUT_VECTORS();
  Real real(kE4);
  using Codes = std::set<std::string>;
  real.now = ParseTime("2020-01-01").value();  // before the machine was certified and the lists were made
  EXPECT_EQ(real.Failures(), (Codes{"tdx.chain-expired", "tdx.revocation-missing", "tdx.sept-ve"}))
      << real.Run().ToJson();
  real.now = ParseTime("2024-06-01").value();
  EXPECT_EQ(real.Failures(), (Codes{"tdx.revocation-stale", "tdx.sept-ve"})) << real.Run().ToJson();
  real.options.require_revocation = false;
  EXPECT_EQ(real.Failures(), (Codes{"tdx.collateral-stale", "tdx.sept-ve"})) << real.Run().ToJson();
  real.now = ParseTime("2026-11-01").value();  // the TCB signer's certificate ended in 2025
  EXPECT_EQ(real.Failures(), (Codes{"tdx.chain-expired", "tdx.sept-ve"})) << real.Run().ToJson();
}

// Neither time nor leniency makes one of them good with the documents that are there: E4 is below every level as long
// as its TCB info is current, and for the platform of the other there is none.
TEST(VerifyRealTdx, NoTimeMakesThemGood) {
  SKIP_WITHOUT_VECTORS();
  for (const char* file : {kE4, kCos}) {
    Real real(file);
    real.options.require_sept_ve_disable = real.options.require_revocation = false;
    for (const auto status : {evidence::TcbStatus::kOutOfDate, evidence::TcbStatus::kRevoked,
                              evidence::TcbStatus::kConfigurationNeeded, evidence::TcbStatus::kSwHardeningNeeded})
      real.options.accepted_statuses.insert(status);
    for (real.now = ParseTime("2022-01-01").value(); real.now < ParseTime("2027-01-01").value();
         real.now += std::chrono::hours(24 * 7)) {
      ASSERT_FALSE(real.Run().accepted) << file << FormatTime(real.now);
      const std::set<std::string> codes = real.Failures();
      const bool says_why = file == kE4
                                ? codes.contains("tdx.tcb-unsupported") || codes.contains("tdx.collateral-stale") ||
                                      codes.contains("tdx.chain-expired")
                                : codes.contains("tdx.tcb-info-missing");
      EXPECT_TRUE(says_why) << file << FormatTime(real.now) << ::testing::PrintToString(codes);
    }
  }
}

// No TCB info for this platform is among the vectors: everything else of the quote holds, and its log leads to its
// registers.
TEST(VerifyRealTdx, CosQuoteWithItsEventLog) {
  SKIP_WITHOUT_VECTORS();
  Real real(kCos);
  real.now = ParseTime("2024-09-01").value();
  real.options.require_revocation = false;
  real.evidence.event_log = test::VectorBytes("tdx/gotdx_ccel_data.dat");
  const Verdict v = real.Run();
  EXPECT_FALSE(v.accepted);
  EXPECT_EQ(real.Failures(), (std::set<std::string>{"tdx.tcb-info-missing", "tdx.collateral-stale"})) << v.ToJson();
  EXPECT_EQ(Json::parse(v.claims_json)["event_log_replayed"], true);
  real.evidence.event_log->at(4000) ^= 1;
  EXPECT_FALSE(real.Run().accepted);
}

// rule 10: tdx
TEST(VerifyRealTdx, EachByteOfTheLogsDigestsCounts) {
  SKIP_WITHOUT_VECTORS();
  Real real(kCos);
  real.evidence.event_log = test::VectorBytes("tdx/gotdx_ccel_data.dat");
  real.quote.body.rtmrs[1][0] ^= 1;
  for (size_t i = 0; i < 4; ++i) {
    Real other(kCos);
    other.evidence.event_log = real.evidence.event_log;
    other.evidence.quote[48 + evidence::td_offset::kRtmr0 + 48 * i] ^= 1;
    EXPECT_TRUE(other.Failures().contains("tdx.event-log-mismatch")) << i;
    EXPECT_TRUE(other.Failures().contains("tdx.signature-invalid")) << i;
  }
}

TEST(VerifyRealTdx, EncodingGivesTheSameBytes) {
  SKIP_WITHOUT_VECTORS();
  for (const char* name : {kE4, kCos}) {
    const Bytes file = test::VectorBytes(name);
    const evidence::TdxQuote quote = evidence::ParseTdxQuote(file).value();
    EXPECT_TRUE(Equal(evidence::EncodeTdxQuote(quote), ByteView(file).first(quote.size))) << name;
    const Bytes qe = quote.qe_report_bytes;
    EXPECT_EQ(evidence::EncodeQeReport(evidence::ParseQeReport(qe).value()), qe) << name;
  }
}

}  // namespace
}  // namespace ccgpu::verify
