#include "key-broker/appraisal/collateral.h"

#include <algorithm>
#include <set>

#include "collateral/describe.h"
#include "collateral/fetch/nvidia.h"
#include "collateral/fetch/pcs.h"
#include "trust/evidence/rim.h"

namespace ccgpu::broker {
namespace {

constexpr size_t kMaxKept = 1024;
constexpr auto kInUse = std::chrono::minutes(5);

double Seconds(TimePoint time) { return static_cast<double>(time.time_since_epoch().count()); }

}  // namespace

void HttpCollateral::Count(collateral::Kind kind, bool ok, TimePoint now) {
  std::lock_guard lock(mutex_);
  Fetches& fetches = fetches_[kind];
  ++(ok ? fetches.ok : fetches.failed);
  if (ok) fetches.last_ok = now;
}

void HttpCollateral::WriteMetrics(metrics::Page& page, TimePoint now) {
  std::lock_guard lock(mutex_);
  page.Head("ccgpu_broker_collateral_fetches_total", "counter", "Signed documents fetched, by kind and result.");
  for (const auto& [kind, fetches] : fetches_) {
    const std::string word(collateral::RowOf(kind).word);
    page.Sample({{"kind", word}, {"result", "ok"}}, static_cast<double>(fetches.ok));
    page.Sample({{"kind", word}, {"result", "failed"}}, static_cast<double>(fetches.failed));
  }
  page.Head("ccgpu_broker_collateral_fetched_timestamp_seconds", "gauge", "When a document was last got, by kind.");
  for (const auto& [kind, fetches] : fetches_) {
    if (fetches.ok != 0) page.Sample({{"kind", std::string(collateral::RowOf(kind).word)}}, Seconds(fetches.last_ok));
  }
  std::map<collateral::Kind, size_t> in_use;
  std::map<collateral::Kind, TimePoint> ends;
  for (const Cache* cache : {&rims_, &ocsp_, &intel_}) {
    for (const auto& [key, kept] : *cache) {
      if (kept.used + kInUse < now) continue;
      ++in_use[kept.kind];
      if (!kept.ends) continue;
      const auto it = ends.emplace(kept.kind, *kept.ends).first;
      it->second = std::min(it->second, *kept.ends);
    }
  }
  page.Head("ccgpu_broker_collateral_documents", "gauge", "Documents used in the last five minutes, by kind.");
  for (const auto& [kind, count] : in_use)
    page.Sample({{"kind", std::string(collateral::RowOf(kind).word)}}, static_cast<double>(count));
  page.Head("ccgpu_broker_collateral_expires_timestamp_seconds", "gauge",
            "When the first of the documents used in the last five minutes ends, by kind.");
  for (const auto& [kind, end] : ends) page.Sample({{"kind", std::string(collateral::RowOf(kind).word)}}, Seconds(end));
}

std::optional<HttpCollateral::Kept> HttpCollateral::Find(Cache& cache, const std::string& key, TimePoint now) {
  std::lock_guard lock(mutex_);
  const auto it = cache.find(key);
  if (it == cache.end() || it->second.until <= now) return std::nullopt;
  it->second.used = now;
  return it->second;
}

void HttpCollateral::Keep(Cache& cache, const std::string& key, Kept kept, TimePoint now) {
  const bool intel = kept.kind == collateral::Kind::kIntelTcbInfo || kept.kind == collateral::Kind::kIntelQeIdentity;
  kept.ends = collateral::Describe(
                  {kept.kind, "", intel ? collateral::IntelText({kept.document, kept.issuer_chain}) : kept.document})
                  .until;
  kept.used = now;
  std::lock_guard lock(mutex_);
  if (cache.size() >= kMaxKept) std::erase_if(cache, [&](const auto& old) { return old.second.until <= now; });
  if (cache.size() >= kMaxKept) cache.erase(cache.begin());
  cache[key] = std::move(kept);
}

void HttpCollateral::AddRim(const std::string& id, bool may_fetch, TimePoint now, FoundCollateral& out) {
  std::optional<Kept> rim = Find(rims_, id, now);
  if (!rim) {
    if (!may_fetch) return;
    const auto request = collateral::RimRequest(options_.urls.rim, id);
    if (!request.ok()) {
      out.problems.push_back(request.error());
      return;
    }
    auto answer = fetcher_.Fetch(*request);
    auto fetched =
        answer.ok() ? collateral::RimOfAnswer(answer->body, id) : Result<collateral::Document>(answer.error());
    auto xml = fetched.ok() ? Result<std::string>(std::move(fetched->content)) : Result<std::string>(fetched.error());
    Count(collateral::Kind::kRim, xml.ok(), now);
    if (!xml.ok()) {
      out.problems.push_back(Err("collateral.rim-unavailable", id, xml.error().text));
      return;
    }
    auto parsed =
        evidence::ParseRim(*xml);  // one that is no RIM is handed on: the verification says what is wrong with it
    rim = Kept{std::move(*xml),
               now + options_.rim_lifetime,
               parsed.ok() ? std::move(parsed->chain) : std::vector<crypto::Certificate>(),
               {},
               collateral::Kind::kRim,
               {},
               {}};
    Keep(rims_, id, *rim, now);
  }
  out.documents.rims[id] = std::move(rim->document);
  AddChain(rim->chain, may_fetch, now, out);
}

void HttpCollateral::AddOcsp(const crypto::Certificate& subject, const crypto::Certificate& issuer, bool may_fetch,
                             TimePoint now, FoundCollateral& out) {
  const std::string key = collateral::OcspKey(subject, issuer);
  std::optional<Kept> response = Find(ocsp_, key, now);
  if (!response) {
    if (!may_fetch) return;
    auto answer = fetcher_.Fetch(collateral::OcspRequest(options_.urls.ocsp, subject, issuer));
    Count(collateral::Kind::kOcsp, answer.ok(), now);
    if (!answer.ok()) {
      out.problems.push_back(Err("collateral.ocsp-unavailable", subject.SubjectName(), answer.error().text));
      return;
    }
    response = Kept{std::move(answer->body), now + options_.ocsp_lifetime, {}, {}, collateral::Kind::kOcsp, {}, {}};
    Keep(ocsp_, key, *response, now);
  }
  out.documents.ocsp_responses.push_back(ToBytes(AsBytes(response->document)));
}

void HttpCollateral::AddChain(const std::vector<crypto::Certificate>& leaf_first, bool may_fetch, TimePoint now,
                              FoundCollateral& out) {
  for (size_t i = 0; i + 1 < leaf_first.size(); ++i) AddOcsp(leaf_first[i], leaf_first[i + 1], may_fetch, now, out);
}

FoundCollateral HttpCollateral::For(const std::vector<evidence::GpuEvidence>& gpus, bool may_fetch, TimePoint now) {
  FoundCollateral out;
  for (const auto& gpu : gpus) {
    const auto rims = collateral::RimIdsOf(gpu);
    if (!rims.ok()) continue;  // the verification says what is wrong with it
    AddChain(collateral::CheckableChain(gpu), may_fetch, now, out);
    for (const std::string& id : *rims) {
      if (!out.documents.rims.contains(id)) AddRim(id, may_fetch, now, out);
    }
  }
  // GPUs of one make share most of their documents.
  std::sort(out.documents.ocsp_responses.begin(), out.documents.ocsp_responses.end());
  out.documents.ocsp_responses.erase(
      std::unique(out.documents.ocsp_responses.begin(), out.documents.ocsp_responses.end()),
      out.documents.ocsp_responses.end());
  return out;
}

void HttpCollateral::AddForCpu(const evidence::CpuEvidence& cpu, bool may_fetch, TimePoint now, FoundCollateral& out) {
  const auto* tdx = std::get_if<evidence::TdxEvidence>(&cpu);
  if (!tdx) return;
  using collateral::PcsRequest;
  const auto requests = collateral::PcsRequestsFor(*tdx, options_.urls.pcs, options_.urls.intel_root_crl);
  if (!requests.ok()) return;  // the verification says what is wrong with the quote
  for (const PcsRequest& request : *requests) {
    std::optional<Kept> document = Find(intel_, request.url, now);
    if (!document) {
      if (!may_fetch) continue;
      auto answer = fetcher_.Fetch({request.url, "", ""});
      Count(KindOf(request.kind), answer.ok(), now);
      if (!answer.ok()) {
        out.problems.push_back(Err("collateral.pcs-unavailable", request.url, answer.error().text));
        continue;
      }
      document = Kept{std::move(answer->body),
                      now + options_.rim_lifetime,
                      {},
                      collateral::IssuerChainOf(request, *answer),
                      KindOf(request.kind),
                      {},
                      {}};
      Keep(intel_, request.url, *document, now);
    }
    switch (request.kind) {
      case PcsRequest::Kind::kTcbInfo:
        out.documents.tcb_infos.push_back({document->document, document->issuer_chain});
        break;
      case PcsRequest::Kind::kQeIdentity:
        out.documents.qe_identities.push_back({document->document, document->issuer_chain});
        break;
      case PcsRequest::Kind::kPckCrl:
      case PcsRequest::Kind::kRootCrl: out.documents.crls.push_back(ToBytes(AsBytes(document->document))); break;
    }
  }
}

}  // namespace ccgpu::broker
