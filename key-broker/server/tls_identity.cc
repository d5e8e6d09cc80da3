#include "key-broker/server/tls_identity.h"

#include <arpa/inet.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "base/log.h"

namespace ccgpu::broker {
namespace {

constexpr auto kCaLife = std::chrono::days(3650);
constexpr auto kServerLife = std::chrono::days(397);
constexpr auto kRenewBefore = std::chrono::days(30);
constexpr auto kClockSlack = std::chrono::hours(1);  // agents' clocks may be behind

bool IsAddress(const std::string& name) {
  unsigned char out[sizeof(in6_addr)];
  return inet_pton(AF_INET, name.c_str(), out) == 1 || inet_pton(AF_INET6, name.c_str(), out) == 1;
}

bool Covers(const crypto::Certificate& certificate, const std::string& name) {
  if (IsAddress(name)) return X509_check_ip_asc(certificate.raw(), name.c_str(), 0) == 1;
  return X509_check_host(certificate.raw(), name.c_str(), name.size(), X509_CHECK_FLAG_NO_WILDCARDS, nullptr) == 1;
}

Result<crypto::Certificate> LoadCertificate(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string pem, ReadFile(path, 1u << 20));
  return crypto::Certificate::FromPem(pem);
}

Result<crypto::Certificate> LoadOrMakeCa(const std::string& folder, const crypto::PrivateKey& key, TimePoint now) {
  const std::string path = folder + "/ca.crt";
  if (Exists(path)) {
    ASSIGN_OR_RETURN(crypto::Certificate ca, LoadCertificate(path));
    if (!(ca.key() == key.public_key()))
      return Err("broker.tls-damaged", path,
                 "does not fit ca.key; restore both, or remove the folder and give agents the new CA");
    return ca;
  }
  crypto::CertificateSpec spec;
  spec.subject = {{"O", "ccgpu"}, {"CN", "ccgpu-broker CA"}};
  spec.key = key.public_key();
  spec.not_before = now - kClockSlack;
  spec.not_after = now + kCaLife;
  spec.ca = true;
  spec.path_length = 0;
  spec.key_cert_sign = true;
  ASSIGN_OR_RETURN(crypto::Certificate ca, crypto::MakeCertificate(spec, key, nullptr));
  RETURN_IF_ERROR(WriteFileAtomic(path, ca.Pem()));
  return ca;
}

}  // namespace

Result<crypto::PrivateKey> LoadOrMakeKey(const std::string& path, crypto::KeyType type) {
  if (!Exists(path)) RETURN_IF_ERROR(WriteFileAtomic(path, crypto::PrivateKey::Generate(type).Pem(), 0600));
  ASSIGN_OR_RETURN(const std::string pem, ReadFile(path, 1u << 16));
  auto key = crypto::PrivateKey::FromPem(pem);
  if (!key.ok()) return key.error().In(path);
  return key;
}

Result<TlsIdentity> LoadOrMakeTls(const std::string& folder, const std::vector<std::string>& names, TimePoint now,
                                  bool as_long_as_ca) {
  RETURN_IF_ERROR(MakeDirs(folder, 0711));
  ASSIGN_OR_RETURN(const crypto::PrivateKey ca_key, LoadOrMakeKey(folder + "/ca.key", crypto::KeyType::kP256));
  ASSIGN_OR_RETURN(const crypto::Certificate ca, LoadOrMakeCa(folder, ca_key, now));
  TlsIdentity out;
  ASSIGN_OR_RETURN(out.key, LoadOrMakeKey(folder + "/server.key", crypto::KeyType::kP256));
  const std::string path = folder + "/server.crt";
  if (Exists(path)) {
    auto old = LoadCertificate(path);
    bool fits =
        old.ok() && old->key() == out.key.public_key() && old->IsSignedBy(ca) && old->NotAfter() > now + kRenewBefore;
    for (const std::string& name : names) fits = fits && Covers(*old, name);
    if (fits) {
      out.chain = {*old, ca};
      return out;
    }
  }
  crypto::CertificateSpec spec;
  spec.subject = {{"O", "ccgpu"}, {"CN", "ccgpu-broker"}};
  spec.key = out.key.public_key();
  spec.not_before = now - kClockSlack;
  spec.not_after = as_long_as_ca ? ca.NotAfter() : std::min(now + kServerLife, ca.NotAfter());
  spec.digital_signature = true;
  spec.extended_key_usage = "serverAuth";
  for (const std::string& name : names) (IsAddress(name) ? spec.ip_addresses : spec.dns_names).push_back(name);
  ASSIGN_OR_RETURN(const crypto::Certificate server, crypto::MakeCertificate(spec, ca_key, &ca));
  RETURN_IF_ERROR(WriteFileAtomic(path, server.Pem()));
  log::Info("made a server certificate", {{"file", path}, {"until", FormatTime(server.NotAfter())}});
  out.chain = {server, ca};
  return out;
}

Result<TlsIdentity> LoadTls(const std::string& cert_file, const std::string& key_file) {
  TlsIdentity out;
  ASSIGN_OR_RETURN(const std::string pem, ReadFile(cert_file, 1u << 20));
  ASSIGN_OR_RETURN(out.chain, crypto::Certificate::ListFromPem(pem));
  ASSIGN_OR_RETURN(const std::string key, ReadFile(key_file, 1u << 16));
  ASSIGN_OR_RETURN(out.key, crypto::PrivateKey::FromPem(key));
  if (!(out.chain[0].key() == out.key.public_key()))
    return Err("broker.tls-damaged", key_file, "is not the key of the first certificate in " + cert_file);
  return out;
}

}  // namespace ccgpu::broker
