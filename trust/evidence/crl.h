// Certificate revocation lists (RFC 5280 5).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/crypto/x509.h"

struct X509_crl_st;

namespace ccgpu::evidence {

struct CrlEntry {
  Bytes serial;  // big-endian, no leading zero
  TimePoint revoked_at{};
  int reason = -1;
};

struct Crl {
  std::string issuer_name;  // one line, as Certificate::SubjectName
  TimePoint this_update{};
  std::optional<TimePoint> next_update;
  std::vector<CrlEntry> entries;
  std::shared_ptr<X509_crl_st> raw;

  // Issuer name and signature fit, and the issuer's keyUsage (when present) allows cRLSign.
  [[nodiscard]] bool IsSignedBy(const crypto::Certificate& issuer) const;
  const CrlEntry* Find(ByteView serial) const;
};

// Errors: crl.malformed; critical extensions that are not understood and delta CRLs are refused.
Result<Crl> ParseCrl(ByteView der);
Result<Bytes> MakeCrl(const crypto::Certificate& issuer, const crypto::PrivateKey& key, TimePoint this_update,
                      TimePoint next_update, const std::vector<CrlEntry>& entries, bool pss_signature = false);

}  // namespace ccgpu::evidence
