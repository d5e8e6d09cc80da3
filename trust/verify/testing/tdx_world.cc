#include "trust/verify/testing/tdx_world.h"

#include <map>

#include "base/encoding.h"

namespace ccgpu::verify {
namespace {

using crypto::CertificateSpec;

const TimePoint kStart = ParseTime("2024-01-01").value(), kEnd = ParseTime("2040-01-01").value();

Party Issue(const std::string& level, const std::string& name, const Party* issuer, const SpecEdits& edits,
            const SpecEdit& extra = nullptr) {
  static std::map<std::string, crypto::PrivateKey> keys;
  auto key = keys.find(level);
  if (key == keys.end()) key = keys.emplace(level, crypto::PrivateKey::Generate(crypto::KeyType::kP256)).first;
  CertificateSpec spec;
  spec.subject = {{"CN", name}, {"O", "EMULATED, NOT INTEL"}};
  Party out{key->second, {}};
  spec.key = out.key.public_key();
  spec.not_before = kStart;
  spec.not_after = kEnd;
  spec.ca = spec.key_cert_sign = spec.crl_sign = level == "tdx1" || level == "tdx2";
  spec.digital_signature = !spec.ca;
  if (extra) extra(spec);
  if (const auto edit = edits.find(level); edit != edits.end()) edit->second(spec);
  out.certificate =
      crypto::MakeCertificate(spec, issuer ? issuer->key : out.key, issuer ? &issuer->certificate : nullptr).value();
  return out;
}

}  // namespace

TdxWorld::TdxWorld(const SpecEdits& edits, uint16_t version) {
  const Bytes fmspc = {0x50, 0x80, 0x6f, 0, 0, 0};
  pck.components = {7, 7, 2, 2, 3, 1, 0, 3};
  pck.pce_svn = 11;
  pck.fmspc = fmspc;
  pck.sgx_type = 1;
  pck.platform_instance = Bytes(16, 0x31);
  pck.dynamic_platform = pck.smt_enabled = true;
  pck.cached_keys = false;
  const Party root = Issue("tdx2", "Intel SGX Root CA", nullptr, edits, [](CertificateSpec& s) { s.path_length = 1; });
  const Party ca =
      Issue("tdx1", "Intel SGX PCK Platform CA", &root, edits, [](CertificateSpec& s) { s.path_length = 0; });
  const Party leaf = Issue("tdx0", "Intel SGX PCK Certificate", &ca, edits, [&](CertificateSpec& s) {
    s.serial = {0x11, 0x22, 0x33};
    s.extensions = {evidence::MakePckExtension(pck)};
  });
  chain = {leaf, ca, root};
  tcb_signing = Issue("tcb-signing", "Intel SGX TCB Signing", &root, edits, [](CertificateSpec& s) {
    s.serial = {0x44, 0x55};
  });
  attestation_key = crypto::PrivateKey::Generate(crypto::KeyType::kP256);

  qe.attributes[0] = 0x11;
  qe.mr_signer = Bytes(32, 0xdc);
  qe.isv_prod_id = 2;
  qe.isv_svn = 4;
  quote.version = version;
  quote.vendor = HexDecode("939a7233f79c4ca9940a0db3957f0607").value();
  quote.qe_auth_data = Bytes(32, 0x0a);
  quote.pck_chain = leaf.certificate.Pem() + ca.certificate.Pem() + root.certificate.Pem();
  evidence::TdReport& body = quote.body;
  body.tee_tcb_svn = Bytes(16);
  body.tee_tcb_svn[0] = 5;
  body.tee_tcb_svn[1] = 1;
  body.tee_tcb_svn[2] = 3;
  body.td_attributes = evidence::td_attribute::kSeptVeDisable;
  body.xfam = 0xe7;
  body.mr_td = Bytes(48, 0xcc);
  body.mr_config_id = Concat({Bytes(32, 0xbb), Bytes(16)});
  body.report_data = options.report_data = Bytes(64, 0xaa);
  if (version == 5) {
    body.tee_tcb_svn2 = body.tee_tcb_svn;
    body.mr_service_td = Bytes(48);
  }

  tcb_info.issue_date = qe_identity.issue_date = kTestNow - std::chrono::hours(24);
  tcb_info.next_update = qe_identity.next_update = kTestNow + std::chrono::hours(24 * 29);
  tcb_info.fmspc = fmspc;
  tcb_info.evaluation_number = qe_identity.evaluation_number = 17;
  const auto level = [](uint8_t sgx, uint8_t tdx, evidence::TcbStatus status, std::vector<std::string> advisories) {
    evidence::PlatformTcbLevel out;
    out.sgx = {sgx, sgx, 2, 2, 3, 1, 0, 3};
    out.tdx = {5, 0, tdx};
    out.pce_svn = 11;
    out.verdict = {status, "2025-01-01T00:00:00Z", std::move(advisories)};
    return out;
  };
  tcb_info.levels = {level(7, 3, evidence::TcbStatus::kUpToDate, {}),
                     level(6, 3, evidence::TcbStatus::kSwHardeningNeeded, {"INTEL-SA-00001"}),
                     level(5, 2, evidence::TcbStatus::kOutOfDate, {"INTEL-SA-00002"})};
  const evidence::TcbVerdict good{evidence::TcbStatus::kUpToDate, "2025-01-01T00:00:00Z", {}},
      old{evidence::TcbStatus::kOutOfDate, "2024-01-01T00:00:00Z", {"INTEL-SA-00003"}};
  evidence::TdxModuleIdentity module;
  module.id = "TDX_01";
  module.levels = {{5, good}, {3, old}};
  tcb_info.modules = {module};
  qe_identity.attributes[0] = 0x11;
  qe_identity.attributes_mask = HexDecode("fbffffffffffffff0000000000000000").value();
  qe_identity.mr_signer = qe.mr_signer;
  qe_identity.isv_prod_id = 2;
  qe_identity.levels = {{4, good}, {3, old}};

  anchors.intel_roots = {root.certificate};
  anchors.insecure_accept_emulated = true;
  Sign();
  Endorse();
}

void TdxWorld::Sign() { evidence.quote = evidence::SignTdxQuote(quote, attestation_key, qe, chain[0].key); }

void TdxWorld::Endorse() {
  const std::string issuers = tcb_signing.certificate.Pem() + chain[2].certificate.Pem();
  collateral.tcb_infos = {{evidence::MakeTcbInfo(tcb_info, tcb_signing.key), issuers}};
  collateral.qe_identities = {{evidence::MakeQeIdentity(qe_identity, tcb_signing.key), issuers}};
  collateral.crls = {
      evidence::MakeCrl(chain[2].certificate, chain[2].key, crl_update, crl_next_update, revoked_by_root).value(),
      evidence::MakeCrl(chain[1].certificate, chain[1].key, crl_update, crl_next_update, revoked_by_ca).value()};
}

Verdict TdxWorld::Run() const { return VerifyTdx(evidence::Unverified(evidence), collateral, anchors, options, now); }

}  // namespace ccgpu::verify
