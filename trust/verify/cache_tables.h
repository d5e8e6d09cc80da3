// The inside of verify::Cache. Included by trust/verify's own sources only.
#pragma once

#include <array>
#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/crypto/x509.h"
#include "trust/evidence/crl.h"
#include "trust/evidence/ocsp.h"
#include "trust/evidence/rim.h"
#include "trust/verify/cache.h"

namespace ccgpu::verify {

// SHA-256 of a document's content.
using ContentId = std::array<uint8_t, 32>;
ContentId IdOf(ByteView content);
// Of a certificate's DER.
ContentId IdOf(const crypto::Certificate& certificate);
// Of a pair; `what` keeps kinds of pairs apart.
ContentId IdOf(std::string_view what, const ContentId& a, const ContentId& b);

struct ContentIdHash {
  size_t operator()(const ContentId& id) const {
    size_t out = 0;
    std::memcpy(&out, id.data(), sizeof out);
    return out;
  }
};

// One kind of entries, the least recently used one goes first. Any thread; values are shared and immutable.
template <class Value>
class CacheTable {
 public:
  explicit CacheTable(size_t limit) : limit_(limit) {}

  // The entry, made outside the lock when it is not there: two threads may make the same, one is kept.
  template <class Make>
  std::shared_ptr<const Value> Get(const ContentId& id, const Make& make) {
    {
      const std::lock_guard lock(mutex_);
      const auto it = index_.find(id);
      if (it != index_.end()) {
        ++hits_;
        order_.splice(order_.begin(), order_, it->second);
        return it->second->value;
      }
      ++misses_;
    }
    std::shared_ptr<const Value> value = std::make_shared<const Value>(make());
    const std::lock_guard lock(mutex_);
    const auto it = index_.find(id);
    if (it != index_.end()) return it->second->value;
    if (limit_ == 0) return value;
    if (order_.size() >= limit_) {
      index_.erase(order_.back().id);
      order_.pop_back();
    }
    order_.push_front({id, value});
    index_.emplace(id, order_.begin());
    return value;
  }

  void AddTo(Cache::Statistics& out) const {
    const std::lock_guard lock(mutex_);
    out.hits += hits_;
    out.misses += misses_;
    out.entries += order_.size();
  }

 private:
  struct Entry {
    ContentId id;
    std::shared_ptr<const Value> value;
  };
  const size_t limit_;
  mutable std::mutex mutex_;
  std::list<Entry> order_;  // most recently used first
  std::unordered_map<ContentId, typename std::list<Entry>::iterator, ContentIdHash> index_;
  uint64_t hits_ = 0, misses_ = 0;
};

// A PEM list of certificates, in its order.
struct ParsedChain {
  std::vector<crypto::Certificate> certificates;
};

struct Cache::Tables {
  explicit Tables(const CacheLimits& limits)
      : rims(limits.rims),
        ocsp(limits.documents),
        crls(limits.documents),
        chains(limits.documents),
        signatures(limits.signatures) {}

  CacheTable<Result<evidence::Rim>> rims;
  CacheTable<Result<evidence::OcspResponse>> ocsp;
  CacheTable<Result<evidence::Crl>> crls;
  CacheTable<Result<ParsedChain>> chains;
  CacheTable<bool> signatures;
};

}  // namespace ccgpu::verify
