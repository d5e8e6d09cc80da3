#include "gpu-emulator/identity/device_pki.h"

#include <openssl/sha.h>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "trust/evidence/gpu_certs.h"
#include "trust/evidence/h100_components.h"

namespace ccgpu::emulator {
namespace {

using crypto::CertificateSpec;
using crypto::KeyType;
using crypto::PublicKey;

constexpr char kOrganization[] = "ccgpu emulator (EMULATED, NOT NVIDIA)";
constexpr uint8_t kGpuSerialPrefix = 0x41;  // of the identity certificate's serial number: "a GPU's PDI follows"
constexpr size_t kPdiSize = 8, kPdiRandomSize = 5;

CertificateSpec Spec(std::string common_name, const PublicKey& key, TimePoint now) {
  CertificateSpec spec;
  spec.subject = {{"C", "US"}, {"O", kOrganization}, {"CN", std::move(common_name)}};
  spec.key = key;
  spec.not_before = now - std::chrono::days(1);
  spec.not_after = NoEnd();
  return spec;
}

CertificateSpec CaSpec(std::string common_name, const PublicKey& key, TimePoint now) {
  CertificateSpec spec = Spec(std::move(common_name), key, now);
  spec.ca = spec.key_cert_sign = spec.crl_sign = true;
  return spec;
}

Result<Issuer> MakeIssuer(KeyStore& store, const std::string& name, const std::string& common_name,
                          const Issuer* parent, TimePoint now) {
  ASSIGN_OR_RETURN(Authority authority,
                   store.LoadOrMake(name, KeyType::kP384, parent ? &parent->authority : nullptr,
                                    [&](const PublicKey& key) { return CaSpec(common_name, key, now); }));
  ASSIGN_OR_RETURN(Authority responder,
                   store.LoadOrMake(name + "-ocsp", KeyType::kP384, &authority, [&](const PublicKey& key) {
                     CertificateSpec spec = Spec("EMULATED OCSP Responder (" + name + ")", key, now);
                     spec.digital_signature = true;
                     spec.extended_key_usage = "OCSPSigning";
                     return spec;
                   }));
  return Issuer{std::move(authority), std::move(responder)};
}

std::string UpperHex(ByteView bytes) {
  std::string hex = HexEncode(bytes);
  for (char& c : hex) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return hex;
}

Bytes SealedPdi(const DevicePki& pki, ByteView random) {
  std::string key = pki.provisioner.authority.key.Pem();
  const Bytes mac = crypto::Hmac(crypto::Hash::kSha256, AsBytes(key), random);
  Wipe({reinterpret_cast<uint8_t*>(key.data()), key.size()});
  Bytes pdi = ToBytes(random);
  Append(pdi, ByteView(mac).first(kPdiSize - kPdiRandomSize));
  return pdi;
}

Bytes NewPdi(const DevicePki& pki) { return SealedPdi(pki, crypto::SystemRandom().Take(kPdiRandomSize)); }

CertificateSpec IdentitySpec(const std::string& chip, ByteView pdi, const PublicKey& key, TimePoint now) {
  Bytes serial = {kGpuSerialPrefix};
  Append(serial, pdi);
  CertificateSpec spec = CaSpec(chip + " A01 GSP BROM (EMULATED)", key, now);
  spec.subject.emplace_back("serialNumber", UpperHex(serial));
  spec.serial = serial;
  return spec;
}

// SHA-1 of the public key's bits with the top bit cleared: the leaf's serial number in NVIDIA's profile.
Bytes LeafSerial(const PublicKey& key) {
  Bytes bits = {0x04};
  Append(bits, key.Point());
  Bytes digest(SHA_DIGEST_LENGTH);
  SHA1(bits.data(), bits.size(), digest.data());
  digest[0] &= 0x7f;
  return digest;
}

CertificateSpec AttestationSpec(const std::string& chip, ByteView pdi, ByteView fwid, const PublicKey& identity_key,
                                const PublicKey& key, TimePoint now) {
  CertificateSpec spec = Spec(chip + " A01 GSP FMC LF (EMULATED)", key, now);
  spec.serial = LeafSerial(key);
  spec.subject.emplace_back("serialNumber", UpperHex(spec.serial));
  spec.digital_signature = true;
  spec.extensions.push_back(
      {evidence::kOidSubjectAltName, evidence::MakeDeviceInfoSan("NVIDIA-EMULATED:" + chip + ":" + UpperHex(pdi))});
  spec.extensions.push_back({evidence::kOidCompositeDeviceId, evidence::MakeFwidExtension(identity_key, fwid)});
  return spec;
}

// RFC 9562 version 4.
std::string NewUuid() {
  Bytes b = crypto::SystemRandom().Take(16);
  b[6] = static_cast<uint8_t>((b[6] & 0x0f) | 0x40);
  b[8] = static_cast<uint8_t>((b[8] & 0x3f) | 0x80);
  std::string hex = HexEncode(b);
  return "GPU-" + hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" + hex.substr(16, 4) + "-" +
         hex.substr(20);
}

std::string FmcVersion(const Profile& profile) {
  auto found = profile.firmware.find(evidence::kIndexGspFmc);
  return found == profile.firmware.end() ? profile.vbios_version : found->second;
}

// DICE: the firmware id is the measurement of the first mutable firmware, the GSP FMC.
Bytes FwidOf(const Profile& profile) {
  return evidence::FirmwareMeasurement(evidence::kIndexGspFmc, FmcVersion(profile));
}

void FillChain(BoardIdentity& board, const DevicePki& pki) {
  board.chain = {board.attestation, board.identity, pki.provisioner.authority.certificate,
                 pki.family.authority.certificate, pki.root.authority.certificate};
}

}  // namespace

std::vector<crypto::Certificate> DevicePki::RimChain() const {
  return {rim_signer.certificate, rim_intermediate.authority.certificate, rim_ca.authority.certificate,
          rim_root.authority.certificate};
}

Result<DevicePki> LoadOrMakeDevicePki(const std::string& dir, const std::string& chip, TimePoint now) {
  ASSIGN_OR_RETURN(KeyStore store, KeyStore::Open(dir));
  DevicePki pki;
  ASSIGN_OR_RETURN(pki.root,
                   MakeIssuer(store, "device-root", "EMULATED, NOT NVIDIA: ccgpu Device Identity CA", nullptr, now));
  ASSIGN_OR_RETURN(pki.family, MakeIssuer(store, chip + "-identity", "EMULATED " + chip + " Identity", &pki.root, now));
  ASSIGN_OR_RETURN(pki.provisioner, MakeIssuer(store, chip + "-provisioner", "EMULATED " + chip + " Provisioner ICA 1",
                                               &pki.family, now));
  ASSIGN_OR_RETURN(pki.rim_root,
                   MakeIssuer(store, "rim-root", "EMULATED, NOT NVIDIA: ccgpu CoRIM signing Root CA", nullptr, now));
  ASSIGN_OR_RETURN(pki.rim_ca,
                   MakeIssuer(store, chip + "-rim-ca", "EMULATED Reference Value " + chip + " CA", &pki.rim_root, now));
  ASSIGN_OR_RETURN(pki.rim_intermediate, MakeIssuer(store, chip + "-rim-l3",
                                                    "EMULATED Reference Value L3 " + chip + " 001", &pki.rim_ca, now));
  ASSIGN_OR_RETURN(pki.rim_signer, store.LoadOrMake(chip + "-rim-signer", KeyType::kP384,
                                                    &pki.rim_intermediate.authority, [&](const PublicKey& key) {
                                                      CertificateSpec spec =
                                                          Spec("EMULATED HCC RIM L4 Signer", key, now);
                                                      spec.digital_signature = true;
                                                      return spec;
                                                    }));
  return pki;
}

bool IsBoardSerial(const DevicePki& pki, ByteView serial) {
  if (serial.size() != 1 + kPdiSize || serial[0] != kGpuSerialPrefix) return false;
  return EqualConstantTime(serial.subspan(1), SealedPdi(pki, serial.subspan(1, kPdiRandomSize)));
}

Result<BoardIdentity> LoadOrMakeBoard(const std::string& dir, uint32_t index, const DevicePki& pki,
                                      const Profile& profile, TimePoint now) {
  ASSIGN_OR_RETURN(KeyStore store, KeyStore::Open(dir + "/" + profile.name + "-gpu" + std::to_string(index)));
  BoardIdentity board;
  ASSIGN_OR_RETURN(board.uuid, store.LoadOrMakeText("uuid", NewUuid));
  ASSIGN_OR_RETURN(std::string pdi, store.LoadOrMakeText("pdi", [&pki] { return HexEncode(NewPdi(pki)); }));
  auto pdi_bytes = HexDecode(pdi);
  if (!pdi_bytes.ok() || pdi_bytes->size() != kPdiSize)
    return Err("identity.damaged", dir, "the PDI of GPU " + std::to_string(index) + " is not 8 bytes in hex");
  board.pdi = *pdi_bytes;
  board.fwid = FwidOf(profile);
  ASSIGN_OR_RETURN(Authority identity,
                   store.LoadOrMake("identity", KeyType::kP384, &pki.provisioner.authority, [&](const PublicKey& key) {
                     return IdentitySpec(profile.chip, board.pdi, key, now);
                   }));
  // Another FMC version is another attestation key, as DICE wants it.
  const std::string name = "attestation-" + HexEncode(ByteView(board.fwid).first(8));
  ASSIGN_OR_RETURN(Authority attestation, store.LoadOrMake(name, KeyType::kP384, &identity, [&](const PublicKey& key) {
    return AttestationSpec(profile.chip, board.pdi, board.fwid, identity.key.public_key(), key, now);
  }));
  board.identity = identity.certificate;
  board.attestation = attestation.certificate;
  board.attestation_key = attestation.key;
  FillChain(board, pki);
  return board;
}

Result<BoardIdentity> MakeSwappedBoard(const BoardIdentity& original, const DevicePki& pki, const Profile& profile,
                                       TimePoint now) {
  BoardIdentity board;
  board.uuid = original.uuid;
  board.pdi = NewPdi(pki);
  board.fwid = FwidOf(profile);
  const auto identity_key = crypto::PrivateKey::Generate(KeyType::kP384);
  board.attestation_key = crypto::PrivateKey::Generate(KeyType::kP384);
  ASSIGN_OR_RETURN(board.identity,
                   crypto::MakeCertificate(IdentitySpec(profile.chip, board.pdi, identity_key.public_key(), now),
                                           pki.provisioner.authority.key, &pki.provisioner.authority.certificate));
  ASSIGN_OR_RETURN(board.attestation, crypto::MakeCertificate(AttestationSpec(profile.chip, board.pdi, board.fwid,
                                                                              identity_key.public_key(),
                                                                              board.attestation_key.public_key(), now),
                                                              identity_key, &board.identity));
  FillChain(board, pki);
  return board;
}

}  // namespace ccgpu::emulator
