#include "trust/verify/testing/tpm_world.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/encoding.h"

namespace ccgpu::verify {
namespace {

using crypto::CertificateSpec;
using crypto::KeyType;
using crypto::PrivateKey;
namespace event = evidence::tcg_event;
namespace alg = evidence::tpm_alg;

CertificateSpec Spec(const std::string& name, const PrivateKey& key, bool ca) {
  CertificateSpec spec;
  spec.subject = {{"O", "ccgpu tests"}, {"CN", name}};
  spec.key = key.public_key();
  spec.not_before = kTestNow - std::chrono::hours(24 * 30);
  spec.not_after = kTestNow + std::chrono::hours(24 * 300);
  spec.ca = spec.key_cert_sign = spec.crl_sign = ca;
  spec.digital_signature = !ca;
  if (!ca) spec.extended_key_usage = "2.23.133.8.3";
  return spec;
}

evidence::TpmPublic AreaOf(const PrivateKey& key) {
  namespace bits = evidence::tpm_attribute;
  evidence::TpmPublic area;
  area.attributes = bits::kFixedTpm | bits::kFixedParent | bits::kSensitiveDataOrigin | bits::kUserWithAuth |
                    bits::kRestricted | bits::kSign;
  const Bytes point = key.public_key().Point();
  if (point.empty()) {
    BIGNUM* n = nullptr;
    EVP_PKEY_get_bn_param(key.raw(), OSSL_PKEY_PARAM_RSA_N, &n);
    area.rsa_modulus.resize(static_cast<size_t>(BN_num_bytes(n)));
    BN_bn2bin(n, area.rsa_modulus.data());
    BN_free(n);
    area.rsa_bits = static_cast<uint16_t>(area.rsa_modulus.size() * 8);
    return area;
  }
  const size_t width = point.size() / 2;
  area.type = alg::kEcc;
  area.scheme = alg::kEcDsa;
  area.curve = width == 32 ? evidence::tpm_curve::kP256 : evidence::tpm_curve::kP384;
  area.x = ToBytes(ByteView(point).first(width));
  area.y = ToBytes(ByteView(point).subspan(width));
  return area;
}

// RSA keys take long to make: worlds made one after the other take turns with two.
PrivateKey KeyFor(KeyType type) {
  if (type != KeyType::kRsa2048) return PrivateKey::Generate(type);
  static const PrivateKey keys[] = {PrivateKey::Generate(type), PrivateKey::Generate(type)};
  static size_t turn = 0;
  return keys[turn++ % 2];
}

const EVP_MD* Md(uint16_t hash) {
  return hash == alg::kSha1 ? EVP_sha1() : hash == alg::kSha384 ? EVP_sha384() : EVP_sha256();
}

}  // namespace

evidence::TcgEvent MakeEvent(uint32_t index, uint32_t type, ByteView data) {
  evidence::TcgEvent out;
  out.index = index;
  out.type = type;
  out.data = ToBytes(data);
  for (const uint16_t bank : {alg::kSha1, alg::kSha256, alg::kSha384})
    out.digests.push_back({bank, evidence::TpmDigest(bank, data)});
  return out;
}

evidence::TpmSignature SignAsTpm(const PrivateKey& key, uint16_t algorithm, uint16_t hash, ByteView message) {
  evidence::TpmSignature out;
  out.algorithm = algorithm;
  out.hash = hash;
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* options = nullptr;
  EVP_DigestSignInit(context.get(), &options, Md(hash), nullptr, key.raw());
  if (algorithm == alg::kRsaPss) EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
  size_t size = 1024;
  Bytes signature(size);
  EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size());
  signature.resize(size);
  if (algorithm == alg::kEcDsa) {
    const size_t width = key.public_key().Point().size() / 2;
    const Bytes raw = crypto::EcdsaDerToRaw(signature, width).value();
    out.r = ToBytes(ByteView(raw).first(width));
    out.s = ToBytes(ByteView(raw).subspan(width));
  } else {
    out.rsa = std::move(signature);
  }
  return out;
}

