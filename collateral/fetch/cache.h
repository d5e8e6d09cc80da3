// A disk cache of fetched documents, keyed by content: what was fetched lies once under its SHA-256, and a small record
// for each request says which content answered it and when.
//
//   objects/<sha256>        the bytes
//   requests/<sha256>.json  {"url","body_sha256","sha256","fetched_at","headers"}; named by URL and body
//
// Every file is written atomically, so several programs may share one cache. A content that is not what its name says
// was damaged: it is dropped and counts as absent. Bounded: the requests fetched longest ago go first.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "collateral/fetch/fetcher.h"

namespace ccgpu::collateral {

struct CacheLimits {
  uint64_t bytes = 256u << 20;
  size_t documents = 8192;
};

struct CachedAnswer {
  FetchAnswer answer;
  TimePoint fetched_at{};
};

// One process's view; any thread.
class DiskCache {
 public:
  explicit DiskCache(std::string folder, CacheLimits limits = {}) : folder_(std::move(folder)), limits_(limits) {}

  // Nothing: not there, or damaged.
  std::optional<CachedAnswer> Find(const FetchRequest& request) const;
  // Errors: file.*, collateral.too-large (the document alone is over the limit).
  Status Keep(const FetchRequest& request, const FetchAnswer& answer, TimePoint now);

 private:
  Status Bound(const std::string& keep) const;
  std::string folder_;
  CacheLimits limits_;
};

}  // namespace ccgpu::collateral
