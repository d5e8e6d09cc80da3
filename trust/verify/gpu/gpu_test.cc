// VerifyGpu: healthy evidence is accepted; each named change of it is refused with its code.
#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

using crypto::CertificateSpec;
using evidence::CertStatus;
using ::testing::HasSubstr;

TEST(VerifyGpu, HealthyIsAccepted) {
  const Verdict v = GpuWorld().Run();
  ASSERT_TRUE(v.accepted) << v.ToJson();
  EXPECT_EQ(v.FirstFailure(), nullptr);
  EXPECT_EQ(v.environment, "emulated");
  ASSERT_TRUE(v.verified.has_value());
  EXPECT_EQ((*v.verified)->gpus[0].pdi, "0102030405060708");
  const Json claims = Json::parse(v.claims_json);
  EXPECT_EQ(claims["measres"], "success");
  EXPECT_EQ(claims["environment"], "emulated");
  EXPECT_EQ(claims["mode"], "hopper-cc");
  EXPECT_EQ(claims["dbgstat"], "disabled");
  EXPECT_EQ(claims["x-nvidia-gpu-driver-rim-cert-chain"]["x-nvidia-cert-ocsp-status"], "good");
  EXPECT_EQ(Json::parse(v.ToJson())["verdict"], "accepted");
}

TEST(VerifyGpu, NothingIsAcceptedByDefault) {
  EXPECT_FALSE(Verdict().accepted);
  EXPECT_FALSE(Verdict().ToStatus().ok());
  const Verdict v = VerifyGpu(evidence::Unverified(evidence::GpuEvidence()), {}, {}, {}, kTestNow);
  EXPECT_FALSE(v.accepted);
  EXPECT_FALSE(v.verified.has_value());
  EXPECT_EQ(FirstCode(v), "gpu.nonce-missing");
}

struct GpuCase {
  const char* name;
  const char* code;
  std::function<void(GpuWorld&)> change;
  SpecEdits edits = {};
};
void PrintTo(const GpuCase& c, std::ostream* out) { *out << c.name; }

class GpuRefusals : public ::testing::TestWithParam<GpuCase> {};

TEST_P(GpuRefusals, SaysWhy) {
  GpuWorld world(GetParam().edits);
  if (GetParam().change) GetParam().change(world);
  const Verdict v = world.Run();
  EXPECT_FALSE(v.accepted);
  EXPECT_FALSE(v.verified.has_value());
  EXPECT_EQ(FirstCode(v), GetParam().code) << v.ToJson();
  ASSERT_NE(v.FirstFailure(), nullptr);
  EXPECT_FALSE(v.FirstFailure()->reason.text.empty());
}

using W = GpuWorld;
const SpecEdit kNoCa = [](CertificateSpec& s) { s.ca = false; };
const auto kRevoked = evidence::OcspAnswer{CertStatus::kRevoked, 1, kTestNow - std::chrono::hours(1)};
const auto kHold = evidence::OcspAnswer{CertStatus::kRevoked, 6, kTestNow - std::chrono::hours(1)};

void Measure(GpuWorld& w, uint8_t index, Bytes value) {
  w.report.measurements[index] = std::move(value);
  w.Sign();
}

