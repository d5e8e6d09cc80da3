#include "gpu-emulator/platform/vtpm_guest.h"

#include "base/encoding.h"
#include "trust/evidence/tcg_log_efi.h"

namespace ccgpu::emulator {
namespace {

namespace event = evidence::tcg_event;

constexpr uint16_t kBank = evidence::tpm_alg::kSha256;
constexpr uint32_t kLaunchTag = 0x63636770;  // 'ccgp'
constexpr uint32_t kFirmware = 0, kImage = 4, kSecureBoot = 7, kInitData = 8;

evidence::TcgEvent Event(uint32_t index, uint32_t type, ByteView data) {
  evidence::TcgEvent out;
  out.index = index;
  out.type = type;
  out.digests = {{kBank, evidence::TpmDigest(kBank, data)}};
  out.data = ToBytes(data);
  return out;
}

crypto::CertificateSpec Spec(const char* name, const crypto::PublicKey& key, TimePoint now, bool ca) {
  crypto::CertificateSpec spec;
  spec.subject = {{"O", "ccgpu emulator"}, {"CN", name}};
  spec.key = key;
  spec.not_before = now - std::chrono::hours(24);
  spec.not_after = NoEnd();
  spec.ca = spec.key_cert_sign = spec.crl_sign = ca;
  spec.digital_signature = !ca;
  if (!ca) spec.extended_key_usage = "2.23.133.8.3";  // tcg-kp-AIKCertificate
  return spec;
}

std::vector<uint32_t> AllRegisters() {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < evidence::kTpmPcrCount; ++i) out.push_back(i);
  return out;
}

}  // namespace

Result<VtpmIdentity> LoadOrMakeVtpmIdentity(const std::string& dir, TimePoint now) {
  ASSIGN_OR_RETURN(KeyStore store, KeyStore::Open(dir));
  VtpmIdentity out;
  ASSIGN_OR_RETURN(out.root, store.LoadOrMake("vtpm-root", crypto::KeyType::kP384, nullptr, [&](const auto& key) {
    return Spec("vTPM root (EMULATED, NOT A TPM VENDOR)", key, now, true);
  }));
  ASSIGN_OR_RETURN(out.attestation_ca,
                   store.LoadOrMake("vtpm-attestation-ca", crypto::KeyType::kP384, &out.root, [&](const auto& key) {
                     return Spec("vTPM attestation CA (EMULATED)", key, now, true);
                   }));
  return out;
}

evidence::TcgLog MeasuredLaunch(const VtpmLaunch& facts) {
  evidence::TcgLog log;
  log.crypto_agile = true;
  log.algorithms = {{kBank, 32}};
  log.events.push_back(Event(kFirmware, event::kCrtmVersion, AsBytes("ccgpu emulated firmware")));
  const Bytes global = HexDecode("61dfe48bca93d211aa0d00e098032b8c").value();  // EFI_GLOBAL_VARIABLE
  log.events.push_back(
      Event(kSecureBoot, event::kEfiVariableDriverConfig, evidence::EncodeEfiVariable({global, "SecureBoot", {0}})));
  Writer tagged;
  tagged.U32(kLaunchTag).U32(facts.measurement.size()).Raw(facts.measurement);
  log.events.push_back(Event(kImage, event::kEventTag, tagged.bytes()));
  for (uint32_t index = 0; index <= 7; ++index) log.events.push_back(Event(index, event::kSeparator, Bytes(4)));
  evidence::TcgEvent init_data = Event(kInitData, event::kIpl, AsBytes("initdata"));
  init_data.digests = {{kBank, facts.host_data}};
  log.events.push_back(std::move(init_data));
  return log;
}

Result<std::unique_ptr<VtpmGuest>> VtpmGuest::Start(const VtpmIdentity& identity, const std::string& folder,
                                                    const VtpmLaunch& launch, TimePoint now) {
  ASSIGN_OR_RETURN(VtpmDevice device, VtpmDevice::Start(folder));
  std::unique_ptr<VtpmGuest> out(new VtpmGuest(std::move(device)));
  const evidence::TcgLog log = MeasuredLaunch(launch);
  for (const evidence::TcgEvent& e : log.events) {
    RETURN_IF_ERROR(out->device_.Extend(e.index, kBank, *e.Digest(kBank)));
  }
  ASSIGN_OR_RETURN(out->key_, out->device_.MakeAttestationKey());
  ASSIGN_OR_RETURN(const crypto::PublicKey key, out->key_.area.Key());
  ASSIGN_OR_RETURN(const crypto::Certificate certificate,
                   crypto::MakeCertificate(Spec("vTPM attestation key (EMULATED)", key, now, false),
                                           identity.attestation_ca.key, &identity.attestation_ca.certificate));
  out->evidence_.event_log = evidence::EncodeTcgLog(log);
  out->evidence_.ak_public = key.Der();
  out->evidence_.ak_area = evidence::EncodeTpmPublic(out->key_.area);
  out->evidence_.ak_certificates = certificate.Pem() + identity.attestation_ca.certificate.Pem();
  return out;
}

Result<evidence::TpmEvidence> VtpmGuest::Evidence(ByteView nonce) const {
  const std::lock_guard lock(mutex_);
  evidence::TpmEvidence out = evidence_;
  ASSIGN_OR_RETURN(VtpmDevice::Quoted quoted,
                   device_.Quote(key_, nonce, {evidence::TpmPcrSelection::Of(kBank, AllRegisters())}));
  out.quote = std::move(quoted.attest);
  out.signature = std::move(quoted.signature);
  for (const uint32_t index : AllRegisters()) {
    ASSIGN_OR_RETURN(out.pcrs[index], device_.ReadRegister(index, kBank));
  }
  return out;
}

}  // namespace ccgpu::emulator
