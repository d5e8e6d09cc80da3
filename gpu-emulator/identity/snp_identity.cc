#include "gpu-emulator/identity/snp_identity.h"

#include <future>

#include "base/encoding.h"

namespace ccgpu::emulator {
namespace {

using crypto::CertificateSpec;
using crypto::KeyType;

constexpr char kProduct[] = "Genoa";
constexpr size_t kChipIdSize = 64;

// The attributes that AMD's certificates have, since AMD's format is what other verifiers insist on for everything
// below the root, and one more that says what it is. The root's own name says it too, and no verifier knows that root.
CertificateSpec AmdSpec(std::string common_name, const crypto::PublicKey& key, TimePoint now) {
  CertificateSpec spec;
  spec.subject = {{"OU", "Engineering"},
                  {"C", "US"},
                  {"L", "Santa Clara"},
                  {"ST", "CA"},
                  {"O", "Advanced Micro Devices"},
                  {"CN", std::move(common_name)},
                  {"description", "EMULATED, NOT AMD"}};
  spec.key = key;
  spec.not_before = now - std::chrono::days(1);
  spec.not_after = NoEnd();
  spec.pss_signature = true;
  return spec;
}

CertificateSpec AmdCaSpec(std::string common_name, int64_t path_length, const crypto::PublicKey& key, TimePoint now) {
  CertificateSpec spec = AmdSpec(std::move(common_name), key, now);
  spec.ca = true;
  spec.path_length = path_length;
  spec.key_cert_sign = spec.crl_sign = true;
  return spec;
}

}  // namespace

Result<AmdAuthority> LoadOrMakeAmdAuthority(const std::string& dir, TimePoint now) {
  ASSIGN_OR_RETURN(KeyStore store, KeyStore::Open(dir));
  // RSA-4096 keys take seconds: both at once.
  auto ask_key = std::async(std::launch::async, [&] { return store.LoadOrMakeKey("ask", KeyType::kRsa4096); });
  auto ark_key = store.LoadOrMakeKey("ark", KeyType::kRsa4096);
  RETURN_IF_ERROR(ask_key.get().ok() && ark_key.ok()
                      ? Ok()
                      : Status(Err("identity.damaged", dir, "the AMD-like keys cannot be read or made")));
  ASSIGN_OR_RETURN(Authority ark,
                   store.LoadOrMake("ark", KeyType::kRsa4096, nullptr, [&](const crypto::PublicKey& key) {
                     CertificateSpec spec = AmdCaSpec("", 1, key, now);
                     spec.subject = {{"OU", "Engineering"},
                                     {"C", "US"},
                                     {"O", "ccgpu emulator (EMULATED, NOT AMD)"},
                                     {"CN", "EMULATED, NOT NVIDIA, NOT AMD: ARK-Genoa"}};
                     return spec;
                   }));
  ASSIGN_OR_RETURN(Authority ask, store.LoadOrMake("ask", KeyType::kRsa4096, &ark, [&](const crypto::PublicKey& key) {
    return AmdCaSpec("SEV-Genoa", 0, key, now);
  }));
  return AmdAuthority{std::move(ark), std::move(ask)};
}

Result<SnpIdentity> LoadOrMakeSnpIdentity(const std::string& dir, TimePoint now) {
  ASSIGN_OR_RETURN(const AmdAuthority authority, LoadOrMakeAmdAuthority(dir, now));
  ASSIGN_OR_RETURN(KeyStore store, KeyStore::Open(dir));
  SnpIdentity identity;
  identity.product = kProduct;
  identity.tcb = {.fmc = {}, .bootloader = 10, .tee = 0, .snp = 24, .microcode = 84};
  ASSIGN_OR_RETURN(std::string chip_id,
                   store.LoadOrMakeText("chip-id", [] { return HexEncode(crypto::SystemRandom().Take(kChipIdSize)); }));
  auto chip_id_bytes = HexDecode(chip_id);
  if (!chip_id_bytes.ok() || chip_id_bytes->size() != kChipIdSize)
    return Err("identity.damaged", dir + "/chip-id", "it is not 64 bytes in hex");
  identity.chip_id = *chip_id_bytes;
  ASSIGN_OR_RETURN(
      Authority vcek, store.LoadOrMake("vcek", KeyType::kP384, &authority.ask, [&](const crypto::PublicKey& key) {
        CertificateSpec spec = AmdSpec("SEV-VCEK", key, now);
        spec.extensions = evidence::MakeVcekExtensions({std::string(kProduct), identity.tcb, identity.chip_id, {}});
        return spec;
      }));
  identity.ark = authority.ark.certificate;
  identity.ask = authority.ask.certificate;
  identity.vcek = vcek.certificate;
  identity.vcek_key = vcek.key;
  identity.cert_table = evidence::EncodeCertTable(
      {{"VCEK", vcek.certificate.Der()}, {"ASK", identity.ask.Der()}, {"ARK", identity.ark.Der()}});
  return identity;
}

}  // namespace ccgpu::emulator
