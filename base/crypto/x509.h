// X.509 certificates: reading them, checking one link of a chain, and making them.
//
// Checking whole chains against anchors, time, revocation and profiles is trust/verify's work; this file only holds
// what both the judging and the signing side need of the format.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crypto/key.h"

struct x509_st;

namespace ccgpu::crypto {

// One parsed certificate, immutable, cheap to copy, any thread.
class Certificate {
 public:
  Certificate() = default;
  explicit Certificate(std::shared_ptr<x509_st> x509) : x509_(std::move(x509)) {}
  static Result<Certificate> FromDer(ByteView der);          // trailing bytes are an error
  static Result<Certificate> FromPem(std::string_view pem);  // exactly one
  // A PEM bundle in its order; text between the blocks is skipped (NVIDIA's chains have some). At least one, at most
  // `limit`.
  static Result<std::vector<Certificate>> ListFromPem(std::string_view pem, size_t limit = 16);

  bool valid() const { return x509_ != nullptr; }
  Bytes Der() const;
  std::string Pem() const;
  PublicKey key() const;
  std::string SubjectName() const;  // one line, RFC 2253
  std::string SubjectCommonName() const;
  std::string IssuerName() const;
  std::string IssuerCommonName() const;
  Bytes SerialNumber() const;  // big-endian, no leading zero
  TimePoint NotBefore() const;
  TimePoint NotAfter() const;  // 9999-12-31 means "no end"
  bool IsCa() const;           // basicConstraints CA:TRUE
  std::optional<int64_t> PathLength() const;
  bool HasKeyUsage() const;
  bool MayKeyCertSign() const;  // keyUsage keyCertSign (false when the extension is absent)
  bool MayDigitalSign() const;
  // The extension's value (the content of its OCTET STRING); nothing when absent. Duplicates: nothing and *duplicate =
  // true.
  std::optional<Bytes> Extension(const std::string& dotted_oid, bool* duplicate = nullptr) const;
  // Only the link: issuer name equals subject name, and the signature verifies under the issuer's key.
  [[nodiscard]] bool IsSignedBy(const Certificate& issuer) const;
  x509_st* raw() const { return x509_.get(); }

 private:
  std::shared_ptr<x509_st> x509_;
};

// What a new certificate says. Empty `issuer` = self-signed.
struct CertificateSpec {
  std::vector<std::pair<std::string, std::string>> subject;  // ("C", "US"), ("O", ..), ("CN", ..), ("serialNumber", ..)
  PublicKey key;
  Bytes serial;  // empty: 16 random bytes
  TimePoint not_before{};
  TimePoint not_after{};
  bool ca = false;
  std::optional<int64_t> path_length;
  bool key_cert_sign = false, digital_signature = false, crl_sign = false;
  std::vector<std::string> dns_names, ip_addresses;  // subjectAltName
  std::string extended_key_usage;                    // OpenSSL's words, "serverAuth", "OCSPSigning"
  struct Extra {
    std::string oid;
    Bytes value;  // the content of the OCTET STRING, DER of the extension's own type
    bool critical = false;
  };
  std::vector<Extra> extensions;
  bool pss_signature = false;  // RSASSA-PSS SHA-384 (AMD's profile) instead of the key type's default
};

// Signs with SHA-384 (SHA-256 for a P-256 signer).
Result<Certificate> MakeCertificate(const CertificateSpec& spec, const PrivateKey& signer, const Certificate* issuer);

}  // namespace ccgpu::crypto