INSTANTIATE_TEST_SUITE_P(Freshness, GpuRefusals,
                         ::testing::Values(
                             // rule 1: gpu
                             GpuCase{"no_nonce", "gpu.nonce-missing", [](W& w) { w.options.nonce.clear(); }},
                             GpuCase{"short_nonce", "gpu.nonce-missing", [](W& w) { w.options.nonce.resize(31); }},
                             GpuCase{"other_nonce", "gpu.nonce-mismatch", [](W& w) { w.options.nonce[31] ^= 1; }},
                             GpuCase{"responder_nonce_is_not_the_nonce", "gpu.nonce-mismatch",
                                     [](W& w) {
                                       w.options.nonce = Bytes(32, 1);
                                       w.report.responder_nonce = Bytes(32, 1);
                                       w.Sign();
                                     }}),
                         [](const auto& i) { return i.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Signature, GpuRefusals,
    ::testing::Values(
        // rule 5: gpu
        // advisory: CVE-2022-21449
        GpuCase{"all_zero", "gpu.signature-invalid",
                [](W& w) { std::fill(w.evidence.report.end() - 96, w.evidence.report.end(), 0); }},
        // rule 2: gpu
        GpuCase{"by_the_identity_key", "gpu.signature-invalid",
                [](W& w) { w.evidence.report = evidence::SignGpuReport(w.report, w.device[1].key); }},
        GpuCase{"r_is_zero", "gpu.signature-invalid",
                [](W& w) { std::fill(w.evidence.report.end() - 96, w.evidence.report.end() - 48, 0); }},
        GpuCase{"trailing_byte", "gpu.report-malformed", [](W& w) { w.evidence.report.push_back(0); }},
        GpuCase{"empty", "gpu.report-malformed", [](W& w) { w.evidence.report.clear(); }},
        GpuCase{"another_arch", "gpu.unknown-arch", [](W& w) { w.evidence.arch = "LS10"; }},
        GpuCase{"arch_of_another_chip", "gpu.arch-mismatch", [](W& w) { w.evidence.arch = "BLACKWELL"; }}),
    [](const auto& i) { return i.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Chain, GpuRefusals,
    ::testing::Values(
        // rule 4: gpu
        // advisory: CVE-2025-64186
        GpuCase{"empty", "gpu.chain-malformed", [](W& w) { w.evidence.certificate_chain.clear(); }},
        GpuCase{"one_certificate", "gpu.chain-malformed",
                [](W& w) { w.evidence.certificate_chain = w.device[0].certificate.Pem(); }},
        GpuCase{"six_certificates", "gpu.chain-malformed",
                [](W& w) { w.evidence.certificate_chain += w.device[4].certificate.Pem(); }},
        GpuCase{"text_behind_its_nul", "gpu.chain-malformed",
                [](W& w) { w.evidence.certificate_chain += std::string("\0more", 5); }},
        GpuCase{"bytes_behind_a_certificate", "gpu.chain-malformed",
                [](W& w) {
                  Bytes leaf = w.device[0].certificate.Der();
                  const std::string before = w.device[0].certificate.Pem();
                  leaf.push_back(0);
                  w.evidence.certificate_chain = "-----BEGIN CERTIFICATE-----\n" + Base64Encode(leaf) +
                                                 "\n-----END CERTIFICATE-----\n" +
                                                 w.evidence.certificate_chain.substr(before.size());
                }},
        GpuCase{"text_between", "gpu.chain-malformed", [](W& w) { w.evidence.certificate_chain += "more"; }},
        GpuCase{"no_anchor", "gpu.untrusted-root", [](W& w) { w.anchors.device_roots.clear(); }},
        GpuCase{"other_emulators_root", "gpu.untrusted-root",
                [](W& w) {
                  // Same names, other keys: what another emulator's evidence looks like here.
                  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
                  CertificateSpec spec;
                  spec.subject = {{"O", "EMULATED, NOT NVIDIA"}, {"CN", "ccgpu Device Identity CA"}};
                  spec.key = key.public_key();
                  spec.not_after = kTestNow + std::chrono::hours(1);
                  w.anchors.device_roots = {crypto::MakeCertificate(spec, key, nullptr).value()};
                }},
        GpuCase{"root_is_only_builtin", "gpu.untrusted-root", [](W& w) { w.anchors = BuiltinAnchors(); }},
        GpuCase{"swapped_order", "gpu.chain-invalid",
                [](W& w) {
                  std::swap(w.device[1], w.device[2]);
                  w.evidence.certificate_chain = evidence::ChainPem(CertificatesOf(w.device));
                }},
        GpuCase{"leaf_of_another_device", "gpu.chain-invalid",
                [](W& w) {
                  CertificateSpec spec;
                  spec.subject = {{"CN", "GH100 A01 GSP FMC LF"}};
                  spec.key = w.device[0].key.public_key();
                  spec.not_before = kTestNow - std::chrono::hours(1), spec.not_after = kTestNow + std::chrono::hours(1);
                  spec.digital_signature = true;
                  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
                  w.device[0].certificate = crypto::MakeCertificate(spec, key, &w.device[1].certificate).value();
                  w.Sign();
                }},
        // advisory: CVE-2021-3450
        GpuCase{"issuer_is_no_ca", "gpu.chain-invalid", nullptr, {{"device2", kNoCa}}},
        GpuCase{"issuer_may_not_sign_certificates",
                "gpu.chain-invalid",
                nullptr,
                {{"device2", [](CertificateSpec& s) { s.key_cert_sign = false; }}}},
        GpuCase{
            "path_length", "gpu.chain-invalid", nullptr, {{"device3", [](CertificateSpec& s) { s.path_length = 1; }}}},
        GpuCase{"leaf_is_ca", "gpu.chain-invalid", nullptr, {{"device0", [](CertificateSpec& s) { s.ca = true; }}}},
        GpuCase{"leaf_may_not_sign",
                "gpu.chain-invalid",
                nullptr,
                {{"device0", [](CertificateSpec& s) { s.digital_signature = false; }}}},
        // rule 3: gpu
        GpuCase{
            "p256_leaf",
            "gpu.chain-invalid",
            nullptr,
            {{"device0",
              [](CertificateSpec& s) { s.key = crypto::PrivateKey::Generate(crypto::KeyType::kP256).public_key(); }}}},
        GpuCase{"unknown_critical_extension",
                "gpu.chain-invalid",
                nullptr,
                {{"device1",
                  [](CertificateSpec& s) {
                    s.extensions.push_back({"1.2.3.4", {5, 0}, true});
                  }}}},
        GpuCase{"extension_twice",
                "gpu.chain-invalid",
                nullptr,
                {{"device1",
                  [](CertificateSpec& s) {
                    s.extensions = {{"1.2.3.4", {5, 0}, false}, {"1.2.3.4", {5, 0}, false}};
                  }}}},
        GpuCase{"expired",
                "gpu.chain-expired",
                nullptr,
                {{"device1", [](CertificateSpec& s) { s.not_after = kTestNow - std::chrono::seconds(1); }}}},
        GpuCase{"not_yet_valid",
                "gpu.chain-expired",
                nullptr,
                {{"device0", [](CertificateSpec& s) { s.not_before = kTestNow + std::chrono::seconds(1); }}}},
        GpuCase{"root_expired",
                "gpu.chain-expired",
                nullptr,
                {{"device4", [](CertificateSpec& s) { s.not_after = kTestNow - std::chrono::seconds(1); }}}},
        GpuCase{
            "no_fwid", "gpu.chain-profile", nullptr, {{"device0", [](CertificateSpec& s) { s.extensions.clear(); }}}},
        GpuCase{"fwid_of_other_firmware", "gpu.fwid-mismatch",
                [](W& w) {
                  w.report.opaque.Set(evidence::opaque_type::kFwid, Bytes(48, 1));
                  w.Sign();
                }}),
    [](const auto& i) { return i.param.name; });

// rule 14: gpu
INSTANTIATE_TEST_SUITE_P(
    Revocation, GpuRefusals,
    ::testing::Values(
        GpuCase{"identity_revoked", "gpu.revoked", [](W& w) { w.Answer("device1", kRevoked); }},
        GpuCase{"provisioner_revoked", "gpu.revoked", [](W& w) { w.Answer("device2", kRevoked); }},
        GpuCase{"device_hold_is_never_fine_unless_allowed", "gpu.revoked", [](W& w) { w.Answer("device1", kHold); }},
        GpuCase{"unknown", "gpu.revocation-unknown", [](W& w) { w.Answer("device1", {CertStatus::kUnknown}); }},
        GpuCase{"withheld", "gpu.revocation-missing", [](W& w) { w.DropOcsp(); }},
        GpuCase{
            "next_update_passed", "gpu.revocation-stale",
            [](W& w) { w.Answer("device1", {}, kTestNow - std::chrono::hours(3), kTestNow - std::chrono::hours(2)); }},
        GpuCase{
            "older_than_allowed", "gpu.revocation-stale",
            [](W& w) { w.Answer("device1", {}, kTestNow - std::chrono::hours(48), kTestNow + std::chrono::hours(2)); }},
        GpuCase{
            "from_the_future", "gpu.revocation-missing",
            [](W& w) { w.Answer("device1", {}, kTestNow + std::chrono::hours(1), kTestNow + std::chrono::hours(2)); }},
        GpuCase{"revoked_though_not_required", "gpu.revoked",
                [](W& w) {
                  w.options.require_revocation = false;
                  w.Answer("device1", kRevoked);
                }},
        GpuCase{"responder_not_appointed",
                "gpu.revocation-missing",
                nullptr,
                {{"ocsp", [](CertificateSpec& s) { s.extended_key_usage = "serverAuth"; }}}},
        GpuCase{"responder_of_another_chain", "gpu.revocation-missing",
                [](W& w) {
                  w.ocsp = w.rim_ocsp;
                  w.Answer("device1", {});
                }},
        GpuCase{"responder_expired",
                "gpu.revocation-missing",
                nullptr,
                {{"ocsp", [](CertificateSpec& s) { s.not_after = kTestNow - std::chrono::seconds(1); }}}},
        GpuCase{"good_answer_about_another_certificate", "gpu.revocation-missing",
                [](W& w) {
                  w.DropOcsp();
                  w.Answer("device2", {});
                }},
        GpuCase{"newer_revocation_beats_older_good", "gpu.revoked",
                [](W& w) {
                  w.Answer("device1", {}, kTestNow - std::chrono::hours(1));
                  const Bytes old = w.collateral.ocsp_responses[0];
                  w.Answer("device1", kRevoked);
                  w.collateral.ocsp_responses.push_back(old);
                }},
        GpuCase{"crl_lists_it", "gpu.revoked",
                [](W& w) {
                  w.collateral.crls = {evidence::MakeCrl(w.device[2].certificate, w.device[2].key, kTestNow,
                                                         kTestNow + std::chrono::hours(1),
                                                         {{w.device[1].certificate.SerialNumber(), kTestNow, 1}})
                                           .value()};
                }},
        GpuCase{"rim_signer_revoked", "rim.revoked", [](W& w) { w.Answer("rim0", kRevoked); }},
        GpuCase{"rim_signer_on_hold", "rim.revoked", [](W& w) { w.Answer("rim0", kHold); }}),
    [](const auto& i) { return i.param.name; });

// rule 14: gpu, rim
TEST(VerifyGpuRevocation, CrlsAloneAreEnough) {
  GpuWorld w;
  w.DropOcsp();
  for (const auto* chain : {&w.device, &w.rim}) {
    for (size_t i = 1; i < chain->size(); ++i) {
      w.collateral.crls.push_back(
          evidence::MakeCrl((*chain)[i].certificate, (*chain)[i].key, kTestNow, kTestNow + std::chrono::hours(1), {})
              .value());
    }
  }
  EXPECT_TRUE(w.Run().accepted) << w.Run().ToJson();
  w.now += std::chrono::hours(2);
  EXPECT_EQ(FirstCode(w.Run()), "gpu.revocation-stale");
}

TEST(VerifyGpuRevocation, HoldCanBeAllowed) {
  GpuWorld w;
  w.Answer("rim0", kHold);
  w.options.allow_hold = true;
  EXPECT_TRUE(w.Run().accepted);
}

TEST(VerifyGpuRevocation, NotRequiredMeansMayBeAbsent) {
  GpuWorld w;
  w.DropOcsp();
  w.options.require_revocation = false;
  EXPECT_TRUE(w.Run().accepted);
}

// rule 13: gpu, rim
INSTANTIATE_TEST_SUITE_P(
    Rims, GpuRefusals,
    ::testing::Values(
        GpuCase{"no_driver_rim", "rim.not-found",
                [](W& w) { w.collateral.rims.erase("NV_GPU_DRIVER_GH100_550.90.07"); }},
        GpuCase{"no_vbios_rim", "rim.not-found",
                [](W& w) { w.collateral.rims.erase("NV_GPU_VBIOS_1010_0200_882_96009F0001"); }},
        GpuCase{"not_xml", "rim.malformed", [](W& w) { w.collateral.rims["NV_GPU_DRIVER_GH100_550.90.07"] = "<x"; }},
        // rule 4: rim
        GpuCase{"other_root", "rim.untrusted-root", [](W& w) { w.anchors.rim_roots = {w.device[4].certificate}; }},
        GpuCase{"signed_by_the_device_chain", "rim.untrusted-root",
                [](W& w) {
                  w.rim = w.device;
                  w.Endorse();
                }},
        // rule 2: rim
        GpuCase{"signed_by_another_key", "rim.signature-invalid",
                [](W& w) {
                  w.rim[0].key = w.rim[1].key;
                  w.Endorse();
                }},
        // rule 14: rim
        GpuCase{"expired_signer",
                "rim.chain-expired",
                nullptr,
                {{"rim0", [](CertificateSpec& s) { s.not_after = kTestNow - std::chrono::seconds(1); }}}},
        GpuCase{"signer_issued_by_no_ca", "rim.chain-invalid", nullptr, {{"rim1", kNoCa}}},
        GpuCase{"rim_of_an_older_version_under_the_new_id", "rim.version-mismatch",
                [](W& w) {
                  w.driver_spec.colloquial_version = "550.54.15";
                  w.Endorse();
                }},
        GpuCase{"value_changed_in_the_file", "rim.signature-invalid",
                [](W& w) {
                  std::string& xml = w.collateral.rims["NV_GPU_DRIVER_GH100_550.90.07"];
                  const size_t at = xml.find("active=\"True\"");
                  xml.replace(at, 13, "active=\"False\"");
                }},
        GpuCase{"both_rims_claim_an_index", "rim.index-conflict",
                [](W& w) {
                  w.vbios_spec.measurements.push_back({7, true, {w.report.measurements[7]}, ""});
                  w.Endorse();
                }},
        GpuCase{"rim_without_active_values", "rim.empty",
                [](W& w) {
                  w.driver_spec.measurements.clear();
                  w.Endorse();
                }},
        // rule 13: gpu, rim
        GpuCase{"driver_floor", "gpu.version-floor", [](W& w) { w.options.driver_floor = "550.90.8"; }},
        GpuCase{"vbios_floor", "gpu.version-floor", [](W& w) { w.options.vbios_floor = "96.00.A0"; }}),
    [](const auto& i) { return i.param.name; });

// rule 13: gpu
INSTANTIATE_TEST_SUITE_P(
    Measurements, GpuRefusals,
    ::testing::Values(
        GpuCase{"vbios", "gpu.measurement-mismatch", [](W& w) { Measure(w, 2, Bytes(48, 1)); }},
        GpuCase{"driver", "gpu.measurement-mismatch", [](W& w) { Measure(w, 7, Bytes(48, 1)); }},
        GpuCase{"block_missing", "gpu.measurement-mismatch",
                [](W& w) {
                  w.report.measurements.erase(22);
                  w.Sign();
                }},
        GpuCase{"all_zero", "gpu.measurement-mismatch", [](W& w) { Measure(w, 40, Bytes(48)); }},
        GpuCase{"mode_off", "gpu.mode-off", [](W& w) { Measure(w, 13, evidence::CcModeMeasurement("off")); }},
        GpuCase{"mode_devtools", "gpu.mode-devtools",
                [](W& w) { Measure(w, 13, evidence::CcModeMeasurement("devtools")); }},
        GpuCase{"mode_apm", "gpu.mode-apm", [](W& w) { Measure(w, 13, evidence::CcModeMeasurement("apm")); }},
        GpuCase{"mode_unheard_of", "gpu.measurement-mismatch",
                [](W& w) { Measure(w, 13, evidence::CcModeMeasurement("new")); }},
        GpuCase{"mode_off_though_devtools_is_allowed", "gpu.mode-off",
                [](W& w) {
                  w.options.allow_devtools = true;
                  Measure(w, 13, evidence::CcModeMeasurement("off"));
                }},
        // rule 6: gpu
        GpuCase{"debug_fuse", "gpu.debug-enabled", [](W& w) { Measure(w, 14, evidence::DebugFuseMeasurement(true)); }},
        GpuCase{"nvdec_enabled_and_35_differs", "gpu.measurement-mismatch",
                [](W& w) {
                  w.report.opaque.Set(evidence::opaque_type::kNvdec0Status, {evidence::kNvdecEnabled});
                  Measure(w, 35, Bytes(48, 1));
                }},
        GpuCase{"nvdec_neither", "gpu.nvdec-status",
                [](W& w) {
                  w.report.opaque.Set(evidence::opaque_type::kNvdec0Status, {0});
                  w.Sign();
                }},
        GpuCase{"nvdec_absent", "gpu.nvdec-status",
                [](W& w) {
                  std::erase_if(w.report.opaque.fields,
                                [](const auto& f) { return f.type == evidence::opaque_type::kNvdec0Status; });
                  w.Sign();
                }}),
    [](const auto& i) { return i.param.name; });

TEST(VerifyGpuMeasurements, FailureNamesComponentRimAndPlace) {
  GpuWorld w;
  Measure(w, 2, Bytes(48, 1));
  const Verdict v = w.Run();
  const Check& check = *v.FirstFailure();
  EXPECT_THAT(check.reason.text, HasSubstr("VBIOS image (index 2)"));
  EXPECT_THAT(check.reason.text, HasSubstr("NV_GPU_VBIOS_1010_0200_882_96009F0001"));
  EXPECT_EQ(check.document, "gpu0/report");
  EXPECT_EQ(check.offset, 45u + 2 * 55 + 7);
  EXPECT_EQ(check.length, 48u);
  EXPECT_EQ(check.found, HexEncode(Bytes(48, 1)));
  const Json record = Json::parse(v.claims_json)["x-nvidia-mismatch-measurement-records"][0];
  EXPECT_EQ(record["index"], 2);
  EXPECT_EQ(record["measurementSource"], "vbios");
}

TEST(VerifyGpuMeasurements, PositiveControls) {
  GpuWorld alternatives;
  alternatives.driver_spec.measurements[1].alternatives.push_back(Bytes(48, 9));
  alternatives.Endorse();
  Measure(alternatives, alternatives.driver_spec.measurements[1].index, Bytes(48, 9));
  EXPECT_TRUE(alternatives.Run().accepted) << alternatives.Run().ToJson();

  GpuWorld disabled_nvdec;
  Measure(disabled_nvdec, 35, Bytes(48, 1));
  EXPECT_TRUE(disabled_nvdec.Run().accepted);

  GpuWorld devtools;
  devtools.options.allow_devtools = true;
  Measure(devtools, 13, evidence::CcModeMeasurement("devtools"));
  EXPECT_TRUE(devtools.Run().accepted);

  GpuWorld unused;
  Measure(unused, 60, Bytes(48, 1));
  EXPECT_TRUE(unused.Run().accepted);

  GpuWorld floor;
  floor.options.driver_floor = "550.90.7";
  floor.options.vbios_floor = "96.00.9F.00.01";
  EXPECT_TRUE(floor.Run().accepted);

  GpuWorld padded;
  padded.evidence.report.push_back(0);
  padded.options.max_report_padding = 1;
  EXPECT_TRUE(padded.Run().accepted);
}

// rule 17: gpu, rim
INSTANTIATE_TEST_SUITE_P(Environment, GpuRefusals,
                         ::testing::Values(GpuCase{"emulated_without_the_flag", "environment.emulated",
                                                   [](W& w) { w.anchors.insecure_accept_emulated = false; }},
                                           GpuCase{"root_that_says_nothing",
                                                   "environment.unknown-root",
                                                   nullptr,
                                                   {{"device4",
                                                     [](CertificateSpec& s) {
                                                       s.subject = {{"CN", "My CA"}};
                                                     }}}},
                                           GpuCase{"rim_root_that_says_nothing",
                                                   "environment.unknown-root",
                                                   nullptr,
                                                   {{"rim3",
                                                     [](CertificateSpec& s) {
                                                       s.subject = {{"CN", "My RIM CA"}};
                                                     }}}}),
                         [](const auto& i) { return i.param.name; });

// Every bit of a signed report counts. Exhaustive over the bytes, one bit each (the bit moves along), all bits of the
// header.
TEST(VerifyGpu, EverySingleBitFlipIsRefused) {
  GpuWorld w;
  w.options.require_revocation = false;
  w.DropOcsp();
  const Bytes good = w.evidence.report;
  ASSERT_TRUE(w.Run().accepted);
  for (size_t at = 0; at < good.size(); ++at) {
    const int step = at < 64 || at >= good.size() - 160 ? 1 : 8;
    for (int bit = static_cast<int>(at % static_cast<size_t>(step)); bit < 8; bit += step) {
      w.evidence.report = good;
      w.evidence.report[at] ^= static_cast<uint8_t>(1 << bit);
      // The signature alone decides: the whole verification is run on the parts where it might not.
      const auto report = evidence::ParseGpuReport(w.evidence.report);
      if (!report.ok()) continue;
      ASSERT_FALSE(
          w.device[0].certificate.key().VerifyRaw(crypto::Hash::kSha384, report->signed_bytes, report->signature))
          << at << "." << bit;
      if (at % 97 == 0) {
        ASSERT_FALSE(w.Run().accepted) << at << "." << bit;
      }
    }
  }
}

}  // namespace
}  // namespace ccgpu::verify
