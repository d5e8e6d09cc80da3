// VerifyTpm: healthy quotes are accepted; each named change is refused with its code.
#include "trust/verify/tpm/tpm.h"

#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/verify/testing/tpm_world.h"

namespace ccgpu::verify {
namespace {

using crypto::CertificateSpec;
using crypto::KeyType;
using W = TpmWorld;
namespace alg = evidence::tpm_alg;
namespace bits = evidence::tpm_attribute;
namespace event = evidence::tcg_event;

TEST(VerifyTpm, HealthyIsAccepted) {
  const Verdict v = TpmWorld().Run();
  ASSERT_TRUE(v.accepted) << v.ToJson();
  EXPECT_EQ(v.environment, "emulated");
  const Json claims = Json::parse(v.claims_json);
  EXPECT_EQ(claims["secureboot"], true);
  EXPECT_EQ(claims["pcr10"], std::string(64, '0'));
  EXPECT_EQ(claims["x-ms-azurevm-attested-pcrs"].size(), 24u);
}

TEST(VerifyTpm, EverySignatureScheme) {
  for (const KeyType key : {KeyType::kP256, KeyType::kP384, KeyType::kRsa2048}) {
    TpmWorld w({}, key);
    EXPECT_TRUE(w.Run().accepted) << w.Run().ToJson();
  }
  TpmWorld pss({}, KeyType::kRsa2048);
  pss.algorithm = pss.area.scheme = alg::kRsaPss;
  pss.hash = pss.area.scheme_hash = alg::kSha384;
  pss.Quote();
  EXPECT_TRUE(pss.Run().accepted) << pss.Run().ToJson();
}

struct TpmCase {
  const char* name;
  const char* code;
  std::function<void(TpmWorld&)> change;
  SpecEdits edits = {};
};
void PrintTo(const TpmCase& c, std::ostream* out) { *out << c.name; }
class TpmRefusals : public ::testing::TestWithParam<TpmCase> {};

TEST_P(TpmRefusals, SaysWhy) {
  TpmWorld world(GetParam().edits);
  if (GetParam().change) GetParam().change(world);
  const Verdict v = world.Run();
  EXPECT_FALSE(v.accepted);
  EXPECT_FALSE(v.verified.has_value());
  EXPECT_EQ(FirstCode(v), GetParam().code) << v.ToJson();
}

// A change of what the TPM quotes, which it then signs.
std::function<void(W&)> Signed(std::function<void(W&)> change) {
  return [change](W& w) {
    change(w);
    w.Sign();
  };
}
// A change of what the registers hold, quoted and signed.
std::function<void(W&)> Quoted(std::function<void(W&)> change) {
  return [change](W& w) {
    change(w);
    w.Quote();
  };
}

std::string CaseName(const ::testing::TestParamInfo<TpmCase>& i) { return i.param.name; }

// rule 1: tpm
INSTANTIATE_TEST_SUITE_P(
    Nonce, TpmRefusals,
    ::testing::Values(
        TpmCase{"no_nonce", "tpm.nonce-missing", [](W& w) { w.options.nonce.clear(); }},
        TpmCase{"short_nonce", "tpm.nonce-missing", [](W& w) { w.options.nonce.resize(15); }},
        TpmCase{"other_nonce", "tpm.nonce-mismatch", [](W& w) { w.options.nonce[31] ^= 1; }},
        TpmCase{"prefix_of_the_nonce", "tpm.nonce-mismatch", Signed([](W& w) { w.quote.extra_data.resize(31); })},
        TpmCase{"nonce_with_more", "tpm.nonce-mismatch", Signed([](W& w) { w.quote.extra_data.push_back(0); })},
        TpmCase{"empty_extra_data", "tpm.nonce-mismatch", Signed([](W& w) { w.quote.extra_data.clear(); })}),
    CaseName);

// rule 2: tpm
// rule 3: tpm
// rule 5: tpm
INSTANTIATE_TEST_SUITE_P(
    Signature, TpmRefusals,
    ::testing::Values(
        TpmCase{"flipped", "tpm.signature-invalid", [](W& w) { w.evidence.quote[50] ^= 1; }},
        TpmCase{"by_another_key", "tpm.signature-invalid",
                [](W& w) {
                  const auto other = crypto::PrivateKey::Generate(KeyType::kP256);
                  w.evidence.signature =
                      evidence::EncodeTpmSignature(SignAsTpm(other, alg::kEcDsa, alg::kSha256, w.evidence.quote));
                }},
        // advisory: CVE-2022-21449
        TpmCase{"r_and_s_zero", "tpm.signature-invalid",
                [](W& w) {
                  evidence::TpmSignature zero{alg::kEcDsa, alg::kSha256, {}, Bytes(32), Bytes(32)};
                  w.evidence.signature = evidence::EncodeTpmSignature(zero);
                }},
        TpmCase{"s_empty", "tpm.signature-invalid",
                [](W& w) {
                  auto signature = evidence::ParseTpmSignature(w.evidence.signature).value();
                  signature.s.clear();
                  w.evidence.signature = evidence::EncodeTpmSignature(signature);
                }},
        TpmCase{
            "rsa_signature_for_an_ec_key", "tpm.signature-algorithm",
            [](W& w) {
              w.evidence.signature = evidence::EncodeTpmSignature({alg::kRsaSsa, alg::kSha256, Bytes(256, 1), {}, {}});
            }},
        TpmCase{
            "the_same_without_a_public_area", "tpm.signature-invalid",
            [](W& w) {
              w.evidence.ak_area.clear();
              w.evidence.signature = evidence::EncodeTpmSignature({alg::kRsaSsa, alg::kSha256, Bytes(256, 1), {}, {}});
            }},
        TpmCase{"null_signature", "tpm.quote-malformed",
                [](W& w) {
                  w.evidence.signature = {0x00, 0x10, 0x00, 0x0b};
                }},
        TpmCase{"sha1_signature", "tpm.signature-algorithm",
                Quoted([](W& w) { w.hash = w.area.scheme_hash = alg::kSha1; })},
        TpmCase{"other_hash_than_the_key_allows", "tpm.signature-algorithm",
                Quoted([](W& w) { w.hash = alg::kSha384; })},
        TpmCase{"bytes_after_the_signature", "tpm.quote-malformed", [](W& w) { w.evidence.signature.push_back(0); }},
        TpmCase{"bytes_after_the_quote", "tpm.quote-malformed", [](W& w) { w.evidence.quote.push_back(0); }}),
    CaseName);

// rule 10: tpm
// rule 13: tpm
INSTANTIATE_TEST_SUITE_P(
    Quote, TpmRefusals,
    ::testing::Values(
        TpmCase{"other_magic", "tpm.magic", Signed([](W& w) { w.quote.magic = 0xff544348; })},
        TpmCase{"certify_instead_of_quote", "tpm.type", Signed([](W& w) { w.quote.type = 0x8017; })},
        // advisory: CVE-2022-0317
        TpmCase{"over_no_registers", "tpm.pcr-selection",
                Quoted([](W& w) { w.quote.selections = {evidence::TpmPcrSelection::Of(alg::kSha256, {})}; })},
        TpmCase{"over_no_bank", "tpm.pcr-selection", Quoted([](W& w) { w.quote.selections.clear(); })},
        TpmCase{"over_some_registers", "tpm.pcr-selection", Quoted([](W& w) {
                  w.quote.selections = {evidence::TpmPcrSelection::Of(alg::kSha256, {0, 1, 2, 3})};
                })},
        TpmCase{"over_more_registers_than_asked", "tpm.pcr-selection",
                [](W& w) { w.options.pcrs = {0, 1, 2, 3, 4, 5, 6, 7}; }},
        TpmCase{"asked_for_none", "tpm.pcr-selection", [](W& w) { w.options.pcrs.clear(); }},
        TpmCase{"over_two_banks", "tpm.pcr-selection",
                Quoted([](W& w) { w.quote.selections.push_back(w.quote.selections[0]); })},
        TpmCase{"over_the_sha1_bank", "tpm.sha1-bank",
                [](W& w) {
                  w.options.bank = w.quote.selections[0].hash = alg::kSha1;
                  w.Measure();
                  w.Quote();
                }},
        TpmCase{"over_another_bank", "tpm.pcr-selection",
                [](W& w) {
                  w.quote.selections[0].hash = alg::kSha384;
                  w.Measure();
                  w.Quote();
                }},
        TpmCase{"other_register_value", "tpm.pcr-digest-mismatch", [](W& w) { w.evidence.pcrs[4][0] ^= 1; }},
        TpmCase{"register_value_missing", "tpm.pcr-values", [](W& w) { w.evidence.pcrs.erase(9); }},
        TpmCase{"register_value_too_long", "tpm.pcr-values", [](W& w) { w.evidence.pcrs[9].push_back(0); }},
        // The same bytes, cut at another place: the digest alone would not see it.
        TpmCase{"register_values_shifted", "tpm.pcr-values",
                [](W& w) {
                  w.evidence.pcrs[1].insert(w.evidence.pcrs[1].begin(), w.evidence.pcrs[0].back());
                  w.evidence.pcrs[0].pop_back();
                }},
        TpmCase{"value_of_a_register_that_is_not_quoted", "tpm.pcr-values",
                [](W& w) { w.evidence.pcrs[24] = Bytes(32, 1); }},
        TpmCase{"expected_value_differs", "tpm.pcr-mismatch", [](W& w) { w.options.expected_pcrs[4] = Bytes(32, 9); }}),
    CaseName);

// rule 10: tpm
INSTANTIATE_TEST_SUITE_P(
    Log, TpmRefusals,
    ::testing::Values(TpmCase{"required_and_missing", "tpm.log-missing",
                              [](W& w) {
                                w.options.require_event_log = true;
                                w.evidence.event_log.clear();
                              }},
                      TpmCase{"not_a_log", "tcg-log.malformed", [](W& w) { w.evidence.event_log.resize(40); }},
                      TpmCase{"event_added", "tpm.log-mismatch",
                              Signed([](W& w) { w.log.events.push_back(MakeEvent(4, event::kSeparator, Bytes(4))); })},
                      TpmCase{"event_removed", "tpm.log-mismatch",
                              Signed([](W& w) { w.log.events.erase(w.log.events.begin()); })},
                      TpmCase{"events_swapped", "tpm.log-mismatch",
                              Signed([](W& w) { std::swap(w.log.events[1], w.log.events[2]); })},
                      TpmCase{"event_without_the_bank", "tcg-log.bank-missing",
                              Signed([](W& w) { w.log.events[0].digests.erase(w.log.events[0].digests.begin() + 1); })},
                      TpmCase{"registers_that_no_event_accounts_for", "tpm.log-mismatch",
                              Quoted([](W& w) { w.pcrs[9] = Bytes(32, 7); })},
                      TpmCase{"secure_boot_off", "tpm.secure-boot-off",
                              [](W& w) {
                                w.options.require_secure_boot = true;
                                auto variable = evidence::ParseEfiVariable(w.log.events[1].data).value();
                                variable.data = {0};
                                w.log.events[1] = MakeEvent(7, event::kEfiVariableDriverConfig,
                                                            evidence::EncodeEfiVariable(variable));
                                w.Measure();
                                w.Quote();
                              }},
                      // The digest that was measured (off), beside a text that says on: replay alone would not see it.
                      TpmCase{"secure_boot_forged", "tcg-log.secure-boot",
                              [](W& w) {
                                w.options.require_secure_boot = true;
                                const Bytes said = w.log.events[1].data;
                                auto variable = evidence::ParseEfiVariable(said).value();
                                variable.data = {0};
                                w.log.events[1] = MakeEvent(7, event::kEfiVariableDriverConfig,
                                                            evidence::EncodeEfiVariable(variable));
                                w.log.events[1].data = said;
                                w.Measure();
                                w.Quote();
                              }},
                      TpmCase{"secure_boot_without_a_log", "tpm.secure-boot-unknown",
                              [](W& w) {
                                w.options.require_secure_boot = true;
                                w.evidence.event_log.clear();
                              }}),
    CaseName);

std::function<void(W&)> Attributes(uint32_t clear, uint32_t set) {
  return Signed([=](W& w) { w.area.attributes = (w.area.attributes & ~clear) | set; });
}

// rule 4: tpm
// rule 10: tpm
INSTANTIATE_TEST_SUITE_P(
    Key, TpmRefusals,
    ::testing::Values(TpmCase{"not_restricted", "tpm.ak-attributes", Attributes(bits::kRestricted, 0)},
                      TpmCase{"may_decrypt", "tpm.ak-attributes", Attributes(0, bits::kDecrypt)},
                      TpmCase{"may_leave_the_tpm", "tpm.ak-attributes", Attributes(bits::kFixedTpm, 0)},
                      TpmCase{"made_outside", "tpm.ak-attributes", Attributes(bits::kSensitiveDataOrigin, 0)},
                      TpmCase{"not_for_signing", "tpm.ak-attributes", Attributes(bits::kSign, 0)},
                      TpmCase{"no_key_at_all", "tpm.ak-malformed",
                              [](W& w) {
                                w.evidence.ak_area.clear(), w.evidence.ak_public.clear(),
                                    w.evidence.ak_certificates.clear();
                              }},
                      TpmCase{"area_of_another_key", "tpm.ak-mismatch",
                              [](W& w) { w.evidence.ak_area = evidence::EncodeTpmPublic(TpmWorld().area); }},
                      TpmCase{"certificate_of_another_key", "tpm.ak-mismatch",
                              [](W& w) { w.evidence.ak_certificates = TpmWorld().evidence.ak_certificates; }},
                      TpmCase{"area_cut_off", "tpm.ak-malformed", [](W& w) { w.evidence.ak_area.pop_back(); }},
                      TpmCase{"bytes_after_the_key", "tpm.ak-malformed",
                              [](W& w) { w.evidence.ak_public.push_back(0); }},
                      // advisory: CVE-2026-1709, CVE-2022-1053, CVE-2023-38201
                      TpmCase{"nobody_vouches", "tpm.ak-unknown", [](W& w) { w.evidence.ak_certificates.clear(); }},
                      TpmCase{"another_key_is_pinned", "tpm.ak-unknown",
                              [](W& w) {
                                w.evidence.ak_certificates.clear();
                                w.options.pinned_keys = {TpmWorld().ak.public_key().Der()};
                              }},
                      TpmCase{"no_roots", "tpm.untrusted-root", [](W& w) { w.anchors.tpm_roots.clear(); }},
                      TpmCase{"root_brought_along_is_not_believed", "tpm.untrusted-root",
                              [](W& w) {
                                w.evidence.ak_certificates += w.chain[2].certificate.Pem();
                                w.anchors.tpm_roots.clear();
                              }},
                      TpmCase{"text_between_the_certificates", "tpm.chain-malformed",
                              [](W& w) { w.evidence.ak_certificates = "x" + w.evidence.ak_certificates; }}),
    CaseName);

// rule 4: tpm
// rule 17: tpm
INSTANTIATE_TEST_SUITE_P(
    Chain, TpmRefusals,
    ::testing::Values(
        TpmCase{"ca_is_no_ca", "tpm.chain-invalid", nullptr, {{"ca", [](CertificateSpec& s) { s.ca = false; }}}},
        TpmCase{"ca_may_not_sign",
                "tpm.chain-invalid",
                nullptr,
                {{"ca", [](CertificateSpec& s) { s.key_cert_sign = false; }}}},
        TpmCase{"leaf_is_a_ca", "tpm.chain-invalid", nullptr, {{"ak", [](CertificateSpec& s) { s.ca = true; }}}},
        TpmCase{
            "path_too_long", "tpm.chain-invalid", nullptr, {{"root", [](CertificateSpec& s) { s.path_length = 0; }}}},
        TpmCase{"expired",
                "tpm.chain-expired",
                nullptr,
                {{"ak", [](CertificateSpec& s) { s.not_after = kTestNow - std::chrono::seconds(1); }}}},
        TpmCase{"unknown_critical_extension",
                "tpm.chain-invalid",
                nullptr,
                {{"ca",
                  [](CertificateSpec& s) {
                    s.extensions = {{"1.2.3.4", {0x05, 0x00}, true}};
                  }}}},
        TpmCase{"certificate_of_a_server",
                "tpm.certificate-use",
                nullptr,
                {{"ak", [](CertificateSpec& s) { s.extended_key_usage = "serverAuth"; }}}},
        TpmCase{"certificate_without_a_use",
                "tpm.certificate-use",
                nullptr,
                {{"ak", [](CertificateSpec& s) { s.extended_key_usage = ""; }}}},
        TpmCase{"revoked", "tpm.revoked",
                [](W& w) {
                  w.collateral.crls = {evidence::MakeCrl(w.chain[1].certificate, w.chain[1].key, kTestNow,
                                                         kTestNow + std::chrono::hours(1),
                                                         {{w.chain[0].certificate.SerialNumber(), kTestNow, -1}}, false)
                                           .value()};
                }},
        TpmCase{"revocation_required", "tpm.revocation-missing", [](W& w) { w.options.require_revocation = true; }},
        TpmCase{"emulated_without_the_flag", "environment.emulated",
                [](W& w) { w.anchors.insecure_accept_emulated = false; }},
        // Pinning the key does not hide where it comes from.
        TpmCase{"emulated_and_pinned", "environment.emulated",
                [](W& w) {
                  w.anchors.insecure_accept_emulated = false;
                  w.options.pinned_keys = {w.ak.public_key().Der()};
                  w.anchors.tpm_roots.clear();
                }}),
    CaseName);

TEST(VerifyTpm, PositiveControls) {
  const auto accepted = [](const std::function<void(W&)>& change) {
    TpmWorld w;
    change(w);
    const Verdict v = w.Run();
    EXPECT_TRUE(v.accepted) << v.ToJson();
  };
  accepted([](W& w) { w.evidence.event_log.clear(); });
  accepted([](W& w) { w.evidence.ak_area.clear(), w.evidence.ak_public.clear(); });
  accepted([](W& w) { w.evidence.ak_certificates.clear(), w.options.pinned_keys = {w.ak.public_key().Der()}; });
  accepted([](W& w) { w.evidence.ak_certificates += w.chain[2].certificate.Pem(); });
  accepted([](W& w) { w.options.require_secure_boot = w.options.require_event_log = true; });
  accepted([](W& w) { w.options.expected_pcrs = {{4, w.pcrs[4]}, {7, w.pcrs[7]}}; });
  accepted([](W& w) {  // accounted for by the expectation, not by the log
    w.pcrs[8] = Bytes(32, 8);
    w.options.expected_pcrs[8] = Bytes(32, 8);
    w.Quote();
  });
  accepted([](W& w) {  // IMA's register
    w.pcrs[10] = Bytes(32, 8);
    w.Quote();
  });
  accepted([](W& w) {
    w.options.allow_sha1 = true;
    w.options.bank = w.quote.selections[0].hash = alg::kSha1;
    w.Measure();
    w.Quote();
  });
  accepted([](W& w) {
    w.options.pcrs = {0, 4, 7};
    w.quote.selections = {evidence::TpmPcrSelection::Of(alg::kSha256, {0, 4, 7})};
    w.Quote();
  });
}

// rule 2: tpm
TEST(VerifyTpm, EverySingleBitFlipOfTheSignedBytesIsRefused) {
  TpmWorld w;
  w.evidence.ak_certificates.clear(),
      w.evidence.event_log.clear();  // which make each run slower, and are not signed by the key
  w.options.pinned_keys = {w.ak.public_key().Der()};
  for (Bytes evidence::TpmEvidence::*document : {&evidence::TpmEvidence::quote, &evidence::TpmEvidence::signature}) {
    const Bytes good = w.evidence.*document;
    for (size_t bit = 0; bit < good.size() * 8; ++bit) {
      w.evidence.*document = good;
      (w.evidence.*document)[bit / 8] ^= static_cast<uint8_t>(1 << (bit % 8));
      ASSERT_FALSE(w.Run().accepted) << bit;
    }
    for (size_t size = 0; size < good.size(); ++size) {
      (w.evidence.*document) = ToBytes(ByteView(good).first(size));
      ASSERT_FALSE(w.Run().accepted) << size;
    }
    w.evidence.*document = good;
  }
  ASSERT_TRUE(w.Run().accepted);
}

TEST(VerifyTpm, FailuresSayWhere) {
  TpmWorld w;
  w.options.nonce[0] ^= 1;
  const Verdict v = w.Run();
  const Check* failure = v.FirstFailure();
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->name, "tpm.quote.nonce");
  EXPECT_EQ(failure->document, "tpm/quote");
  EXPECT_EQ(failure->length, 32u);
  EXPECT_TRUE(Equal(ByteView(w.evidence.quote).subspan(failure->offset, 32), Bytes(32, 0x5a)));
}

// rule 12: composite
TEST(VerifyTpm, AsAPodsEvidence) {
  TpmWorld w;
  const Bytes report_data(64, 0x3c), init_data(32, 0x77);
  w.pcrs[8] = evidence::TpmExtend(alg::kSha256, Bytes(32), init_data);
  w.quote.extra_data = report_data;
  w.Quote();
  evidence::CompositeEvidence pod;
  pod.cpu = w.evidence;
  CompositeOptions options;
  options.report_data = report_data;
  options.init_data_digest = init_data;
  const auto run = [&] {
    return VerifyComposite(evidence::Unverified<evidence::CompositeEvidence>(pod), {}, w.anchors, options, w.now);
  };
  const Verdict v = run();
  ASSERT_TRUE(v.accepted) << v.ToJson();
  EXPECT_EQ((*v.verified)->cpu.tee, "tpm");
  EXPECT_EQ((*v.verified)->cpu.init_data, HexEncode(w.pcrs[8]));
  EXPECT_EQ(Json::parse(v.claims_json)["tpm"]["pcr04"], HexEncode(w.pcrs[4]));
  options.report_data[0] ^= 1;
  EXPECT_EQ(FirstCode(run()), "tpm.nonce-mismatch");
  options.report_data = report_data;
  options.init_data_digest = Bytes(32, 0x78);
  EXPECT_EQ(FirstCode(run()), "tpm.pcr-mismatch");
  options.init_data_digest.reset();
  // The document beside a quote that does not cover its register: nothing holds it.
  options.tpm.unlogged_pcrs.insert(8);
  pod.init_data = "version = \"0.1.0\"\n";
  EXPECT_EQ(FirstCode(run()), "composite.init-data-mismatch");
  w.quote.selections = {evidence::TpmPcrSelection::Of(alg::kSha256, {0, 4, 7})};
  w.Quote();
  pod.cpu = w.evidence;
  options.tpm.pcrs = {0, 4, 7};
  EXPECT_EQ(FirstCode(run()), "composite.init-data-unheld");
  pod.init_data.clear();
  EXPECT_TRUE(run().accepted) << run().ToJson();
  w.anchors.tpm_roots.clear();
  EXPECT_EQ(FirstCode(run()), "tpm.untrusted-root");
}

TEST(TpmEvidence, JsonRoundTrip) {
  const TpmWorld w;
  const auto again = evidence::TpmEvidenceFromJson(evidence::TpmEvidenceToJson(w.evidence));
  ASSERT_TRUE(again.ok()) << again.error().ToString();
  TpmWorld other = w;
  other.evidence = *again;
  EXPECT_TRUE(other.Run().accepted) << other.Run().ToJson();
  for (const char* bad : {"[]", "{}", R"({"tpm_quote":{}})", R"({"tpm_quote":{"message":"","signature":"","pcrs":{}}})",
                          R"({"tpm_quote":{"message":"","signature":"","pcrs":[]},"more":1})",
                          R"({"tpm_quote":{"message":"","signature":"","pcrs":["0"]}})"})
    EXPECT_FALSE(evidence::TpmEvidenceFromJson(bad).ok()) << bad;
}

}  // namespace
}  // namespace ccgpu::verify
