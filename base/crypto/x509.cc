#include "base/crypto/x509.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <ctime>

namespace ccgpu::crypto {
namespace {

using X509Ptr = std::shared_ptr<X509>;
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;

Error Bad(std::string text) { return Err("crypto.bad-certificate", "certificate", std::move(text)); }

std::string NameText(const X509_NAME* name) {
  BioPtr bio(BIO_new(BIO_s_mem()), BIO_free);
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string CommonName(X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return "";
  uint8_t* text = nullptr;
  const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) return "";
  std::string out(reinterpret_cast<char*>(text), static_cast<size_t>(size));
  OPENSSL_free(text);
  return out;
}

TimePoint ToTime(const ASN1_TIME* time) {
  std::tm parts{};
  if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return TimePoint{};
  return TimePoint(std::chrono::seconds(timegm(&parts)));
}

const EVP_MD* SignatureDigest(const PrivateKey& signer) {
  switch (signer.public_key().type()) {
    case KeyType::kP256: return EVP_sha256();
    case KeyType::kEd25519: return nullptr;
    case KeyType::kP384:
    case KeyType::kP521:
    case KeyType::kRsa2048:
    case KeyType::kRsa3072:
    case KeyType::kRsa4096:
    case KeyType::kOther: return EVP_sha384();
  }
  std::abort();
}

bool AddNamed(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (!extension) return false;
  const bool good = X509_add_ext(cert, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return good;
}

}  // namespace

Result<Certificate> Certificate::FromDer(ByteView der) {
  const uint8_t* at = der.data();
  X509* x509 = d2i_X509(nullptr, &at, static_cast<long>(der.size()));
  if (!x509) return Bad("is not DER");
  X509Ptr owned(x509, X509_free);
  if (at != der.data() + der.size()) return Bad("has bytes after its end");
  return Certificate(owned);
}

Result<Certificate> Certificate::FromPem(std::string_view pem) {
  ASSIGN_OR_RETURN(std::vector<Certificate> list, ListFromPem(pem));
  if (list.size() != 1) return Bad("expected one, found " + std::to_string(list.size()));
  return list[0];
}

Result<std::vector<Certificate>> Certificate::ListFromPem(std::string_view pem, size_t limit) {
  static constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----", kEnd = "-----END CERTIFICATE-----";
  std::vector<Certificate> out;
  for (size_t at = pem.find(kBegin); at != std::string_view::npos; at = pem.find(kBegin, at)) {
    const size_t end = pem.find(kEnd, at);
    if (end == std::string_view::npos) return Bad("the PEM block has no end line");
    if (out.size() == limit) return Bad("the bundle holds more than " + std::to_string(limit) + " certificates");
    const std::string block = std::string(pem.substr(at, end - at)) + std::string(kEnd) + "\n";
    BioPtr bio(BIO_new_mem_buf(block.data(), static_cast<int>(block.size())), BIO_free);
    // PEM_read_bio_X509 would not see bytes behind the certificate inside of the block.
    char *name = nullptr, *header = nullptr;
    uint8_t* der = nullptr;
    long size = 0;
    const bool read = PEM_read_bio(bio.get(), &name, &header, &der, &size) == 1;
    auto certificate =
        read && *header == 0 ? FromDer(ByteView(der, static_cast<size_t>(size))) : Bad("is no PEM block");
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
    if (!certificate.ok())
      return Bad("PEM block " + std::to_string(out.size() + 1) + " does not hold one: " + certificate.error().text);
    out.push_back(std::move(*certificate));
    at = end + kEnd.size();
  }
  if (out.empty()) return Bad("the PEM text holds none");
  return out;
}

Bytes Certificate::Der() const {
  uint8_t* out = nullptr;
  const int size = i2d_X509(x509_.get(), &out);
  if (size < 0) std::abort();
  Bytes der(out, out + size);
  OPENSSL_free(out);
  return der;
}

std::string Certificate::Pem() const {
  BioPtr bio(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_X509(bio.get(), x509_.get());
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

PublicKey Certificate::key() const {
  EVP_PKEY* key = X509_get_pubkey(x509_.get());
  return key ? PublicKey(std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free)) : PublicKey();
}

std::string Certificate::SubjectName() const { return NameText(X509_get_subject_name(x509_.get())); }
std::string Certificate::SubjectCommonName() const { return CommonName(X509_get_subject_name(x509_.get())); }
std::string Certificate::IssuerName() const { return NameText(X509_get_issuer_name(x509_.get())); }
std::string Certificate::IssuerCommonName() const { return CommonName(X509_get_issuer_name(x509_.get())); }

Bytes Certificate::SerialNumber() const {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(x509_.get());
  return Bytes(serial->data, serial->data + serial->length);
}

TimePoint Certificate::NotBefore() const { return ToTime(X509_get0_notBefore(x509_.get())); }
TimePoint Certificate::NotAfter() const { return ToTime(X509_get0_notAfter(x509_.get())); }

bool Certificate::IsCa() const {
  std::unique_ptr<BASIC_CONSTRAINTS, decltype(&BASIC_CONSTRAINTS_free)> constraints(
      static_cast<BASIC_CONSTRAINTS*>(X509_get_ext_d2i(x509_.get(), NID_basic_constraints, nullptr, nullptr)),
      BASIC_CONSTRAINTS_free);
  return constraints && constraints->ca;
}

std::optional<int64_t> Certificate::PathLength() const {
  std::unique_ptr<BASIC_CONSTRAINTS, decltype(&BASIC_CONSTRAINTS_free)> constraints(
      static_cast<BASIC_CONSTRAINTS*>(X509_get_ext_d2i(x509_.get(), NID_basic_constraints, nullptr, nullptr)),
      BASIC_CONSTRAINTS_free);
  if (!constraints || !constraints->pathlen) return std::nullopt;
  return ASN1_INTEGER_get(constraints->pathlen);
}

bool Certificate::HasKeyUsage() const { return (X509_get_extension_flags(x509_.get()) & EXFLAG_KUSAGE) != 0; }
bool Certificate::MayKeyCertSign() const {
  return HasKeyUsage() && (X509_get_key_usage(x509_.get()) & KU_KEY_CERT_SIGN) != 0;
}
bool Certificate::MayDigitalSign() const {
  return HasKeyUsage() && (X509_get_key_usage(x509_.get()) & KU_DIGITAL_SIGNATURE) != 0;
}

std::optional<Bytes> Certificate::Extension(const std::string& dotted_oid, bool* duplicate) const {
  if (duplicate) *duplicate = false;
  std::unique_ptr<ASN1_OBJECT, decltype(&ASN1_OBJECT_free)> oid(OBJ_txt2obj(dotted_oid.c_str(), 1), ASN1_OBJECT_free);
  if (!oid) return std::nullopt;
  const int at = X509_get_ext_by_OBJ(x509_.get(), oid.get(), -1);
  if (at < 0) return std::nullopt;
  if (X509_get_ext_by_OBJ(x509_.get(), oid.get(), at) >= 0) {
    if (duplicate) *duplicate = true;
    return std::nullopt;
  }
  const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(X509_get_ext(x509_.get(), at));
  return Bytes(value->data, value->data + value->length);
}

bool Certificate::IsSignedBy(const Certificate& issuer) const {
  if (X509_NAME_cmp(X509_get_issuer_name(x509_.get()), X509_get_subject_name(issuer.raw())) != 0) return false;
  EVP_PKEY* key = X509_get0_pubkey(issuer.raw());
  return key && X509_verify(x509_.get(), key) == 1;
}

Result<Certificate> MakeCertificate(const CertificateSpec& spec, const PrivateKey& signer, const Certificate* issuer) {
  X509Ptr cert(X509_new(), X509_free);
  X509_set_version(cert.get(), 2);
  Bytes serial = spec.serial;
  if (serial.empty()) {
    serial.resize(16);
    if (RAND_bytes(serial.data(), 16) != 1) std::abort();
    serial[0] = (serial[0] & 0x7f) | 0x40;
  }
  std::unique_ptr<BIGNUM, decltype(&BN_free)> number(BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr),
                                                     BN_free);
  BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(cert.get()));

