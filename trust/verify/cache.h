// What verification found out about documents by their content alone, kept for the next call: parsed RIMs, OCSP
// responses, CRLs and certificate chains, and whether one certificate's key signed another document. A signature over
// the same bytes under the same key holds or does not hold for ever, so a warm cache cannot change a verdict; what does
// change (validity, freshness, nonces, anchors, policies) is judged at each call and never kept.
//
// Any thread. Bounded: each kind drops what was not used longest. Whoever can hand in documents can make it forget, so
// it is a means of speed only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace ccgpu::verify {

struct CacheLimits {
  size_t rims = 64;          // up to about 1 MiB each
  size_t documents = 1024;   // OCSP responses, CRLs (up to 4 MiB each) and certificate chains, of each kind
  size_t signatures = 8192;  // about 100 bytes each
};

class Cache {
 public:
  explicit Cache(const CacheLimits& limits = {});
  ~Cache();
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  struct Statistics {
    uint64_t hits = 0, misses = 0;
    size_t entries = 0;
  };
  Statistics statistics() const;

  struct Tables;  // trust/verify/cache_tables.h, for this library's own sources
  Tables& tables() { return *tables_; }

 private:
  std::unique_ptr<Tables> tables_;
};

}  // namespace ccgpu::verify
