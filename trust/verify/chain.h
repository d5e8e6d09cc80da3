// Certificate chains against pinned roots (RFC 5280 6.1, with algorithms fixed by profile). Included by trust/verify's
// own sources only.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/crypto/x509.h"
#include "trust/verify/cache_tables.h"

namespace ccgpu::verify {

// Who signed what, each pair asked once (verify::Cache). Remembers certificates' digests for its own lifetime, one
// call. Not for several threads.
class LinkCache {
 public:
  explicit LinkCache(Cache::Tables& tables) : tables_(tables) {}
  bool IsSigned(const crypto::Certificate& subject, const crypto::Certificate& issuer);
  const ContentId& Id(const crypto::Certificate& certificate);
  Cache::Tables& tables() { return tables_; }

 private:
  Cache::Tables& tables_;
  // By address; the certificate beside its digest keeps the address taken.
  std::unordered_map<const x509_st*, std::pair<crypto::Certificate, ContentId>> ids_;
};

// The reason codes of one kind of chain.
struct ChainCodes {
  Reason malformed, untrusted_root, invalid, expired, revoked, revocation_unknown, revocation_stale, revocation_missing;
};
inline constexpr ChainCodes kGpuCodes = {"gpu.chain-malformed",  "gpu.untrusted-root",    "gpu.chain-invalid",
                                         "gpu.chain-expired",    "gpu.revoked",           "gpu.revocation-unknown",
                                         "gpu.revocation-stale", "gpu.revocation-missing"};
inline constexpr ChainCodes kRimCodes = {"rim.chain-malformed",  "rim.untrusted-root",    "rim.chain-invalid",
                                         "rim.chain-expired",    "rim.revoked",           "rim.revocation-unknown",
                                         "rim.revocation-stale", "rim.revocation-missing"};
inline constexpr ChainCodes kSnpCodes = {"snp.chain-malformed",  "snp.untrusted-root",    "snp.chain-invalid",
                                         "snp.chain-expired",    "snp.revoked",           "snp.revocation-unknown",
                                         "snp.revocation-stale", "snp.revocation-missing"};

struct ChainProfile {
  crypto::KeyType leaf_key = crypto::KeyType::kP384, issuer_key = crypto::KeyType::kP384;
  bool pss_issuers = false;           // issuers sign with RSASSA-PSS SHA-384 instead of ECDSA SHA-384
  bool require_key_cert_sign = true;  // a keyUsage without keyCertSign is refused in any case
  crypto::Hash hash = crypto::Hash::kSha384;
};

// `chain`: leaf first, pinned root last. Signatures, names, CA flags, path lengths, key usages, algorithms, extensions
// that are not understood or there twice. The code of the error is `gpu.chain-invalid`, to be replaced by callers that
// judge other chains.
Status CheckLinks(const std::vector<crypto::Certificate>& chain, const ChainProfile& profile, const ChainCodes& codes,
                  LinkCache& cache);
// Every certificate of the chain, root included, valid at `now`. Code: codes.expired.
Status CheckValidity(const std::vector<crypto::Certificate>& chain, TimePoint now, const ChainCodes& codes);
// PEM blocks with nothing but white space between them. Code: codes.malformed.
Result<std::vector<crypto::Certificate>> StrictPemList(std::string_view pem, size_t limit, const ChainCodes& codes);

}  // namespace ccgpu::verify
