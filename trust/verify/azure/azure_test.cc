// VerifyAzure: hardware report, runtime data, vTPM quote: each link broken once, for both kinds of hardware.
#include "trust/verify/azure/azure.h"

#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/test_vectors.h"
#include "trust/verify/testing/azure_world.h"

namespace ccgpu::verify {
namespace {

using W = AzureWorld;
namespace alg = evidence::tpm_alg;

TEST(VerifyAzure, HealthyIsAccepted) {
  for (const bool snp : {true, false}) {
    W w(snp);
    const Verdict v = w.Run();
    ASSERT_TRUE(v.accepted) << v.ToJson();
    EXPECT_EQ(v.environment, "emulated");
    const Json claims = Json::parse(v.claims_json);
    EXPECT_EQ(claims["x-ms-attestation-type"], snp ? "sevsnpvm" : "tdxvm");
    EXPECT_EQ(claims["x-ms-runtime"]["vm-configuration"]["secure-boot"], true);
    EXPECT_EQ(claims["tpm"]["pcr08"], std::string(64, '0'));
    EXPECT_EQ(claims["report_data"], HexEncode(w.options.tpm.nonce));
    EXPECT_EQ((*v.verified)->cpu.tee, w.evidence.tee);
  }
}

struct AzureCase {
  const char* name;
  const char* code;
  std::function<void(W&)> change;
};
void PrintTo(const AzureCase& c, std::ostream* out) { *out << c.name; }
class AzureRefusals : public ::testing::TestWithParam<std::tuple<AzureCase, bool>> {};

TEST_P(AzureRefusals, SaysWhy) {
  const auto& [refusal, snp] = GetParam();
  W world(snp);
  refusal.change(world);
  const Verdict v = world.Run();
  EXPECT_FALSE(v.accepted);
  EXPECT_FALSE(v.verified.has_value());
  EXPECT_EQ(FirstCode(v), refusal.code) << v.ToJson();
}

// What the paravisor's runtime data say, hashed and signed by the hardware.
std::function<void(W&)> Said(std::function<void(Json&)> change) {
  return [change](W& w) {
    Json json = Json::parse(w.runtime_json);
    change(json);
    w.runtime_json = json.dump();
    w.Make();
  };
}

// rule 1: azure
// rule 2: azure
// rule 10: azure
// rule 13: azure
// rule 15: azure
// rule 17: azure
INSTANTIATE_TEST_SUITE_P(
    Both, AzureRefusals,
    ::testing::Combine(
        ::testing::Values(
            AzureCase{"no_nonce", "azure.user-data-mismatch", [](W& w) { w.options.tpm.nonce.clear(); }},
            AzureCase{"other_nonce", "azure.user-data-mismatch", [](W& w) { w.options.tpm.nonce[0] ^= 1; }},
            AzureCase{"other_nonce_in_version_1", "tpm.nonce-mismatch",
                      [](W& w) {
                        w.evidence.version = 1;
                        w.options.tpm.nonce[0] ^= 1;
                      }},
            // The hardware report is genuine, the runtime data are somebody else's.
            AzureCase{"runtime_data_replaced", "azure.runtime-mismatch",
                      [](W& w) {
                        w.hcl.runtime_json = RuntimeJson(W(true).tpm.area, w.options.tpm.nonce);
                        w.evidence.hcl_report = evidence::EncodeHclReport(w.hcl);
                      }},
            AzureCase{"runtime_data_with_one_more_space", "azure.runtime-mismatch",
                      [](W& w) {
                        w.hcl.runtime_json += " ";
                        w.evidence.hcl_report = evidence::EncodeHclReport(w.hcl);
                      }},
            AzureCase{"only_half_of_report_data_is_right", "azure.runtime-mismatch",
                      [](W& w) {
                        Bytes report_data = crypto::Sha256(AsBytes(w.runtime_json));
                        report_data.resize(64, 1);
                        w.MakeFor(report_data);
                      }},
            AzureCase{"quote_by_another_tpm", "tpm.signature-invalid",
                      [](W& w) {
                        const W other(w.is_snp);
                        w.evidence.quote = other.evidence.quote;
                        w.evidence.signature = other.evidence.signature;
                        w.evidence.pcrs = other.evidence.pcrs;
                      }},
            // A pinned key or a certificate does not stand in for the hardware's word.
            AzureCase{"another_key_even_if_pinned", "tpm.signature-invalid",
                      [](W& w) {
                        W other(w.is_snp);
                        w.options.tpm.pinned_keys = {other.tpm.ak.public_key().Der()};
                        w.anchors.tpm_roots = other.tpm.anchors.tpm_roots;
                        w.evidence.quote = other.evidence.quote;
                        w.evidence.signature = other.evidence.signature;
                      }},
            AzureCase{"register_changed", "tpm.pcr-digest-mismatch", [](W& w) { w.evidence.pcrs[4][0] ^= 1; }},
            AzureCase{"quote_over_no_registers", "tpm.pcr-selection",
                      [](W& w) {
                        w.tpm.quote.selections = {evidence::TpmPcrSelection::Of(alg::kSha256, {})};
                        w.tpm.Quote();
                        w.Make();
                      }},
            AzureCase{"initdata_register_differs", "tpm.pcr-mismatch",
                      [](W& w) { w.options.tpm.expected_pcrs[8] = Bytes(32, 1); }},
            AzureCase{"not_hcl", "azure.hcl-malformed", [](W& w) { w.evidence.hcl_report[0] = 'X'; }},
            AzureCase{"cut_off", "azure.hcl-malformed", [](W& w) { w.evidence.hcl_report.resize(1300); }},
            AzureCase{"bytes_behind", "azure.hcl-malformed", [](W& w) { w.evidence.hcl_report.push_back(1); }},
            AzureCase{"sha512_runtime_hash", "azure.hcl-hash",
                      [](W& w) {
                        w.hcl.hash = evidence::HclHash::kSha512;
                        w.runtime_json += " ";
                        w.hcl.runtime_json = w.runtime_json;
                        w.MakeFor(w.hcl.RuntimeDigest());
                      }},
            AzureCase{"no_ak", "azure.runtime-malformed", Said([](Json& j) { j["keys"][0]["kid"] = "other"; })},
            AzureCase{"two_aks", "azure.runtime-malformed", Said([](Json& j) { j["keys"][1]["kid"] = "HCLAkPub"; })},
            AzureCase{"ak_that_encrypts", "azure.runtime-malformed",
                      Said([](Json& j) { j["keys"][0]["key_ops"] = {"sign", "encrypt"}; })},
            AzureCase{"ak_with_exponent_3", "azure.runtime-malformed", Said([](Json& j) { j["keys"][0]["e"] = "Aw"; })},
            AzureCase{"short_ak", "azure.runtime-malformed",
                      Said([](Json& j) { j["keys"][0]["n"] = Base64UrlEncode(Bytes(128, 0xff)); })},
            AzureCase{"runtime_data_are_no_json", "azure.runtime-malformed",
                      [](W& w) {
                        w.runtime_json = "{";
                        w.Make();
                      }},
            AzureCase{"emulated_without_the_flag", "environment.emulated",
                      [](W& w) { w.anchors.insecure_accept_emulated = false; }}),
        ::testing::Bool()),
    [](const auto& i) { return std::string(std::get<0>(i.param).name) + (std::get<1>(i.param) ? "_snp" : "_tdx"); });

// rule 6: azure
// rule 7: azure
TEST(VerifyAzure, HardwareFaultsCount) {
  const auto code = [](bool snp, const std::function<void(W&)>& change) {
    W w(snp);
    change(w);
    return FirstCode(w.Run());
  };
  EXPECT_EQ(code(true,
                 [](W& w) {
                   w.snp.report.policy |= evidence::snp_policy::kDebug;
                   w.Make();
                 }),
            "snp.debug-enabled");
  EXPECT_EQ(code(true,
                 [](W& w) {
                   w.snp.report.vmpl = 1;
                   w.Make();
                 }),
            "snp.vmpl-mismatch");
  EXPECT_EQ(code(true, [](W& w) { w.anchors.amd_roots.clear(); }), "snp.untrusted-root");
  EXPECT_EQ(code(true, [](W& w) { w.evidence.vcek = W().evidence.vcek, w.evidence.vcek.pop_back(); }),
            "snp.chain-malformed");
  EXPECT_EQ(code(false,
                 [](W& w) {
                   w.tdx.quote.body.td_attributes |= evidence::td_attribute::kDebug;
                   w.Make();
                 }),
            "tdx.debug");
  EXPECT_EQ(code(false, [](W& w) { w.anchors.intel_roots.clear(); }), "tdx.untrusted-root");
  // A TD quote that is genuine, but of another machine than the paravisor's report.
  EXPECT_EQ(code(false,
                 [](W& w) {
                   w.tdx.quote.body.report_data = Bytes(64, 7);
                   w.tdx.Sign();
                   w.evidence.td_quote = w.tdx.evidence.quote;
                 }),
            "tdx.report-data-mismatch");
}

// A vendor's own sample has this fault.
TEST(VerifyAzure, DeclaredSnpContentTdx) {
  W w(false);
  w.evidence.tee = "az-snp-vtpm";
  w.evidence.vcek = W(true).evidence.vcek;
  EXPECT_EQ(FirstCode(w.Run()), "azure.hcl-type");
}

// rule 2: azure
TEST(VerifyAzure, FlippedBitsOfThePartsAreRefused) {
  W w(true);
  for (Bytes evidence::AzureEvidence::*part :
       {&evidence::AzureEvidence::quote, &evidence::AzureEvidence::signature, &evidence::AzureEvidence::hcl_report}) {
    const Bytes good = w.evidence.*part;
    for (size_t byte = 0; byte<good.size(); byte += good.size()> 1000 ? 37 : 5) {
      // The paravisor's version, buffer size and request are nobody's word, and nobody goes by them.
      if (part == &evidence::AzureEvidence::hcl_report && byte >= 4 && byte < 32) continue;
      w.evidence.*part = good;
      (w.evidence.*part)[byte] ^= 0x10;
      EXPECT_FALSE(w.Run().accepted) << byte;
    }
    w.evidence.*part = good;
  }
  EXPECT_TRUE(w.Run().accepted);
}

TEST(AzureEvidence, EveryFormOfTheJson) {
  for (const bool snp : {true, false}) {
    for (const uint32_t version : {0u, 1u, 2u}) {
      W w(snp);
      w.evidence.version = version;
      const std::string text = evidence::AzureEvidenceToJson(w.evidence);
      const auto again = evidence::AzureEvidenceFromJson(w.evidence.tee, text);
      ASSERT_TRUE(again.ok()) << again.error().ToString();
      EXPECT_EQ(again->version, version);
      w.evidence = *again;
      EXPECT_TRUE(w.Run().accepted) << w.Run().ToJson();
      EXPECT_FALSE(evidence::AzureEvidenceFromJson(snp ? "az-tdx-vtpm" : "az-snp-vtpm", text).ok());
      Json more = Json::parse(text);
      more["more"] = 1;
      EXPECT_FALSE(evidence::AzureEvidenceFromJson(w.evidence.tee, more.dump()).ok());
    }
  }
  EXPECT_FALSE(evidence::AzureEvidenceFromJson("az-snp-vtpm", R"({"version":3})").ok());
  EXPECT_EQ(evidence::AzureEvidenceFromJson("az-cca", "{}").error().code, "evidence.unknown-tee");
}

TEST(VerifyAzure, InACompositeTheChallengeIsTheNonce) {
  W w(true);
  const auto run = [&](const Bytes& report_data, const Bytes& init_data) {
    CompositeOptions options;
    options.report_data = report_data;
    options.tpm = w.options.tpm;
    options.snp = w.options.snp;
    options.init_data_digest = init_data;
    evidence::CompositeEvidence composite;
    composite.cpu = w.evidence;
    return VerifyComposite(evidence::Unverified<evidence::CompositeEvidence>(composite), w.collateral, w.anchors,
                           options, kTestNow);
  };
  const Bytes init_data(32, 0x77), nonce(48, 0x61);
  w.tpm.pcrs[8] = evidence::TpmExtend(alg::kSha256, Bytes(32), init_data);
  w.tpm.quote.extra_data = nonce;
  w.tpm.Quote();
  w.runtime_json = RuntimeJson(w.tpm.area, nonce);
  w.Make();
  Bytes filled = nonce;
  filled.resize(64);
  // Without the emulated ASK (real evidence brings none either) only the chain's root stays unknown.
  EXPECT_EQ(FirstCode(run(filled, init_data)), "snp.untrusted-root");
  const Verdict v = run(filled, init_data);
  for (const Check& check : v.checks) {
    const bool ours = check.name.starts_with("azure.") || check.name.starts_with("tpm.");
    EXPECT_FALSE(ours && check.outcome == Check::Outcome::kFailed) << check.name << check.reason.text;
  }
  filled[63] = 1;
  EXPECT_EQ(FirstCode(run(filled, init_data)), "azure.user-data-mismatch");
}

// The folder has a real report of an Azure machine, without its paravisor's wrapping: the hardware half is real, the
// runtime data are not the ones that it vouches for.
TEST(VerifyRealAzure, ReportOfARealMachineWithForeignRuntimeData) {
  SKIP_WITHOUT_VECTORS();
  W w(true);
  w.evidence.vcek = crypto::Certificate::FromPem(test::VectorText("snp/azure_genoa_vcek.pem"))->Der();
  w.hcl.hardware = test::VectorBytes("snp/azure_genoa_report.bin");
  w.evidence.hcl_report = evidence::EncodeHclReport(w.hcl);
  w.anchors = BuiltinAnchors();
  w.options.snp = {};
  const Verdict v = w.Run();
  std::vector<std::string> failed;
  for (const Check& check : v.checks) {
    if (check.outcome == Check::Outcome::kFailed) failed.push_back(check.reason.code);
  }
  EXPECT_THAT(failed, testing::ElementsAre("azure.runtime-mismatch", "snp.report-data-mismatch"));
  EXPECT_EQ(v.environment, "hardware");
}

}  // namespace
}  // namespace ccgpu::verify
