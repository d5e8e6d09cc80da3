// VerifySnp: healthy and real reports are accepted; each named change is refused with its code.
#include <gmock/gmock.h>

#include "base/json.h"
#include "trust/evidence/test_vectors.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

using crypto::CertificateSpec;
namespace policy = evidence::snp_policy;
using W = SnpWorld;

TEST(VerifySnp, HealthyIsAccepted) {
  const Verdict v = SnpWorld().Run();
  ASSERT_TRUE(v.accepted) << v.ToJson();
  EXPECT_EQ(v.environment, "emulated");
  EXPECT_EQ((*v.verified)->cpu.init_data, HexEncode(Bytes(32, 0xbb)));
  EXPECT_EQ(Json::parse(v.claims_json)["measurement"], HexEncode(Bytes(48, 0xcc)));
  EXPECT_EQ(Json::parse(v.claims_json)["policy_debug_allowed"], false);
}

struct SnpCase {
  const char* name;
  const char* code;
  std::function<void(SnpWorld&)> change;
  SpecEdits edits = {};
};
void PrintTo(const SnpCase& c, std::ostream* out) { *out << c.name; }
class SnpRefusals : public ::testing::TestWithParam<SnpCase> {};

TEST_P(SnpRefusals, SaysWhy) {
  SnpWorld world(GetParam().edits);
  if (GetParam().change) GetParam().change(world);
  const Verdict v = world.Run();
  EXPECT_FALSE(v.accepted);
  EXPECT_FALSE(v.verified.has_value());
  EXPECT_EQ(FirstCode(v), GetParam().code) << v.ToJson();
}

// A change of the report that is signed again.
std::function<void(SnpWorld&)> Signed(std::function<void(evidence::SnpReport&)> change) {
  return [change](SnpWorld& w) {
    change(w.report);
    w.Sign();
  };
}
using R = evidence::SnpReport;

