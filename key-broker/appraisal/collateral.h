// Where the broker gets signed documents about GPUs from: reference manifests (RIM) and revocation answers (OCSP).
//
// Nothing here is trusted: trust/verify checks every signature and date. A document that cannot be had is simply
// absent, and the verification that needs it refuses and says so.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "collateral/document.h"
#include "collateral/fetch/source.h"
#include "trust/evidence/composite.h"

namespace ccgpu::broker {

struct FoundCollateral {
  evidence::Collateral documents;
  std::vector<Error> problems;  // what could not be had, "collateral.*"
};

class CollateralSource {
 public:
  virtual ~CollateralSource() = default;
  // For these GPUs. `may_fetch` false: only what is at hand. Any thread.
  virtual FoundCollateral For(const std::vector<evidence::GpuEvidence>& gpus, bool may_fetch, TimePoint now) = 0;
  // Adds what this CPU evidence needs. Any thread.
  virtual void AddForCpu(const evidence::CpuEvidence& cpu, bool may_fetch, TimePoint now, FoundCollateral& out) = 0;
};

struct CollateralOptions {
  collateral::ServiceUrls urls = {};
  std::chrono::seconds rim_lifetime = std::chrono::hours(1);  // how long a fetched document (and Intel's) is used again
  std::chrono::seconds ocsp_lifetime = std::chrono::seconds(10);  // = how late a revocation may be noticed
};

// Fetches over HTTP and keeps what it got for the lifetimes above, at most 1024 documents of a kind.
class HttpCollateral final : public CollateralSource {
 public:
  // `fetcher` must outlive it.
  HttpCollateral(CollateralOptions options, collateral::Fetcher& fetcher)
      : options_(std::move(options)), fetcher_(fetcher) {}
  FoundCollateral For(const std::vector<evidence::GpuEvidence>& gpus, bool may_fetch, TimePoint now) override;
  void AddForCpu(const evidence::CpuEvidence& cpu, bool may_fetch, TimePoint now, FoundCollateral& out) override;
  // Fetches by kind and result; for documents that evidence was judged by in the last five minutes, when the first of
  // them ends (which its signer says, not our cache). Any thread.
  void WriteMetrics(metrics::Page& page, TimePoint now);

 private:
  struct Kept {
    std::string document;
    TimePoint until{};
    std::vector<crypto::Certificate> chain;  // of a RIM: its signers, parsed once
    std::string issuer_chain;                // of a document of Intel's
    collateral::Kind kind = collateral::Kind::kRim;
    std::optional<TimePoint> ends;  // says the document
    TimePoint used{};
  };
  using Cache = std::map<std::string, Kept>;
  std::optional<Kept> Find(Cache& cache, const std::string& key, TimePoint now);
  void Keep(Cache& cache, const std::string& key, Kept kept, TimePoint now);
  void AddRim(const std::string& id, bool may_fetch, TimePoint now, FoundCollateral& out);
  void AddOcsp(const crypto::Certificate& subject, const crypto::Certificate& issuer, bool may_fetch, TimePoint now,
               FoundCollateral& out);
  void AddChain(const std::vector<crypto::Certificate>& leaf_first, bool may_fetch, TimePoint now,
                FoundCollateral& out);

  // What became of one fetch.
  void Count(collateral::Kind kind, bool ok, TimePoint now);

  CollateralOptions options_;
  collateral::Fetcher& fetcher_;
  struct Fetches {
    uint64_t ok = 0, failed = 0;
    TimePoint last_ok{};
  };

  std::mutex mutex_;
  std::map<collateral::Kind, Fetches> fetches_;
  Cache rims_, ocsp_, intel_;
};

}  // namespace ccgpu::broker
