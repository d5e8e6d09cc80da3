// VerifyTdx: a healthy quote of each version, and each rule's mistake, re-signed where a signature would hide it.
#include <gmock/gmock.h>

#include <functional>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/verify/testing/tdx_world.h"

namespace ccgpu::verify {
namespace {

using crypto::CertificateSpec;
using evidence::TcbStatus;
using std::chrono::hours;

TEST(VerifyTdx, HealthyIsAccepted) {
  for (const uint16_t version : {4, 5}) {
    const Verdict v = TdxWorld({}, version).Run();
    ASSERT_TRUE(v.accepted) << version << v.ToJson();
    EXPECT_EQ(v.environment, "emulated");
    EXPECT_EQ((*v.verified)->cpu.tee, "tdx");
    EXPECT_EQ((*v.verified)->cpu.measurement, HexEncode(Bytes(48, 0xcc)));
    EXPECT_EQ((*v.verified)->cpu.init_data, HexEncode(Concat({Bytes(32, 0xbb), Bytes(16)})));
    const Json claims = Json::parse(v.claims_json);
    EXPECT_EQ(claims["tcb_status"], "UpToDate");
    EXPECT_EQ(claims["td_attributes"]["debug"], false);
    EXPECT_EQ(claims["tcb_evaluation_number"], 17);
  }
}

TEST(VerifyTdx, TheLaunchingAndTheRunningModuleCountTogether) {
  TdxWorld w({}, 5);
  w.quote.body.tee_tcb_svn2->at(0) = 6;
  w.Sign();
  EXPECT_TRUE(w.Run().accepted) << "a newer module than that of the launch" << w.Run().ToJson();
  w.quote.body.tee_tcb_svn2->at(0) = 3;
  w.Sign();
  w.options.accepted_statuses.insert(TcbStatus::kOutOfDate);
  const Verdict old = w.Run();
  ASSERT_TRUE(old.accepted) << old.ToJson();
  EXPECT_EQ(Json::parse(old.claims_json)["tcb_status"], "OutOfDate");
  EXPECT_EQ(Json::parse(old.claims_json)["advisory_ids"], Json({"INTEL-SA-00003"}));
}

TEST(VerifyTdx, BytesBehindTheQuoteMeanNothing) {
  TdxWorld w;
  w.evidence.quote.resize(8000);
  EXPECT_TRUE(w.Run().accepted);
}

struct TdxCaseRow {
  const char* name;
  const char* code;
  std::function<void(TdxWorld&)> change;
  uint16_t version = 4;
  SpecEdits edits = {};
};
void PrintTo(const TdxCaseRow& c, std::ostream* out) { *out << c.name; }
class TdxRefusals : public ::testing::TestWithParam<TdxCaseRow> {};

// rule 1: tdx
// rule 2: tdx
// rule 3: tdx
// rule 4: tdx
// rule 5: tdx
// rule 6: tdx
// rule 9: tdx
// rule 13: tdx
// rule 14: tdx
// rule 17: tdx
TEST_P(TdxRefusals, SaysWhy) {
  TdxWorld w(GetParam().edits, GetParam().version);
  GetParam().change(w);
  const Verdict v = w.Run();
  EXPECT_FALSE(v.accepted);
  EXPECT_FALSE(v.verified.has_value());
  EXPECT_EQ(FirstCode(v), GetParam().code) << v.ToJson();
}

using W = TdxWorld;
// The quote's bytes change after signing.
std::function<void(W&)> Byte(size_t offset, uint8_t flip = 1) {
  return [=](W& w) { w.evidence.quote[offset] ^= flip; };
}
std::function<void(W&)> Quote(const std::function<void(evidence::TdxQuote&)>& change) {
  return [=](W& w) {
    change(w.quote);
    w.Sign();
  };
}
std::function<void(W&)> Body(const std::function<void(evidence::TdReport&)>& change) {
  return Quote([=](evidence::TdxQuote& q) { change(q.body); });
}
std::function<void(W&)> Docs(const std::function<void(W&)>& change) {
  return [=](W& w) {
    change(w);
    w.Endorse();
  };
}
std::function<void(W&)> Options(const std::function<void(TdxOptions&)>& change) {
  return [=](W& w) { change(w.options); };
}
const std::function<void(W&)> kNothing = [](W&) {};

constexpr size_t kSigned = 48 + 584;

INSTANTIATE_TEST_SUITE_P(
    Bindings, TdxRefusals,
    ::testing::Values(
        TdxCaseRow{"no_report_data", "tdx.report-data-missing", Options([](auto& o) { o.report_data.clear(); })},
        TdxCaseRow{"short_report_data", "tdx.report-data-missing", Options([](auto& o) { o.report_data.resize(63); })},
        TdxCaseRow{"other_report_data", "tdx.report-data-mismatch", Options([](auto& o) { o.report_data[63] ^= 1; })},
        TdxCaseRow{"other_initdata", "tdx.mr-config-id-mismatch",
                   Options([](auto& o) { o.mr_config_id = Bytes(48, 0xbb); })},
        TdxCaseRow{"other_image", "tdx.mrtd-mismatch", Options([](auto& o) { o.mr_td = Bytes(48); })},
        TdxCaseRow{"other_module", "tdx.mrseam-mismatch", Options([](auto& o) { o.mr_seam = Bytes(48, 1); })},
        TdxCaseRow{"other_owner", "tdx.owner-mismatch", Options([](auto& o) { o.mr_owner = Bytes(48, 1); })},
        TdxCaseRow{"other_owner_config", "tdx.owner-mismatch",
                   Options([](auto& o) { o.mr_owner = Bytes(48), o.mr_owner_config = Bytes(48, 1); })},
        TdxCaseRow{"other_rtmr", "tdx.rtmr-mismatch", Options([](auto& o) { o.rtmrs[2] = Bytes(48, 1); })},
        TdxCaseRow{"other_platform", "tdx.platform-mismatch",
                   Options([](auto& o) { o.platform_instance = Bytes(16); })}),
    [](const auto& i) { return i.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Formats, TdxRefusals,
    ::testing::Values(
        TdxCaseRow{"empty", "tdx.quote-malformed", [](W& w) { w.evidence.quote.clear(); }},
        TdxCaseRow{"version_3", "tdx.quote-version", Quote([](auto& q) { q.version = 3; })},
        TdxCaseRow{"p384_key_type", "tdx.key-type", Quote([](auto& q) { q.key_type = 3; })},
        TdxCaseRow{"sgx_quote", "tdx.tee-type", Quote([](auto& q) { q.tee_type = 0; })},
        TdxCaseRow{"other_vendor", "tdx.qe-vendor", Quote([](auto& q) { q.vendor[0] ^= 1; })},
        TdxCaseRow{"v5_as_v4", "tdx.quote-malformed", Byte(0), 5},
        TdxCaseRow{"v5_body_of_sgx", "tdx.quote-malformed", Byte(48, 2), 5},
        TdxCaseRow{"signature_longer_than_the_file", "tdx.quote-malformed", Byte(kSigned + 1, 0x40)},
        TdxCaseRow{"signature_data_of_another_kind", "tdx.quote-malformed", Byte(kSigned + 4 + 128, 3)},
        TdxCaseRow{"body_changed", "tdx.signature-invalid", Byte(48 + evidence::td_offset::kMrTd)},
        TdxCaseRow{"header_changed", "tdx.signature-invalid", Byte(28)},
        TdxCaseRow{"signature_changed", "tdx.signature-invalid", Byte(kSigned + 4 + 10)},
        TdxCaseRow{"signature_of_zeros", "tdx.signature-invalid",
                   [](W& w) { std::fill_n(w.evidence.quote.begin() + kSigned + 4, 64, uint8_t{0}); }},
        TdxCaseRow{"qe_signature_of_zeros", "tdx.qe-signature-invalid",
                   [](W& w) { std::fill_n(w.evidence.quote.begin() + kSigned + 138 + 384, 64, uint8_t{0}); }},
        TdxCaseRow{"attestation_key_replaced", "tdx.key-binding",
                   [](W& w) {
                     const auto other = crypto::PrivateKey::Generate(crypto::KeyType::kP256);
                     w.quote.attestation_key = other.public_key().Point();
                     Bytes bytes = evidence::EncodeTdxQuote(w.quote);
                     w.quote.signature =
                         other.SignRaw(crypto::Hash::kSha256, ByteView(bytes).first(w.quote.signed_size));
                     w.evidence.quote = evidence::EncodeTdxQuote(w.quote);
                   }},
        TdxCaseRow{"auth_data_changed", "tdx.key-binding",
                   [](W& w) {
                     w.quote.qe_auth_data[0] ^= 1;
                     w.evidence.quote = evidence::EncodeTdxQuote(w.quote);
                   }},
        TdxCaseRow{"qe_report_data_not_zero_behind_the_digest", "tdx.key-binding",
                   [](W& w) {
                     evidence::QeReport qe = evidence::ParseQeReport(w.quote.qe_report_bytes).value();
                     qe.report_data[40] = 1;
                     w.quote.qe_report_bytes = evidence::EncodeQeReport(qe);
                     w.quote.qe_signature = w.chain[0].key.SignRaw(crypto::Hash::kSha256, w.quote.qe_report_bytes);
                     w.evidence.quote = evidence::EncodeTdxQuote(w.quote);
                   }},
        TdxCaseRow{
            "qe_report_of_another_pck", "tdx.qe-signature-invalid",
            [](W& w) { w.evidence.quote = evidence::SignTdxQuote(w.quote, w.attestation_key, w.qe, w.chain[1].key); }}),
    [](const auto& i) { return i.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Chains, TdxRefusals,
    ::testing::Values(
        TdxCaseRow{"emulated_without_the_flag", "environment.emulated",
                   [](W& w) { w.anchors.insecure_accept_emulated = false; }},
        TdxCaseRow{"root_not_pinned", "tdx.untrusted-root",
                   [](W& w) { w.anchors.intel_roots = BuiltinAnchors().intel_roots; }},
        TdxCaseRow{"no_chain", "tdx.chain-malformed", Quote([](auto& q) { q.pck_chain.clear(); })},
        TdxCaseRow{"leaf_only", "tdx.chain-malformed",
                   [](W& w) { w.quote.pck_chain = w.chain[0].certificate.Pem(), w.Sign(); }},
        TdxCaseRow{"extra_certificate", "tdx.chain-malformed",
                   [](W& w) { w.quote.pck_chain += w.chain[2].certificate.Pem(), w.Sign(); }},
        TdxCaseRow{"text_behind_the_chains_nul", "tdx.chain-malformed",
                   Quote([](auto& q) { q.pck_chain += std::string("\0x", 2); })},
        TdxCaseRow{"text_in_the_chain", "tdx.chain-malformed", Quote([](auto& q) { q.pck_chain += "x"; })},
        TdxCaseRow{
            "leaf_is_a_ca", "tdx.chain-invalid", kNothing, 4, {{"tdx0", [](CertificateSpec& s) { s.ca = true; }}}},
        TdxCaseRow{
            "ca_is_none", "tdx.chain-invalid", kNothing, 4, {{"tdx1", [](CertificateSpec& s) { s.ca = false; }}}},
        TdxCaseRow{"ca_may_not_sign",
                   "tdx.chain-invalid",
                   kNothing,
                   4,
                   {{"tdx1", [](CertificateSpec& s) { s.key_cert_sign = false; }}}},
        TdxCaseRow{"path_too_long",
                   "tdx.chain-invalid",
                   kNothing,
                   4,
                   {{"tdx2", [](CertificateSpec& s) { s.path_length = 0; }}}},
        TdxCaseRow{"not_yet_valid", "tdx.chain-expired", [](W& w) { w.now = ParseTime("2023-01-01").value(); }},
        TdxCaseRow{"leaf_expired",
                   "tdx.chain-expired",
                   kNothing,
                   4,
                   {{"tdx0", [](CertificateSpec& s) { s.not_after = kTestNow - hours(1); }}}},
        TdxCaseRow{"no_sgx_extension",
                   "tdx.chain-profile",
                   kNothing,
                   4,
                   {{"tdx0", [](CertificateSpec& s) { s.extensions.clear(); }}}},
        TdxCaseRow{"leaf_of_another_kind",
                   "tdx.chain-profile",
                   kNothing,
                   4,
                   {{"tdx0", [](CertificateSpec& s) { s.subject[0].second = "Intel SGX TCB Signing"; }}}},
        TdxCaseRow{"ca_of_another_kind",
                   "tdx.chain-profile",
                   kNothing,
                   4,
                   {{"tdx1", [](CertificateSpec& s) { s.subject[0].second = "Intel SGX Other CA"; }}}},
        TdxCaseRow{"pck_revoked", "tdx.revoked", Docs([](W& w) {
                     w.revoked_by_ca = {{{0x11, 0x22, 0x33}, kTestNow - hours(48), -1}};
                   })},
        TdxCaseRow{"ca_revoked", "tdx.revoked", Docs([](W& w) {
                     w.revoked_by_root = {{w.chain[1].certificate.SerialNumber(), kTestNow, -1}};
                   })},
        TdxCaseRow{"no_lists", "tdx.revocation-missing", [](W& w) { w.collateral.crls.clear(); }},
        TdxCaseRow{"root_list_missing", "tdx.revocation-missing",
                   [](W& w) { w.collateral.crls.erase(w.collateral.crls.begin()); }},
        TdxCaseRow{"pck_list_missing", "tdx.revocation-missing", [](W& w) { w.collateral.crls.pop_back(); }},
        TdxCaseRow{"lists_stale", "tdx.revocation-stale", Docs([](W& w) { w.crl_next_update = kTestNow - hours(1); })}),
    [](const auto& i) { return i.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Collateral, TdxRefusals,
    ::testing::Values(
        TdxCaseRow{"no_tcb_info", "tdx.tcb-info-missing", [](W& w) { w.collateral.tcb_infos.clear(); }},
        TdxCaseRow{"tcb_info_of_another_platform", "tdx.tcb-info-missing",
                   Docs([](W& w) { w.tcb_info.fmspc[0] ^= 1; })},
        TdxCaseRow{"tcb_info_of_another_pce", "tdx.tcb-info-missing", Docs([](W& w) { w.tcb_info.pce_id[0] ^= 1; })},
        TdxCaseRow{"tcb_info_unreadable", "tdx.tcb-info-missing",
                   [](W& w) { w.collateral.tcb_infos[0].body.pop_back(); }},
        TdxCaseRow{"tcb_info_changed", "tdx.collateral-signature",
                   [](W& w) {
                     std::string& body = w.collateral.tcb_infos[0].body;
                     body.replace(body.find("\"OutOfDate\""), 11, "\"UpToDate\"");
                   }},
        TdxCaseRow{"tcb_info_reformatted", "tdx.collateral-signature",
                   [](W& w) {
                     std::string& body = w.collateral.tcb_infos[0].body;
                     body.insert(body.find("\"version\""), " ");
                   }},
        TdxCaseRow{"tcb_info_of_another_signer", "tdx.collateral-signature",
                   [](W& w) { w.collateral.tcb_infos[0].body = evidence::MakeTcbInfo(w.tcb_info, w.attestation_key); }},
        TdxCaseRow{"tcb_info_signed_by_a_pck", "tdx.chain-profile",
                   [](W& w) {
                     w.collateral.tcb_infos[0] = {evidence::MakeTcbInfo(w.tcb_info, w.chain[1].key),
                                                  w.chain[1].certificate.Pem() + w.chain[2].certificate.Pem()};
                   }},
        TdxCaseRow{"tcb_info_without_chain", "tdx.chain-malformed",
                   [](W& w) { w.collateral.tcb_infos[0].issuer_chain.clear(); }},
        TdxCaseRow{"tcb_info_expired", "tdx.collateral-stale",
                   Docs([](W& w) { w.tcb_info.next_update = kTestNow - hours(1); })},
        TdxCaseRow{"tcb_info_of_the_future", "tdx.collateral-stale",
                   Docs([](W& w) { w.tcb_info.issue_date = kTestNow + hours(1); })},
        TdxCaseRow{"tcb_signer_revoked", "tdx.revoked", Docs([](W& w) {
                     w.revoked_by_root = {{{0x44, 0x55}, kTestNow, -1}};
                   })},
        TdxCaseRow{"tcb_signer_expired",
                   "tdx.chain-expired",
                   kNothing,
                   4,
                   {{"tcb-signing", [](CertificateSpec& s) { s.not_after = kTestNow - hours(1); }}}},
        TdxCaseRow{"no_qe_identity", "tdx.qe-identity-missing", [](W& w) { w.collateral.qe_identities.clear(); }},
        TdxCaseRow{"qe_identity_changed", "tdx.collateral-signature",
                   [](W& w) {
                     std::string& body = w.collateral.qe_identities[0].body;
                     body.replace(body.find("\"isvprodid\":2"), 13, "\"isvprodid\":3");
                   }},
        TdxCaseRow{"qe_identity_expired", "tdx.collateral-stale",
                   Docs([](W& w) { w.qe_identity.next_update = kTestNow - hours(1); })},
        TdxCaseRow{"rolled_back_tcb_info", "tdx.collateral-rolled-back",
                   Docs([](W& w) { w.tcb_info.evaluation_number = 16, w.options.minimum_evaluation_number = 17; })},
        TdxCaseRow{"rolled_back_qe_identity", "tdx.collateral-rolled-back",
                   Docs([](W& w) { w.qe_identity.evaluation_number = 16, w.options.minimum_evaluation_number = 17; })}),
    [](const auto& i) { return i.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Enclave, TdxRefusals,
    ::testing::Values(
        TdxCaseRow{"qe_debug", "tdx.qe-debug", [](W& w) { w.qe.attributes[0] |= 2, w.Sign(); }},
        TdxCaseRow{"qe_other_signer", "tdx.qe-identity-mismatch", [](W& w) { w.qe.mr_signer[0] ^= 1, w.Sign(); }},
        TdxCaseRow{"qe_other_product", "tdx.qe-identity-mismatch", [](W& w) { w.qe.isv_prod_id = 1, w.Sign(); }},
        TdxCaseRow{"qe_other_attributes", "tdx.qe-identity-mismatch",
                   [](W& w) { w.qe.attributes[0] |= 0x80, w.Sign(); }},
        TdxCaseRow{"qe_other_misc_select", "tdx.qe-identity-mismatch", [](W& w) { w.qe.misc_select = 1, w.Sign(); }},
        TdxCaseRow{"qe_out_of_date", "tdx.tcb-status", [](W& w) { w.qe.isv_svn = 3, w.Sign(); }},
        TdxCaseRow{"qe_below_every_level", "tdx.tcb-unsupported", [](W& w) { w.qe.isv_svn = 2, w.Sign(); }}),
    [](const auto& i) { return i.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Tcb, TdxRefusals,
    ::testing::Values(
        TdxCaseRow{"module_signer", "tdx.module-mismatch", Body([](auto& b) { b.mr_signer_seam[5] = 1; })},
        TdxCaseRow{"module_signer_that_the_list_allows", "tdx.module-mismatch",
                   [](W& w) {
                     w.quote.body.mr_signer_seam = w.tcb_info.modules[0].mr_signer = Bytes(48, 7);
                     w.Sign(), w.Endorse();
                   }},
        TdxCaseRow{"module_attributes", "tdx.module-mismatch", Body([](auto& b) { b.seam_attributes = 1; })},
        TdxCaseRow{"module_version_not_listed", "tdx.module-unknown", Body([](auto& b) { b.tee_tcb_svn[1] = 2; })},
        TdxCaseRow{"module_out_of_date", "tdx.tcb-status", Body([](auto& b) { b.tee_tcb_svn[0] = 4; })},
        TdxCaseRow{"module_below_every_level", "tdx.tcb-unsupported", Body([](auto& b) { b.tee_tcb_svn[0] = 2; })},
        TdxCaseRow{"platform_component_low",
                   "tdx.tcb-status",
                   Body([](auto& b) { b.tee_tcb_svn[2] = 2; }),
                   4,
                   {{"tdx0",
                     [](CertificateSpec& s) {
                       evidence::PckExtensions pck;
                       pck.components = {5, 5, 2, 2, 3, 1, 0, 3};
                       pck.pce_svn = 11;
                       pck.fmspc = {0x50, 0x80, 0x6f, 0, 0, 0};
                       s.extensions = {evidence::MakePckExtension(pck)};
                     }}}},
        TdxCaseRow{"pce_below_every_level", "tdx.tcb-unsupported", Docs([](W& w) {
                     for (auto& level : w.tcb_info.levels) level.pce_svn = 12;
                   })},
        TdxCaseRow{"revoked_level", "tdx.tcb-status", Docs([](W& w) {
                     w.tcb_info.levels[0].verdict.status = TcbStatus::kRevoked;
                     w.options.accepted_statuses = {TcbStatus::kUpToDate, TcbStatus::kOutOfDate};
                   })},
        TdxCaseRow{"below_the_floor", "tdx.tcb-too-old", Options([](auto& o) {
                     o.minimum_tee_tcb_svn = Bytes{5, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
                   })},
        // Launched by a good module, then the host put another one under the running guest.
        TdxCaseRow{"module_updated_to_an_old_one", "tdx.tcb-status", Body([](auto& b) { b.tee_tcb_svn2->at(0) = 3; }),
                   5},
        TdxCaseRow{"module_updated_to_one_below_every_level", "tdx.tcb-unsupported",
                   Body([](auto& b) { b.tee_tcb_svn2->at(0) = 2; }), 5},
        TdxCaseRow{"module_updated_to_one_not_listed", "tdx.module-unknown",
                   Body([](auto& b) { b.tee_tcb_svn2->at(1) = 2; }), 5},
        TdxCaseRow{"launched_by_an_old_module", "tdx.tcb-status", Body([](auto& b) { b.tee_tcb_svn[0] = 4; }), 5},
        TdxCaseRow{"running_module_below_the_floor", "tdx.tcb-too-old",
                   [](W& w) {
                     w.quote.body.tee_tcb_svn2->at(2) = 2;
                     w.tcb_info.levels[0].tdx[2] = 2;
                     w.options.minimum_tee_tcb_svn = w.quote.body.tee_tcb_svn;
                     w.Sign(), w.Endorse();
                   },
                   5},
        TdxCaseRow{"floor_is_compared_part_by_part", "tdx.tcb-too-old", Options([](auto& o) {
                     o.minimum_tee_tcb_svn = Bytes{6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
                   })}),
    [](const auto& i) { return i.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Guest, TdxRefusals,
    ::testing::Values(
        TdxCaseRow{"debug", "tdx.debug", Body([](auto& b) { b.td_attributes |= 1; })},
        TdxCaseRow{"sept_ve", "tdx.sept-ve", Body([](auto& b) { b.td_attributes = 0; })},
        TdxCaseRow{"perfmon", "tdx.attributes", Body([](auto& b) { b.td_attributes |= 1ull << 63; })},
        TdxCaseRow{"unknown_attribute", "tdx.attributes", Body([](auto& b) { b.td_attributes |= 4; })},
        TdxCaseRow{"xfam_without_sse", "tdx.xfam", Body([](auto& b) { b.xfam = 0xe5; })},
        TdxCaseRow{"xfam_unknown_bit", "tdx.xfam", Body([](auto& b) { b.xfam |= 1ull << 40; })},
        TdxCaseRow{"service_td", "tdx.service-td", Body([](auto& b) { b.mr_service_td = Bytes(48, 1); }), 5},
        TdxCaseRow{"log_unreadable", "tdx.event-log-malformed", [](W& w) { w.evidence.event_log = Bytes(20, 1); }}),
    [](const auto& i) { return i.param.name; });

TEST(VerifyTdx, AllowancesAreTaken) {
  TdxWorld w;
  w.quote.body.td_attributes |= evidence::td_attribute::kDebug | evidence::td_attribute::kPerfmon;
  w.quote.body.td_attributes &= ~evidence::td_attribute::kSeptVeDisable;
  w.Sign();
  w.options.allow_debug = w.options.allow_perfmon = true;
  w.options.require_sept_ve_disable = false;
  w.options.mr_td = Bytes(48, 0xcc);
  w.options.mr_config_id = w.quote.body.mr_config_id;
  w.options.rtmrs[3] = Bytes(48);
  w.options.platform_instance = w.pck.platform_instance;
  w.options.minimum_tee_tcb_svn = w.quote.body.tee_tcb_svn;
  w.options.minimum_evaluation_number = 17;
  EXPECT_TRUE(w.Run().accepted) << w.Run().ToJson();
}

TEST(VerifyTdx, TheNewestGenuineTcbInfoCounts) {
  TdxWorld w;
  const auto issuers = w.collateral.tcb_infos[0].issuer_chain;
  TdxWorld stricter = w;
  stricter.tcb_info.evaluation_number = 18;
  stricter.tcb_info.levels[0].verdict.status = TcbStatus::kOutOfDate;
  w.collateral.tcb_infos.push_back({evidence::MakeTcbInfo(stricter.tcb_info, w.tcb_signing.key), issuers});
  EXPECT_EQ(FirstCode(w.Run()), "tdx.tcb-status");
  // A forged newer one does not count, nor does it stand in the way.
  w.collateral.tcb_infos[1].body = evidence::MakeTcbInfo(stricter.tcb_info, w.attestation_key);
  EXPECT_TRUE(w.Run().accepted) << w.Run().ToJson();
}

TEST(VerifyTdx, FailuresSayWhere) {
  TdxWorld w;
  w.options.mr_td = Bytes(48);
  const Verdict v = w.Run();
  const Check* failure = v.FirstFailure();
  ASSERT_NE(failure, nullptr);
  EXPECT_EQ(failure->name, "tdx.mrtd");
  EXPECT_EQ(failure->document, "tdx/quote");
  EXPECT_EQ(failure->offset, 48u + 0x88u);
  EXPECT_EQ(failure->length, 48u);
  EXPECT_EQ(failure->found, HexEncode(Bytes(48, 0xcc)));
}

}  // namespace
}  // namespace ccgpu::verify