INSTANTIATE_TEST_SUITE_P(
    Binding, SnpRefusals,
    ::testing::Values(
        // rule 1: snp
        SnpCase{"no_report_data", "snp.report-data-missing", [](W& w) { w.options.report_data.clear(); }},
        SnpCase{"only_half_of_report_data_given", "snp.report-data-missing",
                [](W& w) { w.options.report_data.resize(32); }},
        // advisory: agentrust-389
        SnpCase{"other_report_data", "snp.report-data-mismatch", [](W& w) { w.options.report_data[63] ^= 1; }},
        SnpCase{"other_host_data", "snp.host-data-mismatch", [](W& w) { w.options.host_data = Bytes(32); }},
        SnpCase{"host_data_of_wrong_size", "snp.host-data-mismatch",
                [](W& w) { w.options.host_data = Bytes(31, 0xbb); }},
        // rule 13: snp
        SnpCase{"other_measurement", "snp.measurement-mismatch", [](W& w) { w.options.measurement = Bytes(48); }},
        SnpCase{"other_chip", "snp.chip-id-mismatch", [](W& w) { w.options.chip_id = Bytes(64); }},
        SnpCase{"measurement_of_wrong_size", "snp.measurement-mismatch",
                [](W& w) { w.options.measurement = Bytes(47, 0xcc); }},
        SnpCase{"other_family", "snp.guest-id-mismatch", [](W& w) { w.options.family_id = Bytes(16, 1); }},
        SnpCase{"other_image_id", "snp.guest-id-mismatch", [](W& w) { w.options.image_id = Bytes(16, 1); }},
        SnpCase{"old_guest", "snp.guest-svn", [](W& w) { w.options.minimum_guest_svn = 1; }}),
    [](const auto& i) { return i.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Signature, SnpRefusals,
    // rule 2: snp
    // advisory: trustee-229
    ::testing::Values(SnpCase{"flipped", "snp.signature-invalid", [](W& w) { w.evidence.report[0x90] ^= 1; }},
                      // rule 5: snp
                      // advisory: CVE-2022-21449
                      SnpCase{"all_zero", "snp.signature-invalid",
                              [](W& w) { std::fill(w.evidence.report.begin() + 0x2a0, w.evidence.report.end(), 0); }},
                      // rule 3: snp
                      SnpCase{"algorithm", "snp.signature-algorithm", Signed([](R& r) { r.signature_algorithm = 2; })},
                      SnpCase{"by_another_key", "snp.signature-invalid",
                              [](W& w) {
                                w.evidence.report = evidence::SignSnpReport(
                                    w.report, crypto::PrivateKey::Generate(crypto::KeyType::kP384));
                              }},
                      SnpCase{"truncated", "snp.report-malformed", [](W& w) { w.evidence.report.pop_back(); }},
                      SnpCase{"signing_key_none", "snp.signing-key", Signed([](R& r) { r.key_info = 7 << 2; })},
                      SnpCase{"signing_key_reserved", "snp.signing-key", Signed([](R& r) { r.key_info = 3 << 2; })},
                      SnpCase{"chip_key_masked", "snp.signing-key", Signed([](R& r) { r.key_info = 2; })},
                      SnpCase{"key_info_reserved", "snp.signing-key", Signed([](R& r) { r.key_info = 1 << 5; })},
                      SnpCase{"says_vlek_brings_vcek", "snp.chain-malformed",
                              Signed([](R& r) { r.key_info = 1 << 2; })},
                      // rule 8: snp
                      SnpCase{"no_id_block", "snp.id-key-untrusted",
                              [](W& w) {
                                w.options.id_keys = {Bytes(48), Bytes(48, 1)};
                              }},
                      SnpCase{"other_id_key", "snp.id-key-untrusted",
                              [](W& w) {
                                w.report.id_key_digest = Bytes(48, 2);
                                w.options.id_keys = {Bytes(48, 1)};
                                w.Sign();
                              }},
                      SnpCase{"other_author_key", "snp.id-key-untrusted",
                              [](W& w) {
                                w.report.author_key_digest = Bytes(48, 2);
                                w.report.key_info = 1;
                                w.options.author_keys = {Bytes(48, 1)};
                                w.Sign();
                              }},
                      SnpCase{"author_key_without_digest", "snp.author-key", Signed([](R& r) { r.key_info = 1; })},
                      SnpCase{"digest_without_author_key", "snp.author-key",
                              Signed([](R& r) { r.author_key_digest = Bytes(48, 1); })},
                      SnpCase{"vlek_not_allowed", "snp.signing-key",
                              [](W& w) {
                                w.report.key_info = 1 << 2;
                                w.options.allow_vlek = false;
                                w.Sign();
                              }},
                      SnpCase{"vcek_under_the_name_of_a_vlek", "snp.chain-profile",
                              [](W& w) {
                                w.report.key_info = 1 << 2;
                                w.Sign();
                                w.evidence.certificates[0].type = "VLEK";
                              }}),
    [](const auto& i) { return i.param.name; });

const SpecEdit kNoCa = [](CertificateSpec& s) { s.ca = false; };
INSTANTIATE_TEST_SUITE_P(
    Chain, SnpRefusals,
    ::testing::Values(
        // rule 4: snp
        // advisory: CVE-2025-64186
        SnpCase{"no_certificates", "snp.chain-malformed", [](W& w) { w.evidence.certificates.clear(); }},
        SnpCase{"two_vceks", "snp.chain-malformed",
                [](W& w) { w.evidence.certificates.push_back(w.evidence.certificates[0]); }},
        SnpCase{"not_der", "snp.chain-malformed", [](W& w) { w.evidence.certificates[0].der.pop_back(); }},
        SnpCase{"no_anchor", "snp.untrusted-root", [](W& w) { w.anchors.amd_roots.clear(); }},
        SnpCase{"only_builtin_anchors", "snp.untrusted-root", [](W& w) { w.anchors = BuiltinAnchors(); }},
        SnpCase{"no_intermediate", "snp.untrusted-root", [](W& w) { w.evidence.certificates.resize(1); }},
        // advisory: CVE-2021-3450, agentrust-445
        SnpCase{"ask_is_no_ca", "snp.chain-invalid", nullptr, {{"snp1", kNoCa}}},
        // rule 3: snp
        // advisory: aleph-vm-1167
        SnpCase{
            "p256_vcek",
            "snp.chain-invalid",
            nullptr,
            {{"snp0",
              [](CertificateSpec& s) { s.key = crypto::PrivateKey::Generate(crypto::KeyType::kP256).public_key(); }}}},
        SnpCase{"pkcs1_signature",
                "snp.chain-invalid",
                nullptr,
                {{"snp0", [](CertificateSpec& s) { s.pss_signature = false; }}}},
        SnpCase{"vcek_expired",
                "snp.chain-expired",
                nullptr,
                {{"snp0", [](CertificateSpec& s) { s.not_after = kTestNow - std::chrono::seconds(1); }}}},
        SnpCase{"no_extensions",
                "snp.chain-profile",
                nullptr,
                {{"snp0", [](CertificateSpec& s) { s.extensions.clear(); }}}},
        SnpCase{"no_hardware_id",
                "snp.chain-profile",
                nullptr,
                {{"snp0",
                  [](CertificateSpec& s) {
                    std::erase_if(s.extensions, [](const auto& e) { return e.oid == "1.3.6.1.4.1.3704.1.4"; });
                  }}}},
        SnpCase{"vcek_that_names_a_provider",
                "snp.chain-profile",
                nullptr,
                {{"snp0",
                  [](CertificateSpec& s) {
                    s.extensions =
                        evidence::MakeVcekExtensions({"Genoa", {std::nullopt, 9, 0, 23, 72}, Bytes(64, 0x77), "CN=x"});
                  }}}},
        SnpCase{"hardware_id_of_another_product",
                "snp.chain-profile",
                nullptr,
                {{"snp0",
                  [](CertificateSpec& s) {
                    s.extensions =
                        evidence::MakeVcekExtensions({"Genoa", {std::nullopt, 9, 0, 23, 72}, Bytes(8, 0x77), {}});
                  }}}},
        SnpCase{"reserved_tcb_part",
                "snp.chain-profile",
                nullptr,
                {{"snp0",
                  [](CertificateSpec& s) {
                    for (auto& e : s.extensions) {
                      if (e.oid == "1.3.6.1.4.1.3704.1.3.6") e.value.back() = 1;
                    }
                  }}}},
        SnpCase{"tcb_part_twice",
                "snp.chain-invalid",
                nullptr,
                {{"snp0", [](CertificateSpec& s) { s.extensions.push_back(s.extensions[3]); }}}},
        SnpCase{"root_in_the_evidence_instead", "snp.untrusted-root",
                [](W& w) {
                  // Another emulator's complete chain: everything in it fits, but nobody pinned its root.
                  static const W other({{"snp2", [](CertificateSpec& s) { s.subject.push_back({"OU", "another"}); }}});
                  w.evidence = other.evidence;
                }},
        SnpCase{"not_yet_valid", "snp.chain-expired", [](W& w) { w.now = ParseTime("2023-12-31").value(); }},
        SnpCase{"path_length", "snp.chain-invalid", nullptr, {{"snp2", [](CertificateSpec& s) { s.path_length = 0; }}}},
        SnpCase{"ask_may_not_sign_certificates",
                "snp.chain-invalid",
                nullptr,
                {{"snp1", [](CertificateSpec& s) { s.key_cert_sign = false; }}}},
        SnpCase{"crl_too_old", "snp.revocation-stale",
                [](W& w) {
                  w.options.require_revocation = true;
                  w.collateral.crls = {evidence::MakeCrl(w.chain[2].certificate, w.chain[2].key,
                                                         kTestNow - std::chrono::hours(24 * 400),
                                                         kTestNow - std::chrono::hours(24 * 30), {}, true)
                                           .value()};
                }},
        SnpCase{"ask_revoked", "snp.revoked",
                [](W& w) {
                  w.collateral.crls = {evidence::MakeCrl(w.chain[2].certificate, w.chain[2].key, kTestNow,
                                                         kTestNow + std::chrono::hours(1),
                                                         {{w.chain[1].certificate.SerialNumber(), kTestNow, -1}}, true)
                                           .value()};
                }},
        // rule 14: snp
        SnpCase{"crl_required", "snp.revocation-missing", [](W& w) { w.options.require_revocation = true; }},
        // rule 17: snp
        SnpCase{"emulated_without_the_flag", "environment.emulated",
                [](W& w) { w.anchors.insecure_accept_emulated = false; }},
        SnpCase{"root_that_says_nothing",
                "environment.unknown-root",
                nullptr,
                {{"snp2",
                  [](CertificateSpec& s) {
                    s.subject = {{"CN", "ARK-Genoa"}};
                  }}}}),
    [](const auto& i) { return i.param.name; });

uint64_t TcbOf(uint8_t bootloader, uint8_t tee, uint8_t snp, uint8_t microcode) {
  return evidence::JoinTcb({std::nullopt, bootloader, tee, snp, microcode});
}

INSTANTIATE_TEST_SUITE_P(
    Platform, SnpRefusals,
    ::testing::Values(
        // rule 6: snp
        // advisory: attestation-rs-67, CCF-5024
        SnpCase{"debug", "snp.debug-enabled", Signed([](R& r) { r.policy |= policy::kDebug; })},
        // rule 8: snp
        SnpCase{"policy_bit_17_clear", "snp.policy-malformed", Signed([](R& r) { r.policy &= ~policy::kMustBeOne; })},
        SnpCase{"asked_policy_bit_clear", "snp.policy-bits",
                [](W& w) { w.options.required_policy = policy::kSingleSocket; }},
        SnpCase{"forbidden_policy_bit", "snp.policy-bits",
                [](W& w) {
                  w.options.forbidden_policy = policy::kCxlAllowed;
                  w.report.policy |= policy::kCxlAllowed;
                  w.Sign();
                }},
        SnpCase{"bound_to_a_migration_agent", "snp.migration-agent",
                Signed([](R& r) { r.report_id_ma = Bytes(32, 1); })},
        SnpCase{"policy_reserved", "snp.policy-malformed", Signed([](R& r) { r.policy |= 1ull << 26; })},
        SnpCase{"migration_agent", "snp.policy-migration", Signed([](R& r) { r.policy |= policy::kMigrationAgent; })},
        SnpCase{"smt", "snp.policy-smt", [](W& w) { w.options.allow_smt = false; }},
        SnpCase{"abi", "snp.policy-abi", [](W& w) { w.options.minimum_abi_major = 2; }},
        // advisory: CVE-2024-21944
        SnpCase{"alias_check", "snp.alias-check", [](W& w) { w.options.require_alias_check = true; }},
        // rule 7: snp
        // advisory: CCF-6583
        SnpCase{"vmpl_1", "snp.vmpl-mismatch", Signed([](R& r) { r.vmpl = 1; })},
        SnpCase{"vmpl_of_the_host", "snp.vmpl-mismatch", Signed([](R& r) { r.vmpl = 0xffffffff; })},
        SnpCase{"platform_info_bit_6", "snp.platform-unknown", Signed([](R& r) { r.platform_info |= 1 << 6; })},
        SnpCase{"platform_info_bit_63", "snp.platform-unknown", Signed([](R& r) { r.platform_info |= 1ull << 63; })},
        SnpCase{"asked_platform_bit_clear", "snp.platform-bits",
                [](W& w) { w.options.required_platform = evidence::snp_platform::kEcc; }},
        SnpCase{"smt_against_the_policy", "snp.platform-bits", Signed([](R& r) {
                  r.policy &= ~policy::kSmtAllowed;
                  r.platform_info |= evidence::snp_platform::kSmt;
                })},
        SnpCase{"rapl_against_the_policy", "snp.platform-bits",
                Signed([](R& r) { r.policy |= policy::kRaplDisabled; })},
        SnpCase{"no_ciphertext_hiding_against_the_policy", "snp.platform-bits",
                Signed([](R& r) { r.policy |= policy::kCiphertextHiding; })},
        SnpCase{"mitigations_before_version_5", "snp.mitigations", [](W& w) { w.options.required_mitigations = 1; }},
        SnpCase{"mitigation_missing_at_launch", "snp.mitigations",
                [](W& w) {
                  w.report.version = 5;
                  w.report.launch_mit_vector = 1;
                  w.report.current_mit_vector = 3;
                  w.options.required_mitigations = 2;
                  w.Sign();
                }},
        SnpCase{"mitigation_missing_now", "snp.mitigations",
                [](W& w) {
                  w.report.version = 5;
                  w.report.launch_mit_vector = 3;
                  w.report.current_mit_vector = 1;
                  w.options.required_mitigations = 2;
                  w.Sign();
                }},
        SnpCase{"vmpl_expected_elsewhere", "snp.vmpl-mismatch", [](W& w) { w.options.vmpl = 2; }},
        SnpCase{"reported_above_certified", "snp.tcb-mismatch",
                Signed([](R& r) { r.reported_tcb = r.committed_tcb = r.current_tcb = TcbOf(9, 0, 24, 72); })},
        SnpCase{"reported_below_certified", "snp.tcb-mismatch",
                Signed([](R& r) { r.reported_tcb = TcbOf(9, 0, 22, 72); })},
        SnpCase{"committed_below_reported", "snp.tcb-mismatch",
                Signed([](R& r) { r.committed_tcb = TcbOf(8, 0, 23, 72); })},
        SnpCase{"current_below_committed", "snp.tcb-mismatch",
                Signed([](R& r) { r.current_tcb = TcbOf(9, 0, 23, 71); })},
        // advisory: CVE-2024-56161
        SnpCase{"minimum_by_one_part", "snp.tcb-too-old",
                [](W& w) {
                  w.options.minimum_tcb = evidence::TcbParts{std::nullopt, 1, 0, 1, 73};
                }},
        // A minimum that only FMC of Turin can reach is not reached by a processor without one.
        SnpCase{"minimum_with_fmc", "snp.tcb-too-old",
                [](W& w) {
                  w.options.minimum_tcb = evidence::TcbParts{0, 0, 0, 0, 0};
                }},
        SnpCase{"launched_under_old_firmware", "snp.tcb-too-old",
                [](W& w) {
                  w.options.minimum_launch_tcb = w.facts.tcb;
                  w.report.launch_tcb = TcbOf(9, 0, 22, 255);
                  w.Sign();
                }},
        SnpCase{"committed_firmware_above_current", "snp.firmware-version", Signed([](R& r) {
                  r.current_version = {.build = 9, .minor = 55, .major = 1};
                  r.committed_version = {.build = 1, .minor = 56, .major = 1};
                })},
        SnpCase{"old_firmware_version", "snp.firmware-version",
                [](W& w) {
                  w.options.minimum_firmware = evidence::SnpVersion{.build = 0, .minor = 55, .major = 1};
                  w.report.current_version = w.report.committed_version = {.build = 99, .minor = 54, .major = 1};
                  w.Sign();
                }},
        SnpCase{"provisional_build", "snp.tcb-provisional",
                [](W& w) {
                  w.options.require_committed_is_current = true;
                  w.report.current_version = {.build = 2, .minor = 55, .major = 1};
                  w.report.committed_version = {.build = 1, .minor = 55, .major = 1};
                  w.Sign();
                }},
        SnpCase{"provisional", "snp.tcb-provisional",
                [](W& w) {
                  w.options.require_committed_is_current = true;
                  w.report.current_tcb = TcbOf(9, 0, 24, 72);
                  w.Sign();
                }},
        SnpCase{"masked_chip_id", "snp.chip-id-mismatch",
                [](W& w) {
                  w.options.allow_masked_chip_id = false;
                  w.report.chip_id = Bytes(64);
                  w.Sign();
                }},
        SnpCase{"pinned_chip_that_is_masked", "snp.chip-id-mismatch",
                [](W& w) {
                  w.options.chip_id = w.report.chip_id = Bytes(64);
                  w.Sign();
                }},
        // advisory: arXiv-2605.12990
        SnpCase{"product_that_is_not_accepted", "snp.product-refused", [](W& w) { w.options.products = {"Turin"}; }},
        SnpCase{"other_chip_id", "snp.chip-id-mismatch", Signed([](R& r) { r.chip_id[0] ^= 1; })},
        SnpCase{"milan_cpuid_genoa_key", "snp.product-mismatch", Signed([](R& r) { r.cpuid_model = 1; })},
        SnpCase{"unknown_cpuid", "snp.product-mismatch", Signed([](R& r) { r.cpuid_family = 0x18; })}),
    [](const auto& i) { return i.param.name; });

// advisory: cmcp-412
TEST(VerifySnp, PositiveControls) {
  const auto accepted = [](const std::function<void(SnpWorld&)>& change) {
    SnpWorld w;
    change(w);
    w.Sign();
    const Verdict v = w.Run();
    EXPECT_TRUE(v.accepted) << v.ToJson();
  };
  accepted([](W& w) {
    w.options.host_data = Bytes(32, 0xbb), w.options.measurement = Bytes(48, 0xcc), w.options.chip_id = Bytes(64, 0x77);
  });
  accepted([](W& w) { w.options.allow_debug = true, w.report.policy |= policy::kDebug; });
  accepted([](W& w) { w.report.vmpl = w.options.vmpl = 2; });
  accepted([](W& w) { w.report.chip_id = Bytes(64); });  // masked by the host
  accepted([](W& w) { w.report.version = 2, w.report.cpuid_family = w.report.cpuid_model = 0; });
  accepted([](W& w) { w.report.version = 5, w.report.current_mit_vector = 0xb; });
  accepted([](W& w) {
    w.report.version = 5;
    w.report.launch_mit_vector = 7, w.report.current_mit_vector = 5;
    w.options.required_mitigations = 5;
  });
  accepted([](W& w) {
    w.report.policy |= policy::kRaplDisabled | policy::kCiphertextHiding | policy::kSingleSocket;
    w.report.platform_info = evidence::snp_platform::kRaplDisabled | evidence::snp_platform::kCiphertextHiding |
                             evidence::snp_platform::kAliasCheckComplete;
    w.options.required_policy = policy::kSingleSocket;
    w.options.required_platform = evidence::snp_platform::kCiphertextHiding;
    w.options.require_alias_check = true;
  });
  accepted([](W& w) {
    w.report.id_key_digest = Bytes(48, 1), w.report.author_key_digest = Bytes(48, 2), w.report.key_info = 1;
    w.options.id_keys = {Bytes(48, 9), Bytes(48, 1)}, w.options.author_keys = {Bytes(48, 2)};
  });
  accepted([](W& w) { w.options.allow_migration_agent = true, w.report.report_id_ma = Bytes(32, 1); });
  accepted([](W& w) { w.options.products = {"Turin", "Genoa"}; });
  accepted([](W& w) { w.report.guest_svn = w.options.minimum_guest_svn = 7; });
  accepted([](W& w) { w.report.launch_tcb = TcbOf(9, 0, 99, 72); });  // provisional firmware that was taken back
  accepted([](W& w) { w.options.minimum_tcb = w.facts.tcb; });
  accepted([](W& w) {
    w.options.require_revocation = true;
    w.collateral.crls = {
        evidence::MakeCrl(w.chain[2].certificate, w.chain[2].key, kTestNow, kTestNow + std::chrono::hours(1), {}, true)
            .value()};
  });
}

TEST(VerifySnp, VlekOfACloud) {
  SnpWorld w({{"snp0", [](CertificateSpec& s) {
                 s.subject = {{"CN", "EMULATED SEV-VLEK"}};
                 s.extensions =
                     evidence::MakeVcekExtensions({"Genoa", {std::nullopt, 9, 0, 23, 72}, std::nullopt, "CN=cloud"});
               }}});
  w.report.key_info = 1 << 2;
  w.report.chip_id = Bytes(64);
  w.Sign();
  w.evidence.certificates[0].type = "VLEK";
  EXPECT_TRUE(w.Run().accepted) << w.Run().ToJson();
}

TEST(VerifySnp, EverySingleBitFlipIsRefused) {
  SnpWorld w;
  const Bytes good = w.evidence.report;
  const crypto::PublicKey key = w.chain[0].certificate.key();
  for (size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      w.evidence.report = good;
      w.evidence.report[at] ^= static_cast<uint8_t>(1 << bit);
      const auto report = evidence::ParseSnpReport(w.evidence.report);
      if (!report.ok()) continue;
      if (bit == static_cast<int>(at % 8)) {
        ASSERT_FALSE(key.VerifyRaw(crypto::Hash::kSha384, ByteView(w.evidence.report).first(evidence::kSnpSignedSize),
                                   report->RawSignature()))
            << at << "." << bit;
      }
      if (at % 61 == 0) {
        ASSERT_FALSE(w.Run().accepted) << at << "." << bit;
      }
    }
  }
}

