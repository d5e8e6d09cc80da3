#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

using crypto::CertificateSpec;
using crypto::KeyType;
using crypto::PrivateKey;

const TimePoint kStart = ParseTime("2024-01-01").value(), kEnd = ParseTime("2040-01-01").value();

// The whole run shares its keys: making RSA keys takes seconds.
const PrivateKey& SharedKey(const std::string& name, KeyType type) {
  static std::map<std::string, PrivateKey> keys;
  auto it = keys.find(name);
  if (it == keys.end()) it = keys.emplace(name, PrivateKey::Generate(type)).first;
  return it->second;
}

Party Issue(const std::string& level, const std::string& name, const Party* issuer, bool ca, const SpecEdits& edits,
            const SpecEdit& extra = nullptr, KeyType type = KeyType::kP384, const std::string& unit = "") {
  CertificateSpec spec;
  spec.subject = {{"O", "EMULATED, NOT NVIDIA"}, {"CN", name}};
  Party out{SharedKey(level + unit, type), {}};
  spec.key = out.key.public_key();
  spec.not_before = kStart;
  spec.not_after = kEnd;
  spec.ca = ca;
  spec.key_cert_sign = spec.crl_sign = ca;
  spec.digital_signature = !ca;
  if (extra) extra(spec);
  if (const auto edit = edits.find(level); edit != edits.end()) edit->second(spec);
  out.certificate =
      crypto::MakeCertificate(spec, issuer ? issuer->key : out.key, issuer ? &issuer->certificate : nullptr).value();
  return out;
}

const Bytes kFwid(48, 0x5a);

evidence::Rim SpecOf(const std::string& version, evidence::RimKind kind, const evidence::GpuReport& report) {
  evidence::Rim out;
  out.name = out.product = "GH100";
  out.edition = "GPU";
  out.colloquial_version = version;
  out.manufacturer = "EMULATED, NOT NVIDIA";
  out.manufacturer_id = "99999";
  for (uint8_t i = 0; i < 64; ++i) {
    if (evidence::H100ComponentAt(i).rim == kind)
      out.measurements.push_back({i, true, {report.measurements.at(i)}, ""});
  }
  return out;
}

}  // namespace

std::vector<crypto::Certificate> CertificatesOf(const std::vector<Party>& leaf_first) {
  std::vector<crypto::Certificate> out;
  for (const Party& party : leaf_first) out.push_back(party.certificate);
  return out;
}

GpuWorld::GpuWorld(const SpecEdits& edits, const std::string& unit) {
  const Party root = Issue("device4", "ccgpu Device Identity CA", nullptr, true, edits);
  const Party family = Issue("device3", "GH100 Identity", &root, true, edits);
  const Party provisioner = Issue("device2", "GH100 Provisioner ICA 1", &family, true, edits);
  const Party identity = Issue(
      "device1", "GH100 A01 GSP BROM", &provisioner, true, edits,
      [](CertificateSpec& s) { s.serial = {0x41, 1, 2, 3, 4, 5, 6, 7, 8}; }, KeyType::kP384, unit);
  const Party leaf = Issue(
      "device0", "GH100 A01 GSP FMC LF", &identity, false, edits,
      [&](CertificateSpec& s) {
        s.extensions.push_back(
            {evidence::kOidCompositeDeviceId, evidence::MakeFwidExtension(identity.key.public_key(), kFwid), false});
      },
      KeyType::kP384, unit);
  device = {leaf, identity, provisioner, family, root};
  const Party rim_root = Issue("rim3", "RIM root", nullptr, true, edits);
  const Party rim_ca = Issue("rim2", "RIM CA", &rim_root, true, edits);
  const Party rim_l3 = Issue("rim1", "RIM L3", &rim_ca, true, edits);
  rim = {Issue("rim0", "RIM signer", &rim_l3, false, edits), rim_l3, rim_ca, rim_root};
  const SpecEdit responder = [](CertificateSpec& s) { s.extended_key_usage = "OCSPSigning"; };
  ocsp = Issue("ocsp", "OCSP responder", &root, false, edits, responder);
  rim_ocsp = Issue("rim-ocsp", "RIM OCSP responder", &rim_root, false, edits, responder);

  report.nonce = options.nonce = Bytes(32, 0xab);
  report.responder_nonce = Bytes(32, 0xcd);
  for (uint8_t i = 0; i < 64; ++i)
    report.measurements[i] = evidence::H100ComponentAt(i).rim == evidence::RimKind::kNone
                                 ? Bytes(48)
                                 : evidence::FirmwareMeasurement(i, "1");
  report.measurements[evidence::kIndexCcMode] = evidence::CcModeMeasurement("hopper-cc");
  report.measurements[evidence::kIndexDebugFuse] = evidence::DebugFuseMeasurement(false);
  report.opaque.SetVbiosVersion("96.00.9F.00.01");
  report.opaque.SetText(evidence::opaque_type::kDriverVersion, "550.90.07");
  report.opaque.SetText(evidence::opaque_type::kProject, "1010");
  report.opaque.SetText(evidence::opaque_type::kProjectSku, "0200");
  report.opaque.SetText(evidence::opaque_type::kChipSku, "882");
  report.opaque.Set(evidence::opaque_type::kNvdec0Status, {evidence::kNvdecDisabled});
  report.opaque.Set(evidence::opaque_type::kFwid, kFwid);
  driver_spec = SpecOf("550.90.07", evidence::RimKind::kDriver, report);
  vbios_spec = SpecOf("96.00.9F.00.01", evidence::RimKind::kVbios, report);
  anchors.device_roots = {root.certificate};
  anchors.rim_roots = {rim_root.certificate};
  anchors.insecure_accept_emulated = true;
  Sign();
  Endorse();
  for (const char* level : {"device1", "device2", "device3", "rim0", "rim1", "rim2"}) Answer(level, {});
}

