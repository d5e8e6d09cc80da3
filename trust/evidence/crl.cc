#include "trust/evidence/crl.h"

#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

namespace ccgpu::evidence {
namespace {

constexpr size_t kMaxSize = 4u << 20, kMaxEntries = 100000;
using CrlPtr = std::shared_ptr<X509_CRL>;

Error Bad(std::string text) { return Err("crl.malformed", "CRL", std::move(text)); }

std::optional<TimePoint> ToTime(const ASN1_TIME* time) {
  std::tm parts{};
  if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
  return TimePoint(std::chrono::seconds(timegm(&parts)));
}

std::string NameText(const X509_NAME* name) {
  BIO* bio = BIO_new(BIO_s_mem());
  X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string out(data, static_cast<size_t>(size));
  BIO_free(bio);
  return out;
}

// Everything critical must be understood (RFC 5280 5.2, 5.3), and nothing critical is: issuing distribution points and
// indirect lists say that a list is about something else than all of its issuer's certificates.
Status CheckExtensions(X509_CRL* crl) {
  for (int i = 0; i < X509_CRL_get_ext_count(crl); ++i) {
    X509_EXTENSION* extension = X509_CRL_get_ext(crl, i);
    const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
    if (nid == NID_delta_crl) return Bad("is a delta CRL, which alone says nothing");
    if (X509_EXTENSION_get_critical(extension)) return Bad("has a critical extension that is not understood");
  }
  return Ok();
}

}  // namespace

bool Crl::IsSignedBy(const crypto::Certificate& issuer) const {
  if (!raw || X509_NAME_cmp(X509_CRL_get_issuer(raw.get()), X509_get_subject_name(issuer.raw())) != 0) return false;
  if (issuer.HasKeyUsage() && !(X509_get_key_usage(issuer.raw()) & KU_CRL_SIGN)) return false;
  return X509_CRL_verify(raw.get(), X509_get0_pubkey(issuer.raw())) == 1;
}

const CrlEntry* Crl::Find(ByteView serial) const {
  const auto it =
      std::find_if(entries.begin(), entries.end(), [&](const CrlEntry& e) { return Equal(e.serial, serial); });
  return it == entries.end() ? nullptr : &*it;
}

Result<Crl> ParseCrl(ByteView der) {
  if (der.size() > kMaxSize) return Bad("is larger than 4 MiB");
  const uint8_t* at = der.data();
  const CrlPtr raw(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())), X509_CRL_free);
  if (!raw || at != der.data() + der.size()) return Bad("is not the DER of one list");
  RETURN_IF_ERROR(CheckExtensions(raw.get()));
  Crl out;
  out.raw = raw;
  out.issuer_name = NameText(X509_CRL_get_issuer(raw.get()));
  const auto this_update = ToTime(X509_CRL_get0_lastUpdate(raw.get()));
  if (!this_update) return Bad("thisUpdate is not a time");
  out.this_update = *this_update;
  out.next_update = ToTime(X509_CRL_get0_nextUpdate(raw.get()));
  STACK_OF(X509_REVOKED)* revoked = X509_CRL_get_REVOKED(raw.get());
  const int count = revoked ? sk_X509_REVOKED_num(revoked) : 0;
  if (static_cast<size_t>(count) > kMaxEntries) return Bad("has more than 100000 entries");
  for (int i = 0; i < count; ++i) {
    const X509_REVOKED* entry = sk_X509_REVOKED_value(revoked, i);
    for (int e = 0; e < X509_REVOKED_get_ext_count(entry); ++e) {
      if (X509_EXTENSION_get_critical(X509_REVOKED_get_ext(entry, e)))
        return Bad("an entry has a critical extension that is not understood");
    }
    const ASN1_INTEGER* serial = X509_REVOKED_get0_serialNumber(entry);
    CrlEntry item;
    item.serial = Bytes(serial->data, serial->data + serial->length);
    item.revoked_at = ToTime(X509_REVOKED_get0_revocationDate(entry)).value_or(TimePoint{});
    int critical = 0;
    if (auto* reason =
            static_cast<ASN1_ENUMERATED*>(X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, &critical, nullptr))) {
      item.reason = static_cast<int>(ASN1_ENUMERATED_get(reason));
      ASN1_ENUMERATED_free(reason);
    }
    out.entries.push_back(std::move(item));
  }
  return out;
}

Result<Bytes> MakeCrl(const crypto::Certificate& issuer, const crypto::PrivateKey& key, TimePoint this_update,
                      TimePoint next_update, const std::vector<CrlEntry>& entries, bool pss_signature) {
  const CrlPtr crl(X509_CRL_new(), X509_CRL_free);
  X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(issuer.raw()));
  const auto time = [](TimePoint t) {
    return std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)>(ASN1_TIME_set(nullptr, t.time_since_epoch().count()),
                                                                 ASN1_TIME_free);
  };
  X509_CRL_set1_lastUpdate(crl.get(), time(this_update).get());
  X509_CRL_set1_nextUpdate(crl.get(), time(next_update).get());
  for (const CrlEntry& entry : entries) {
    X509_REVOKED* revoked = X509_REVOKED_new();
    BIGNUM* number = BN_bin2bn(entry.serial.data(), static_cast<int>(entry.serial.size()), nullptr);
    ASN1_INTEGER* serial = BN_to_ASN1_INTEGER(number, nullptr);
    X509_REVOKED_set_serialNumber(revoked, serial);
    X509_REVOKED_set_revocationDate(revoked, time(entry.revoked_at).get());
    if (entry.reason >= 0) {
      ASN1_ENUMERATED* reason = ASN1_ENUMERATED_new();
      ASN1_ENUMERATED_set(reason, entry.reason);
      X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, reason, 0, 0);
      ASN1_ENUMERATED_free(reason);
    }
    ASN1_INTEGER_free(serial);
    BN_free(number);
    X509_CRL_add0_revoked(crl.get(), revoked);
  }
  X509_CRL_sort(crl.get());
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* options = nullptr;
  const bool p256 = key.public_key().type() == crypto::KeyType::kP256;
  if (EVP_DigestSignInit(context.get(), &options, p256 ? EVP_sha256() : EVP_sha384(), nullptr, key.raw()) != 1)
    return Bad("the signer's key cannot sign");
  if (pss_signature) {
    EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
  }
  if (X509_CRL_sign_ctx(crl.get(), context.get()) == 0) return Bad("cannot be signed");
  uint8_t* der = nullptr;
  const int size = i2d_X509_CRL(crl.get(), &der);
  if (size < 0) std::abort();
  Bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

}  // namespace ccgpu::evidence
