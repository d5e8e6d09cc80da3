#include "gpu-emulator/identity/tdx_identity.h"

#include "base/encoding.h"
#include "trust/evidence/der.h"

namespace ccgpu::emulator {
namespace {

using crypto::CertificateSpec;
using crypto::KeyType;

constexpr size_t kInstanceSize = 16;
// Family-model-stepping of a Sapphire Rapids machine, which Intel's own samples are of.
const Bytes kFmspc = {0x50, 0x80, 0x6f, 0x00, 0x00, 0x00};

// Common names are Intel's: verifiers tell the kinds of certificates apart by them. The organisation says what it is.
CertificateSpec IntelSpec(std::string common_name, const crypto::PublicKey& key, TimePoint now) {
  CertificateSpec spec;
  spec.subject = {
      {"CN", std::move(common_name)}, {"O", "EMULATED, NOT INTEL"}, {"L", "Santa Clara"}, {"ST", "CA"}, {"C", "US"}};
  spec.key = key;
  spec.not_before = now - std::chrono::days(1);
  spec.not_after = NoEnd();
  spec.digital_signature = true;
  return spec;
}

CertificateSpec IntelCaSpec(std::string common_name, int64_t path_length, const crypto::PublicKey& key, TimePoint now) {
  CertificateSpec spec = IntelSpec(std::move(common_name), key, now);
  spec.digital_signature = false;
  spec.ca = spec.key_cert_sign = spec.crl_sign = true;
  spec.path_length = path_length;
  return spec;
}

// Intel's PCK certificates have six extensions, and Google's verifier counts them: besides the two key identifiers and
// the key usage that every certificate of ours gets, these.
std::vector<CertificateSpec::Extra> PckCertificateExtensions(const evidence::PckExtensions& facts) {
  namespace der = evidence::der;
  constexpr uint8_t kPoint = 0xa0, kFullName = 0xa0, kUri = 0x86;
  constexpr char kList[] = "https://pcs.emulated.invalid/sgx/certification/v4/pckcrl?ca=platform&encoding=der";
  const Bytes name = der::Element(kPoint, der::Element(kFullName, der::Element(kUri, AsBytes(kList))));
  return {{"2.5.29.19", der::Element(der::kSequence, ByteView()), true},  // basicConstraints: no CA
          {"2.5.29.31", der::Element(der::kSequence, der::Element(der::kSequence, name)), false},
          evidence::MakePckExtension(facts)};
}

}  // namespace

std::string TdxIdentity::PckChain() const {
  return pck.certificate.Pem() + platform_ca.certificate.Pem() + root.certificate.Pem();
}
std::string TdxIdentity::TcbIssuerChain() const { return tcb_signing.certificate.Pem() + root.certificate.Pem(); }
std::string TdxIdentity::CrlIssuerChain() const { return platform_ca.certificate.Pem() + root.certificate.Pem(); }

Result<IntelAuthority> LoadOrMakeIntelAuthority(const std::string& dir, TimePoint now) {
  ASSIGN_OR_RETURN(KeyStore store, KeyStore::Open(dir));
  IntelAuthority out;
  ASSIGN_OR_RETURN(out.root, store.LoadOrMake("root", KeyType::kP256, nullptr, [&](const crypto::PublicKey& key) {
    return IntelCaSpec("Intel SGX Root CA", 1, key, now);
  }));
  ASSIGN_OR_RETURN(out.platform_ca,
                   store.LoadOrMake("platform-ca", KeyType::kP256, &out.root, [&](const crypto::PublicKey& key) {
                     return IntelCaSpec("Intel SGX PCK Platform CA", 0, key, now);
                   }));
  ASSIGN_OR_RETURN(out.tcb_signing,
                   store.LoadOrMake("tcb-signing", KeyType::kP256, &out.root, [&](const crypto::PublicKey& key) {
                     return IntelSpec("Intel SGX TCB Signing", key, now);
                   }));
  return out;
}

Result<TdxIdentity> LoadOrMakeTdxIdentity(const std::string& dir, TimePoint now) {
  ASSIGN_OR_RETURN(IntelAuthority authority, LoadOrMakeIntelAuthority(dir, now));
  ASSIGN_OR_RETURN(KeyStore store, KeyStore::Open(dir));
  TdxIdentity out;
  out.root = std::move(authority.root);
  out.platform_ca = std::move(authority.platform_ca);
  out.tcb_signing = std::move(authority.tcb_signing);
  ASSIGN_OR_RETURN(std::string instance, store.LoadOrMakeText("platform-instance", [] {
    return HexEncode(crypto::SystemRandom().Take(kInstanceSize));
  }));
  auto instance_bytes = HexDecode(instance);
  if (!instance_bytes.ok() || instance_bytes->size() != kInstanceSize)
    return Err("identity.damaged", dir + "/platform-instance", "it is not 16 bytes in hex");
  out.facts.ppid = crypto::Sha256(*instance_bytes);
  out.facts.ppid.resize(16);
  out.facts.components = {7, 7, 2, 2, 3, 1, 0, 3};
  out.facts.pce_svn = 11;
  out.facts.cpu_svn = {7, 7, 2, 2, 3, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0};
  out.facts.fmspc = kFmspc;
  out.facts.sgx_type = 1;
  out.facts.platform_instance = *instance_bytes;
  out.facts.dynamic_platform = out.facts.smt_enabled = true;
  out.facts.cached_keys = false;
  ASSIGN_OR_RETURN(out.pck,
                   store.LoadOrMake("pck", KeyType::kP256, &out.platform_ca, [&](const crypto::PublicKey& key) {
                     CertificateSpec spec = IntelSpec("Intel SGX PCK Certificate", key, now);
                     spec.extensions = PckCertificateExtensions(out.facts);
                     return spec;
                   }));
  ASSIGN_OR_RETURN(out.attestation_key, store.LoadOrMakeKey("attestation", KeyType::kP256));
  out.qe.cpu_svn = out.facts.cpu_svn;
  out.qe.attributes[0] = 0x15;  // INIT, MODE64BIT, PROVISION_KEY
  out.qe.attributes[8] = 0xe7;
  out.qe.mr_enclave = crypto::Sha256(AsBytes("ccgpu emulated TD quoting enclave"));
  out.qe.mr_signer = crypto::Sha256(AsBytes("EMULATED, NOT INTEL"));
  out.qe.isv_prod_id = 2;
  out.qe.isv_svn = 4;
  out.tee_tcb_svn[0] = 5;
  out.tee_tcb_svn[1] = 1;
  out.tee_tcb_svn[2] = 3;
  out.mr_seam = crypto::Sha384(AsBytes("ccgpu emulated TDX module"));
  return out;
}

}  // namespace ccgpu::emulator
