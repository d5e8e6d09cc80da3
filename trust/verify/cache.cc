#include "trust/verify/cache.h"

#include <algorithm>

#include "base/crypto/digest.h"
#include "trust/verify/cache_tables.h"

namespace ccgpu::verify {

ContentId IdOf(ByteView content) {
  const Bytes digest = crypto::Sha256(content);
  ContentId out;
  std::copy(digest.begin(), digest.end(), out.begin());
  return out;
}

ContentId IdOf(const crypto::Certificate& certificate) { return IdOf(certificate.Der()); }

ContentId IdOf(std::string_view what, const ContentId& a, const ContentId& b) {
  Bytes both = ToBytes(AsBytes(what));
  both.push_back(0);
  Append(both, a);
  Append(both, b);
  return IdOf(both);
}

Cache::Cache(const CacheLimits& limits) : tables_(std::make_unique<Tables>(limits)) {}
Cache::~Cache() = default;

Cache::Statistics Cache::statistics() const {
  Statistics out;
  tables_->rims.AddTo(out);
  tables_->ocsp.AddTo(out);
  tables_->crls.AddTo(out);
  tables_->chains.AddTo(out);
  tables_->signatures.AddTo(out);
  return out;
}

}  // namespace ccgpu::verify
