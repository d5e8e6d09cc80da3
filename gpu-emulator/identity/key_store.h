// Keys and certificates of the emulator's own authorities, made once and kept in a folder: NAME.key (PKCS#8 PEM, 0600)
// and NAME.pem.
#pragma once

#include <functional>
#include <string>

#include "base/crypto/x509.h"

namespace ccgpu::emulator {

// Who can sign under a certificate.
struct Authority {
  crypto::Certificate certificate;
  crypto::PrivateKey key;
};

// One folder (0700). Not for several threads.
//
// A kill at any moment leaves nothing that a later start could not go on from: the key is written first, and a
// certificate is made for a key that has none. What does not fit together ("identity.damaged") is never replaced:
// someone may rely on it.
class KeyStore {
 public:
  static Result<KeyStore> Open(std::string folder);

  // `issuer` nullptr: self-signed. `spec` is asked for the new public key when there is no certificate yet.
  using MakeSpec = std::function<crypto::CertificateSpec(const crypto::PublicKey&)>;
  Result<Authority> LoadOrMake(const std::string& name, crypto::KeyType type, const Authority* issuer,
                               const MakeSpec& spec);
  // The same in two steps, so that slow keys can be made beside each other: the key alone. Any thread.
  Result<crypto::PrivateKey> LoadOrMakeKey(const std::string& name, crypto::KeyType type) const;
  // A small text, made once.
  Result<std::string> LoadOrMakeText(const std::string& name, const std::function<std::string()>& make);

 private:
  explicit KeyStore(std::string folder) : folder_(std::move(folder)) {}
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string folder_;
};

// 9999-12-31T23:59:59Z: "no end" (RFC 5280 4.1.2.5), as in NVIDIA's device certificates.
TimePoint NoEnd();

}  // namespace ccgpu::emulator