void GpuWorld::Sign() {
  evidence.uuid = "GPU-00000000-0000-0000-0000-000000000001";
  evidence.report = evidence::SignGpuReport(report, device[0].key);
  evidence.certificate_chain = evidence::ChainPem(CertificatesOf(device));
}

void GpuWorld::Endorse() {
  collateral.rims[evidence::DriverRimId(report.opaque)] =
      evidence::MakeRim(driver_spec, rim[0].key, CertificatesOf(rim)).value();
  collateral.rims[evidence::VbiosRimId(report.opaque)] =
      evidence::MakeRim(vbios_spec, rim[0].key, CertificatesOf(rim)).value();
}

void GpuWorld::Answer(const std::string& level, const evidence::OcspAnswer& answer, TimePoint this_update,
                      TimePoint next_update) {
  const bool is_device = level.starts_with("device");
  const auto& chain = is_device ? device : rim;
  const Party& signer = is_device ? ocsp : rim_ocsp;
  const size_t index = static_cast<size_t>(level.back() - '0');
  answers_[level] = evidence::MakeOcspResponse(chain[index].certificate, chain[index + 1].certificate, answer,
                                               {signer.certificate, signer.key, this_update, next_update})
                        .value();
  collateral.ocsp_responses.clear();
  for (const auto& [name, der] : answers_) collateral.ocsp_responses.push_back(der);
}

Verdict GpuWorld::Run(Cache* cache) const {
  return VerifyGpu(evidence::Unverified(evidence), collateral, anchors, options, now, cache);
}
Verdict GpuWorld::RunSwitch(Cache* cache) const {
  return VerifySwitch(evidence::Unverified(evidence), collateral, anchors, options, now, cache);
}

SnpWorld::SnpWorld(const SpecEdits& edits) {
  facts = {"Genoa", {std::nullopt, 9, 0, 23, 72}, Bytes(64, 0x77), std::nullopt};
  const SpecEdit pss = [](CertificateSpec& s) { s.pss_signature = true; };
  const Party ark = Issue("snp2", "EMULATED ARK", nullptr, true, edits, pss, KeyType::kRsa4096);
  const Party ask = Issue("snp1", "EMULATED ASK", &ark, true, edits, pss, KeyType::kRsa4096);
  const Party vcek = Issue("snp0", "EMULATED SEV-VCEK", &ask, false, edits, [&](CertificateSpec& s) {
    s.pss_signature = true;
    s.digital_signature = false;
    s.extensions = evidence::MakeVcekExtensions(facts);
  });
  chain = {vcek, ask, ark};
  report.report_data = options.report_data = Bytes(64, 0xaa);
  report.host_data = Bytes(32, 0xbb);
  report.measurement = Bytes(48, 0xcc);
  report.policy = evidence::snp_policy::kMustBeOne | evidence::snp_policy::kSmtAllowed | 0x0137;
  report.reported_tcb = report.committed_tcb = report.current_tcb = report.launch_tcb = evidence::JoinTcb(facts.tcb);
  report.cpuid_family = 0x19;
  report.cpuid_model = 0x11;
  report.chip_id = *facts.hardware_id;
  anchors.amd_roots = {ark.certificate};
  anchors.insecure_accept_emulated = true;
  Sign();
}

void SnpWorld::Sign() {
  evidence.report = evidence::SignSnpReport(report, chain[0].key);
  evidence.certificates = {
      {"VCEK", chain[0].certificate.Der()}, {"ASK", chain[1].certificate.Der()}, {"ARK", chain[2].certificate.Der()}};
}

Verdict SnpWorld::Run() const { return VerifySnp(evidence::Unverified(evidence), collateral, anchors, options, now); }

std::string FirstCode(const Verdict& verdict) {
  return verdict.FirstFailure() ? verdict.FirstFailure()->reason.code : "";
}

std::string CodeOf(const Verdict& verdict, const std::string& check) {
  for (const Check& one : verdict.checks) {
    if (one.name == check) return one.outcome == Check::Outcome::kFailed ? one.reason.code : "";
  }
  return "no such check";
}

}  // namespace ccgpu::verify
