// Certificate chains of attestation keys. Unlike those of GPUs and processors, they come from many issuers with RSA and
// ECDSA keys of several sizes; what is good enough is fixed here, never taken from the certificates.
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include <set>

#include "trust/verify/tpm/context.h"

namespace ccgpu::verify {
namespace {

Error Bad(size_t index, const crypto::Certificate& certificate, const std::string& text) {
  return Err("tpm.chain-invalid", "",
             "certificate " + std::to_string(index) + " (\"" + certificate.SubjectName() + "\") " + text);
}

Status CheckExtensions(const crypto::Certificate& certificate, size_t index) {
  const uint32_t flags = X509_get_extension_flags(certificate.raw());
  if (flags & EXFLAG_INVALID) return Bad(index, certificate, "has an extension that cannot be read");
  if (flags & EXFLAG_CRITICAL) return Bad(index, certificate, "has a critical extension that is not understood");
  if (X509_get_version(certificate.raw()) != X509_VERSION_3) return Bad(index, certificate, "is not of version 3");
  std::set<std::string> seen;
  for (int i = 0; i < X509_get_ext_count(certificate.raw()); ++i) {
    char oid[128];
    OBJ_obj2txt(oid, sizeof oid, X509_EXTENSION_get_object(X509_get_ext(certificate.raw(), i)), 1);
    if (!seen.insert(oid).second) return Bad(index, certificate, "has the extension " + std::string(oid) + " twice");
  }
  return Ok();
}

bool IsSignedWithSha2(const crypto::Certificate& certificate) {
  int digest = 0, key = 0;
  if (X509_get_signature_info(certificate.raw(), &digest, &key, nullptr, nullptr) != 1) return false;
  const bool sha2 = digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512;
  return sha2 && (key == NID_rsaEncryption || key == NID_rsassaPss || key == NID_X9_62_id_ecPublicKey);
}

}  // namespace

bool IsTpmKeyStrong(const crypto::PublicKey& key) {
  if (!key.valid()) return false;
  switch (key.type()) {
    case crypto::KeyType::kP256:
    case crypto::KeyType::kP384:
    case crypto::KeyType::kP521:
    case crypto::KeyType::kRsa2048:
    case crypto::KeyType::kRsa3072:
    case crypto::KeyType::kRsa4096: return true;
    case crypto::KeyType::kEd25519:
    case crypto::KeyType::kOther: break;
  }
  return false;
}

Status CheckTpmChain(const std::vector<crypto::Certificate>& chain, LinkCache& links) {
  if (chain.size() < 2)
    return Err("tpm.chain-invalid", "", "the chain has one certificate, a leaf and a root are the least");
  for (size_t i = 0; i < chain.size(); ++i) {
    const crypto::Certificate& certificate = chain[i];
    if (!IsTpmKeyStrong(certificate.key()))
      return Bad(i, certificate, "holds neither an RSA key of 2048 to 4096 bits nor one on a NIST curve");
    RETURN_IF_ERROR(CheckExtensions(certificate, i));
    if (!IsSignedWithSha2(certificate)) return Bad(i, certificate, "is not signed by RSA or ECDSA with SHA-2");
    if (i == 0) {
      if (certificate.IsCa()) return Bad(i, certificate, "is the attestation key's but says that it is a CA");
    } else {
      if (!certificate.IsCa()) return Bad(i, certificate, "issued another one but is not a CA");
      if (!certificate.MayKeyCertSign()) return Bad(i, certificate, "issued another one but may not sign certificates");
      // Between this issuer and the leaf stand i - 1 further issuers.
      if (const auto most = certificate.PathLength(); most && *most < static_cast<int64_t>(i) - 1)
        return Bad(i, certificate, "allows " + std::to_string(*most) + " issuers below it");
    }
    if (i + 1 < chain.size() && !links.IsSigned(certificate, chain[i + 1]))
      return Bad(i, certificate, "is not signed by \"" + chain[i + 1].SubjectName() + "\"");
  }
  return Ok();
}

}  // namespace ccgpu::verify
