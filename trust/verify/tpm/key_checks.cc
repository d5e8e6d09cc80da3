// Whose key signed the quote: what the evidence says of it, and who vouches for it.
#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "base/encoding.h"
#include "trust/verify/anchors.h"
#include "trust/verify/tpm/context.h"

namespace ccgpu::verify {
namespace {

const std::string kAreaDocument = "tpm/ak-area", kChainDocument = "tpm/ak-certificates", kKeyDocument = "tpm/ak-public";
constexpr size_t kMaxCertificates = 8, kAttributesOffset = 4;

// Every place of the evidence that names the key must name the same one.
Finding OneKey(TpmContext& c) {
  const auto agree = [&](const crypto::PublicKey& key, const std::string& document) -> std::optional<Finding> {
    if (!c.key) c.key = key;
    if (*c.key == key) return std::nullopt;
    c.key.reset();
    return Finding::Fail(Err("tpm.ak-mismatch", "", "the evidence names two different attestation keys"))
        .At(document, 0, 0);
  };
  if (c.vouched_key) c.key = c.vouched_key;
  if (!c.evidence.ak_area.empty()) {
    auto area = evidence::ParseTpmPublic(c.evidence.ak_area);
    if (!area.ok()) return Finding::Fail(Err("tpm.ak-malformed", "", area.error().text)).At(kAreaDocument, 0, 0);
    auto key = area->Key();
    if (!key.ok()) return Finding::Fail(Err("tpm.ak-malformed", "", key.error().text)).At(kAreaDocument, 0, 0);
    c.area = std::move(*area);
    if (auto f = agree(*key, kAreaDocument)) return std::move(*f);
  }
  if (!c.evidence.ak_public.empty()) {
    auto key = crypto::PublicKey::FromDer(c.evidence.ak_public);
    if (!key.ok() || key->Der() != c.evidence.ak_public)
      return Finding::Fail(Err("tpm.ak-malformed", "", "it is not exactly one public key")).At(kKeyDocument, 0, 0);
    if (auto f = agree(*key, kKeyDocument)) return std::move(*f);
  }
  if (!c.evidence.ak_certificates.empty()) {
    auto chain = StrictPemList(c.evidence.ak_certificates, kMaxCertificates, kTpmCodes);
    if (!chain.ok()) return Finding::Fail(std::move(chain).error()).At(kChainDocument, 0, 0);
    c.claimed_chain = std::move(*chain);
    if (auto f = agree(c.claimed_chain[0].key(), kChainDocument)) return std::move(*f);
  }
  if (!c.key)
    return Finding::Fail(Err("tpm.ak-malformed", "", "the evidence names no attestation key")).At(kKeyDocument, 0, 0);
  if (!IsTpmKeyStrong(*c.key)) {
    return Finding::Fail(
               Err("tpm.ak-weak", "", "it is neither an RSA key of 2048 to 4096 bits nor one on a NIST curve"))
        .At(kKeyDocument, 0, 0);
  }
  return Finding::Pass();
}

// Only a restricted key never signs what somebody else put together to look like a quote.
Finding Restricted(TpmContext& c) {
  if (!c.area)
    return Finding::Skip("the evidence does not bring the key's public area; who vouches for it vouches for that");
  namespace bits = evidence::tpm_attribute;
  constexpr uint32_t kNeeded =
      bits::kFixedTpm | bits::kFixedParent | bits::kSensitiveDataOrigin | bits::kRestricted | bits::kSign;
  const uint32_t found = c.area->attributes;
  if ((found & kNeeded) == kNeeded && !(found & bits::kDecrypt)) return Finding::Pass();
  return Finding::Fail(
             Err("tpm.ak-attributes", "",
                 "the key is not one that signs only what the TPM itself made: it must be fixed to its TPM, made "
                 "in it, restricted, for signing and not for decryption"))
      .Claim("attributes", HexEncode(Writer().BigU32(kNeeded).bytes()), HexEncode(Writer().BigU32(found).bytes()))
      .At(kAreaDocument, kAttributesOffset, 4);
}

bool IsPinned(const TpmContext& c) {
  if (!c.key) return false;
  const Bytes der = c.key->Der();
  return std::any_of(c.options.pinned_keys.begin(), c.options.pinned_keys.end(),
                     [&](const Bytes& pinned) { return Equal(pinned, der); });
}

Finding Vouched(TpmContext& c) {
  if (c.vouched_key) return Finding::Skip("the hardware report names the key");
  if (!c.key) return Finding::Skip("there is no attestation key");
  if (IsPinned(c)) return Finding::Pass();
  if (c.claimed_chain.empty()) {
    return Finding::Fail(Err("tpm.ak-unknown", "",
                             "the attestation key is not one of the " + std::to_string(c.options.pinned_keys.size()) +
                                 " pinned ones, and no certificate says whose it is"))
        .Claim("ak_sha256", "a pinned key", HexEncode(crypto::Sha256(c.key->Der())))
        .At(kKeyDocument, 0, 0);
  }
  std::vector<crypto::Certificate> chain = c.claimed_chain;
  std::vector<crypto::Certificate> roots = c.shared.anchors.tpm_roots;
  roots.insert(roots.end(), c.options.roots.begin(), c.options.roots.end());
  const crypto::Certificate* root = FindAnchor(roots, chain.back());
  if (root && chain.size() > 1) chain.pop_back();  // the pinned one is used, never the one that was brought
  if (!root) root = FindIssuer(roots, chain.back());
  if (!root) {
    return Finding::Fail(Err("tpm.untrusted-root", "",
                             "the chain from \"" + chain.back().IssuerName() + "\" ends in none of the " +
                                 std::to_string(roots.size()) + " pinned TPM roots"))
        .At(kChainDocument, 0, 0);
  }
  chain.push_back(*root);
  c.chain = std::move(chain);
  return Finding::Pass();
}

Finding Environment(TpmContext& c) {
  if (c.vouched_key) return Finding::Skip("the hardware report says it");
  if (c.chain.empty() && !IsPinned(c)) return Finding::Skip("nobody vouches for the attestation key");
  // Evidence that says itself that it is emulated is believed, whoever pinned its key.
  const auto& said = c.chain.empty() ? c.claimed_chain : c.chain;
  const bool emulated = std::any_of(said.begin(), said.end(), [](const auto& cert) { return SaysEmulated(cert); });
  const std::string found = emulated ? "emulated" : "hardware";
  if (c.shared.environment.empty()) c.shared.environment = found;
  if (c.shared.environment != found) {
    return Finding::Fail(Err("environment.mixed", "",
                             "the TPM is " + found + ", other evidence of the same set is " + c.shared.environment))
        .Claim("environment", c.shared.environment, found);
  }
  if (emulated && !c.shared.anchors.insecure_accept_emulated) {
    return Finding::Fail(Err("environment.emulated", "",
                             "the evidence is of an emulated TPM, which protects nothing; start the verifier with "
                             "--insecure-accept-emulated to accept it"))
        .Claim("environment", "hardware", "emulated");
  }
  return Finding::Pass();
}

Finding Chain(TpmContext& c) {
  if (c.chain.empty()) return Finding::Skip("no certificate chain is needed, or none ends in a pinned root");
  Status status = CheckTpmChain(c.chain, c.shared.links);
  if (status.ok()) status = CheckValidity(c.chain, c.shared.now, kTpmCodes);
  return status.ok() ? Finding::Pass() : Finding::Fail(std::move(status).error()).At(kChainDocument, 0, 0);
}

Finding CertificateUse(TpmContext& c) {
  if (c.chain.empty()) return Finding::Skip("no certificate chain is needed, or none ends in a pinned root");
  std::string found;
  std::unique_ptr<EXTENDED_KEY_USAGE, decltype(&EXTENDED_KEY_USAGE_free)> uses(
      static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(c.chain[0].raw(), NID_ext_key_usage, nullptr, nullptr)),
      EXTENDED_KEY_USAGE_free);
  for (int i = 0; uses && i < sk_ASN1_OBJECT_num(uses.get()); ++i) {
    char oid[128];
    OBJ_obj2txt(oid, sizeof oid, sk_ASN1_OBJECT_value(uses.get(), i), 1);
    if (c.options.certificate_uses.contains(oid)) return Finding::Pass();
    found += (found.empty() ? "" : " ") + std::string(oid);
  }
  return Finding::Fail(Err("tpm.certificate-use", "", "the certificate is not for an attestation key"))
      .Claim("extended_key_usage", "2.23.133.8.3", found)
      .At(kChainDocument, 0, 0);
}

Finding ChainRevocation(TpmContext& c) {
  if (c.chain.empty()) return Finding::Skip("no certificate chain is needed, or none ends in a pinned root");
  RevocationRules rules;
  rules.required = c.options.require_revocation;
  rules.max_age = c.options.revocation_max_age;
  for (size_t i = 0; i + 1 < c.chain.size(); ++i) {
    Status status = c.shared.revocation.Check(c.chain, i, rules, kTpmCodes);
    if (!status.ok()) return Finding::Fail(std::move(status).error()).At(kChainDocument, 0, 0);
  }
  return Finding::Pass();
}

constexpr NamedCheck<TpmContext> kChecks[] = {
    {"ak.key", OneKey},
    {"ak.restricted", Restricted, true},
    {"ak.vouched", Vouched, true},
    {"ak.environment", Environment, true},
    {"ak.chain", Chain, true},
    {"ak.certificate-use", CertificateUse, true},
    {"ak.revocation", ChainRevocation, true},
};

}  // namespace

std::span<const NamedCheck<TpmContext>> TpmKeyChecks() { return kChecks; }

}  // namespace ccgpu::verify