// -- real reports under AMD's pinned roots --

SnpWorld RealWorld(const std::string& report, const std::string& vcek) {
  SnpWorld w;
  const std::string text = test::VectorText(vcek);
  const auto certificate = text.starts_with("-----") ? crypto::Certificate::FromPem(text).value()
                                                     : crypto::Certificate::FromDer(AsBytes(text)).value();
  w.evidence = {test::VectorBytes(report), {{"VCEK", certificate.Der()}}};
  w.options = {};
  w.options.report_data = evidence::ParseSnpReport(w.evidence.report)->report_data;
  w.anchors = BuiltinAnchors();
  w.now = ParseTime("2025-06-01").value();
  return w;
}

TEST(VerifyRealSnp, MilanAndGenoa) {
  SKIP_WITHOUT_VECTORS();
  for (const auto& [report, vcek] : {std::pair("snp/virtee_report_milan.bin", "snp/virtee_vcek_milan.der"),
                                     {"snp/azure_genoa_report.bin", "snp/azure_genoa_vcek.pem"}}) {
    const SnpWorld w = RealWorld(report, vcek);
    const Verdict v = w.Run();
    EXPECT_TRUE(v.accepted) << report << v.ToJson();
    EXPECT_EQ(v.environment, "hardware");
    SnpWorld old = w;
    old.options.report_data[0] ^= 1;
    EXPECT_EQ(FirstCode(old.Run()), "snp.report-data-mismatch");
  }
}

TEST(VerifyRealSnp, DebugIsRefused) {
  SKIP_WITHOUT_VECTORS();
  SnpWorld w = RealWorld("snp/gosev_attestation.bin", "snp/gosev_vcek.testcer");
  EXPECT_EQ(FirstCode(w.Run()), "snp.debug-enabled");
  w.options.allow_debug = true;
  EXPECT_TRUE(w.Run().accepted) << w.Run().ToJson();
}

TEST(VerifyRealSnp, ReportWithAnotherMachinesKey) {
  SKIP_WITHOUT_VECTORS();
  SnpWorld w = RealWorld("snp/msft_aci_snp_report.bin", "snp/virtee_vcek_milan.der");
  EXPECT_EQ(FirstCode(w.Run()), "snp.signature-invalid");
}

}  // namespace
}  // namespace ccgpu::verify
