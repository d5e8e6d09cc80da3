// What a piece of evidence needs to be judged, and getting it: RIMs and OCSP from NVIDIA's services, certificates and
// lists from AMD's KDS. Each answer goes through the cache; when the service is away, an explicit policy says whether
// an older answer may be used. What came is not trusted: the verifier judges it.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "collateral/document.h"
#include "collateral/fetch/cache.h"
#include "collateral/fetch/fetcher.h"
#include "collateral/fetch/pcs.h"
#include "trust/evidence/tdx_evidence.h"

namespace ccgpu::collateral {

struct ServiceUrls {
  std::string rim = "https://rim.attestation.nvidia.com/v1/rim/";  // the RIM's id is appended
  std::string ocsp = "https://ocsp.ndis.nvidia.com/";
  std::string kds = "https://kdsintf.amd.com";  // "/vcek/v1/{product}/.." is appended
  std::string pcs = "https://api.trustedservices.intel.com";
  std::string intel_root_crl = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";
};

struct FetchPolicy {
  bool offline = false;  // never ask a service
  // When a service is away (or `offline`): an answer of the cache may be used up to this age. Zero: it may not.
  std::chrono::seconds stale_while_offline{0};
  // How long an answer is used again without asking.
  std::chrono::seconds rim_lifetime = std::chrono::hours(24), ocsp_lifetime = std::chrono::minutes(10),
                       list_lifetime = std::chrono::hours(1), certificate_lifetime = std::chrono::hours(24 * 365);
};

// What could not be had, and what was used although it is old.
struct Problem {
  Error error;
  bool used_stale = false;
};

struct Found {
  Documents documents;
  std::vector<Problem> problems;
  size_t fetched = 0, from_cache = 0;
};

// Called before each request with what has been done: for progress. From the calling thread.
using Progress = std::function<void(const std::string& what, size_t done)>;

// Not for several threads.
class Source {
 public:
  // `fetcher` must outlive it; `cache` may be nullptr.
  Source(ServiceUrls urls, FetchPolicy policy, Fetcher& fetcher, DiskCache* cache, TimePoint now,
         Progress progress = {})
      : urls_(std::move(urls)),
        policy_(policy),
        fetcher_(fetcher),
        cache_(cache),
        now_(now),
        progress_(std::move(progress)) {}

  // Driver and VBIOS RIM (or switch BIOS RIM), and OCSP answers for device chain and RIM chains.
  void ForGpu(const evidence::GpuEvidence& gpu);
  // VCEK of chip and TCB (unless the evidence brings its certificate), ASK and ARK, and the product's CRL.
  void ForSnp(const evidence::SnpEvidence& snp);
  // TCB info of the platform, QE identity, and the two lists.
  void ForTdx(const evidence::TdxEvidence& tdx);
  void ForRim(const std::string& id);

  // Everything so far, each document once.
  Found Take();

 private:
  Result<FetchAnswer> Ask(const FetchRequest& request, std::chrono::seconds lifetime, const std::string& what,
                          const std::function<Status(const std::string&)>& check);
  Result<std::string> Get(const FetchRequest& request, std::chrono::seconds lifetime, const std::string& what,
                          const std::function<Status(const std::string&)>& check);
  void AddCrl(const std::string& url, const std::string& name, const std::string& what, Reason unavailable);
  void AddIntel(const PcsRequest& request, Kind kind, Reason unavailable,
                const std::function<Status(const std::string&)>& check);
  void AddChain(const std::vector<crypto::Certificate>& leaf_first);
  void Fail(Error error, bool used_stale = false) { found_.problems.push_back({std::move(error), used_stale}); }

  ServiceUrls urls_;
  FetchPolicy policy_;
  Fetcher& fetcher_;
  DiskCache* cache_;
  TimePoint now_;
  Progress progress_;
  Found found_;
  std::vector<std::string> asked_;  // so that nothing is asked for twice
};

// The name of AMD's product in KDS URLs ("Milan", "Genoa", "Turin"): by CPUID, for version 2 reports by the layout of
// CHIP_ID. Empty when it cannot be told.
std::string KdsProduct(const evidence::SnpReport& report);
// "<kds>/vcek/v1/Milan/<chip id>?blSPL=..".
std::string VcekUrl(const std::string& kds, const evidence::SnpReport& report);

}  // namespace ccgpu::collateral