  X509_NAME* name = X509_get_subject_name(cert.get());
  for (const auto& [key, value] : spec.subject) {
    if (X509_NAME_add_entry_by_txt(name, key.c_str(), MBSTRING_UTF8, reinterpret_cast<const uint8_t*>(value.data()),
                                   static_cast<int>(value.size()), -1, 0) != 1) {
      return Bad("cannot take the name part " + key + "=" + value);
    }
  }
  X509_set_issuer_name(cert.get(), issuer ? X509_get_subject_name(issuer->raw()) : name);
  ASN1_TIME_set(X509_getm_notBefore(cert.get()), spec.not_before.time_since_epoch().count());
  ASN1_TIME_set(X509_getm_notAfter(cert.get()), spec.not_after.time_since_epoch().count());
  if (X509_set_pubkey(cert.get(), spec.key.raw()) != 1) return Bad("cannot take the key");

  X509* issuer_raw = issuer ? issuer->raw() : cert.get();
  bool good = true;
  if (spec.ca) {
    good &= AddNamed(cert.get(), issuer_raw, NID_basic_constraints,
                     "critical,CA:TRUE" + (spec.path_length ? ",pathlen:" + std::to_string(*spec.path_length) : ""));
  }
  std::string usage;
  if (spec.digital_signature) usage += ",digitalSignature";
  if (spec.key_cert_sign) usage += ",keyCertSign";
  if (spec.crl_sign) usage += ",cRLSign";
  if (!usage.empty()) good &= AddNamed(cert.get(), issuer_raw, NID_key_usage, "critical" + usage);
  if (!spec.extended_key_usage.empty())
    good &= AddNamed(cert.get(), issuer_raw, NID_ext_key_usage, spec.extended_key_usage);
  std::string names;
  for (const auto& dns : spec.dns_names) names += ",DNS:" + dns;
  for (const auto& ip : spec.ip_addresses) names += ",IP:" + ip;
  if (!names.empty()) good &= AddNamed(cert.get(), issuer_raw, NID_subject_alt_name, names.substr(1));
  // In AMD's profile a leaf has AMD's own extensions and nothing else; verifiers refuse one that has more.
  if (spec.ca || !spec.pss_signature) {
    good &= AddNamed(cert.get(), issuer_raw, NID_subject_key_identifier, "hash");
    if (issuer) good &= AddNamed(cert.get(), issuer_raw, NID_authority_key_identifier, "keyid");
  }
  for (const auto& extra : spec.extensions) {
    std::unique_ptr<ASN1_OBJECT, decltype(&ASN1_OBJECT_free)> oid(OBJ_txt2obj(extra.oid.c_str(), 1), ASN1_OBJECT_free);
    std::unique_ptr<ASN1_OCTET_STRING, decltype(&ASN1_OCTET_STRING_free)> value(ASN1_OCTET_STRING_new(),
                                                                                ASN1_OCTET_STRING_free);
    ASN1_OCTET_STRING_set(value.get(), extra.value.data(), static_cast<int>(extra.value.size()));
    X509_EXTENSION* extension = X509_EXTENSION_create_by_OBJ(nullptr, oid.get(), extra.critical, value.get());
    good &= extension && X509_add_ext(cert.get(), extension, -1) == 1;
    X509_EXTENSION_free(extension);
  }
  if (!good) return Bad("an extension cannot be encoded");

  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* options = nullptr;
  if (EVP_DigestSignInit(context.get(), &options, SignatureDigest(signer), nullptr, signer.raw()) != 1)
    return Bad("the signer's key cannot sign");
  if (spec.pss_signature) {
    EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST);
  }
  if (X509_sign_ctx(cert.get(), context.get()) == 0) return Bad("cannot be signed");
  // Parse it back, so that cached fields are computed from the bytes as everyone else will see them.
  return Certificate::FromDer(Certificate(cert).Der());
}

}  // namespace ccgpu::crypto
