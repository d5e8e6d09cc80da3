#include "trust/verify/chain.h"

#include <openssl/objects.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <set>

namespace ccgpu::verify {
namespace {

Error Bad(const ChainCodes& codes, size_t index, const crypto::Certificate& certificate, const std::string& text) {
  return Err(codes.invalid, "",
             "certificate " + std::to_string(index) + " (\"" + certificate.SubjectCommonName() + "\") " + text);
}

const char* KeyName(crypto::KeyType type) {
  switch (type) {
    case crypto::KeyType::kP256: return "P-256";
    case crypto::KeyType::kP384: return "P-384";
    case crypto::KeyType::kRsa4096: return "RSA-4096";
    case crypto::KeyType::kP521:
    case crypto::KeyType::kRsa2048:
    case crypto::KeyType::kRsa3072:
    case crypto::KeyType::kEd25519:
    case crypto::KeyType::kOther: break;
  }
  return "another kind of key";
}

// OpenSSL's own reading of the extensions: broken ones, critical ones that nobody understands; and none may be there
// twice.
Status CheckExtensions(const crypto::Certificate& certificate, size_t index, const ChainCodes& codes) {
  const uint32_t flags = X509_get_extension_flags(certificate.raw());
  if (flags & EXFLAG_INVALID) return Bad(codes, index, certificate, "has an extension that cannot be read");
  if (flags & EXFLAG_CRITICAL) return Bad(codes, index, certificate, "has a critical extension that is not understood");
  if (X509_get_version(certificate.raw()) != X509_VERSION_3)
    return Bad(codes, index, certificate, "is not of version 3");
  std::set<std::string> seen;
  for (int i = 0; i < X509_get_ext_count(certificate.raw()); ++i) {
    char oid[128];
    OBJ_obj2txt(oid, sizeof oid, X509_EXTENSION_get_object(X509_get_ext(certificate.raw(), i)), 1);
    if (!seen.insert(oid).second)
      return Bad(codes, index, certificate, "has the extension " + std::string(oid) + " twice");
  }
  return Ok();
}

Status CheckAlgorithm(const crypto::Certificate& certificate, size_t index, const ChainProfile& profile,
                      const ChainCodes& codes) {
  int digest = 0, key = 0;
  const bool known = X509_get_signature_info(certificate.raw(), &digest, &key, nullptr, nullptr) == 1;
  const int wanted = profile.pss_issuers ? NID_rsassaPss : NID_X9_62_id_ecPublicKey;
  const bool sha256 = profile.hash == crypto::Hash::kSha256;
  if (!known || digest != (sha256 ? NID_sha256 : NID_sha384) || key != wanted) {
    return Bad(codes, index, certificate,
               std::string("is not signed by ") + (profile.pss_issuers ? "RSASSA-PSS" : "ECDSA") +
                   (sha256 ? " with SHA-256" : " with SHA-384"));
  }
  return Ok();
}

}  // namespace

const ContentId& LinkCache::Id(const crypto::Certificate& certificate) {
  const auto it = ids_.find(certificate.raw());
  if (it != ids_.end()) return it->second.second;
  return ids_.emplace(certificate.raw(), std::pair(certificate, IdOf(certificate))).first->second.second;
}

bool LinkCache::IsSigned(const crypto::Certificate& subject, const crypto::Certificate& issuer) {
  const ContentId id = IdOf("certificate", Id(subject), Id(issuer));
  return *tables_.signatures.Get(id, [&] { return subject.IsSignedBy(issuer); });
}

Status CheckLinks(const std::vector<crypto::Certificate>& chain, const ChainProfile& profile, const ChainCodes& codes,
                  LinkCache& cache) {
  if (chain.size() < 2)
    return Err(codes.invalid, "",
               "the chain has " + std::to_string(chain.size()) + " certificates, a leaf and a root are the least");
  for (size_t i = 0; i < chain.size(); ++i) {
    const crypto::Certificate& certificate = chain[i];
    const crypto::KeyType wanted = i == 0 ? profile.leaf_key : profile.issuer_key;
    const crypto::PublicKey key = certificate.key();
    if (!key.valid() || key.type() != wanted)
      return Bad(codes, i, certificate, std::string("does not hold a ") + KeyName(wanted) + " key");
    RETURN_IF_ERROR(CheckExtensions(certificate, i, codes));
    RETURN_IF_ERROR(CheckAlgorithm(certificate, i, profile, codes));
    if (i > 0) {
      if (!certificate.IsCa()) return Bad(codes, i, certificate, "issued another one but is not a CA");
      if (!certificate.MayKeyCertSign() && (certificate.HasKeyUsage() || profile.require_key_cert_sign))
        return Bad(codes, i, certificate, "issued another one but its key usage does not allow that");
      // Between this issuer and the leaf stand i - 1 further issuers.
      if (const auto most = certificate.PathLength(); most && *most < static_cast<int64_t>(i) - 1) {
        return Bad(codes, i, certificate,
                   "allows " + std::to_string(*most) + " issuers below it, there are " + std::to_string(i - 1));
      }
    } else if (certificate.IsCa()) {
      return Bad(codes, i, certificate, "is the leaf but says that it is a CA");
    }
    if (i + 1 < chain.size() && !cache.IsSigned(certificate, chain[i + 1]))
      return Bad(codes, i, certificate, "is not signed by \"" + chain[i + 1].SubjectCommonName() + "\"");
  }
  return Ok();
}

Status CheckValidity(const std::vector<crypto::Certificate>& chain, TimePoint now, const ChainCodes& codes) {
  for (size_t i = 0; i < chain.size(); ++i) {
    if (now < chain[i].NotBefore() || now > chain[i].NotAfter()) {
      return Err(codes.expired, "",
                 "certificate " + std::to_string(i) + " (\"" + chain[i].SubjectCommonName() + "\") is valid from " +
                     FormatTime(chain[i].NotBefore()) + " to " + FormatTime(chain[i].NotAfter()) + ", judged at " +
                     FormatTime(now));
    }
  }
  return Ok();
}

Result<std::vector<crypto::Certificate>> StrictPemList(std::string_view pem, size_t limit, const ChainCodes& codes) {
  static constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----", kEnd = "-----END CERTIFICATE-----";
  const auto malformed = [&](std::string text) { return Err(codes.malformed, "", std::move(text)); };
  // Some collectors close the text with NUL bytes; those end it, and nothing may stand behind them.
  const size_t closed = std::min(pem.find('\0'), pem.size());
  if (pem.find_first_not_of('\0', closed) != std::string_view::npos)
    return malformed("there are other bytes than NUL behind the end of the text, at byte " + std::to_string(closed));
  pem = pem.substr(0, closed);
  for (size_t at = 0; at < pem.size();) {
    if (pem.substr(at).starts_with(kBegin)) {
      const size_t end = pem.find(kEnd, at);
      if (end == std::string_view::npos) return malformed("a PEM block has no end line");
      at = end + kEnd.size();
    } else if (pem[at] == '\n' || pem[at] == '\r' || pem[at] == ' ' || pem[at] == '\t') {
      ++at;
    } else {
      return malformed("there is text outside the PEM blocks, at byte " + std::to_string(at));
    }
  }
  auto list = crypto::Certificate::ListFromPem(pem, limit);
  if (!list.ok()) return malformed(list.error().text);
  return list;
}

}  // namespace ccgpu::verify