TpmWorld::TpmWorld(const SpecEdits& edits, KeyType key) : ak(KeyFor(key)) {
  static const PrivateKey ca_key = PrivateKey::Generate(KeyType::kP384),
                          root_key = PrivateKey::Generate(KeyType::kP384);
  const auto make = [&](const char* level, const char* name, const PrivateKey& own, const PrivateKey& signer,
                        const crypto::Certificate* issuer) {
    CertificateSpec spec = Spec(name, own, issuer == nullptr || &own == &ca_key);
    if (const auto edit = edits.find(level); edit != edits.end()) edit->second(spec);
    return Party{own, crypto::MakeCertificate(spec, signer, issuer).value()};
  };
  const Party root = make("root", "TPM root (EMULATED, NOT A TPM VENDOR)", root_key, root_key, nullptr);
  const Party ca = make("ca", "TPM attestation CA (EMULATED)", ca_key, root_key, &root.certificate);
  chain = {make("ak", "attestation key (EMULATED)", ak, ca_key, &ca.certificate), ca, root};

  area = AreaOf(ak);
  algorithm = area.scheme;
  quote.qualified_signer = evidence::TpmName(area);
  quote.extra_data = options.nonce = Bytes(32, 0x5a);
  quote.firmware_version = 0x2023012345;
  quote.selections = {evidence::TpmPcrSelection::Of(options.bank, options.pcrs)};

  const Bytes global = HexDecode("61dfe48bca93d211aa0d00e098032b8c").value();
  log.crypto_agile = true;
  log.algorithms = {{alg::kSha1, 20}, {alg::kSha256, 32}, {alg::kSha384, 48}};
  log.events = {MakeEvent(0, event::kCrtmVersion, AsBytes("firmware 1.0")),
                MakeEvent(7, event::kEfiVariableDriverConfig, evidence::EncodeEfiVariable({global, "SecureBoot", {1}})),
                MakeEvent(7, event::kSeparator, Bytes(4)),
                MakeEvent(4, event::kEfiAction, AsBytes("Calling EFI Application from Boot Option")),
                MakeEvent(4, event::kSeparator, Bytes(4))};
  anchors.tpm_roots = {chain[2].certificate};
  anchors.insecure_accept_emulated = true;
  Measure();
  Quote();
}

void TpmWorld::Measure() {
  const uint16_t bank = quote.selections.at(0).hash;
  const size_t size = evidence::TpmHashSize(bank).value();
  pcrs.clear();
  for (uint32_t i = 0; i < evidence::kTpmPcrCount; ++i) pcrs[i] = Bytes(size, i >= 17 && i <= 22 ? 0xff : 0);
  const auto replayed = evidence::ReplayTcgLog(log, bank).value();
  for (const auto& [index, value] : replayed) pcrs[index] = value;
}

void TpmWorld::Quote() {
  Bytes all;
  for (const evidence::TpmPcrSelection& selection : quote.selections) {
    for (uint32_t index : selection.Indices()) Append(all, pcrs.at(index));
  }
  quote.pcr_digest = evidence::TpmDigest(hash, all);
  Sign();
}

void TpmWorld::Sign() {
  evidence.quote = evidence::EncodeTpmQuote(quote);
  evidence.signature = evidence::EncodeTpmSignature(SignAsTpm(ak, algorithm, hash, evidence.quote));
  evidence.ak_area = evidence::EncodeTpmPublic(area);
  evidence.ak_public = ak.public_key().Der();
  evidence.ak_certificates = chain[0].certificate.Pem() + chain[1].certificate.Pem();
  evidence.event_log = evidence::EncodeTcgLog(log);
  evidence.pcrs.clear();
  for (const auto& selection : quote.selections) {
    for (uint32_t index : selection.Indices()) evidence.pcrs[index] = pcrs.at(index);
  }
}

Verdict TpmWorld::Run() const {
  return VerifyTpm(evidence::Unverified<evidence::TpmEvidence>(evidence), collateral, anchors, options, now);
}

}  // namespace ccgpu::verify
