// The broker's TLS certificate. Agents pin its CA (through the measured initdata document), so the CA is made once and
// stays; the server's certificate is made anew when its names or dates no longer fit.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/crypto/x509.h"

namespace ccgpu::broker {

struct TlsIdentity {
  std::vector<crypto::Certificate> chain;  // leaf first
  crypto::PrivateKey key;
};

// Folder with ca.crt, ca.key, server.crt, server.key (keys 0600, P-256). `names`: DNS names and addresses.
// "broker.tls-damaged" when files do not fit together: they are never replaced silently, since agents rely on them.
// `as_long_as_ca`: a new server certificate ends with its CA instead of after 397 days; for who carries it elsewhere,
// where it is not renewed.
Result<TlsIdentity> LoadOrMakeTls(const std::string& folder, const std::vector<std::string>& names, TimePoint now,
                                  bool as_long_as_ca = false);
// Files that the operator gives.
Result<TlsIdentity> LoadTls(const std::string& cert_file, const std::string& key_file);
// A private key in a PEM file (0600), made there when the file is missing.
Result<crypto::PrivateKey> LoadOrMakeKey(const std::string& path, crypto::KeyType type);

}  // namespace ccgpu::broker
