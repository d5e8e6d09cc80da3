#include "cli/collateral_commands.h"

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "base/json.h"
#include "cli/collateral_sources.h"
#include "cli/evidence/format.h"
#include "cli/evidence/needs.h"
#include "cli/table.h"
#include "collateral/describe.h"
#include "collateral/fetch/source.h"
#include "collateral/folder.h"

namespace ccgpu::cli {
namespace {

// Says what is being waited for when it takes longer than 2 s; never on --json.
class Patience {
 public:
  explicit Patience(Context& context) : context_(context) {
    if (!context.json) thread_ = std::thread([this] { Watch(); });
  }
  ~Patience() {
    if (!thread_.joinable()) return;
    {
      std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void Now(const std::string& what, size_t count) {
    std::lock_guard lock(mutex_);
    what_ = what, count_ = count;
  }

 private:
  void Watch() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, std::chrono::seconds(2), [this] { return done_; }))
      context_.err << "ccgpu: " << count_ << " documents so far, waiting for " << what_ << std::endl;
  }
  Context& context_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::string what_ = "an answer";
  size_t count_ = 0;
  std::thread thread_;
};

}  // namespace

int FetchCollateral(Context& context, const FetchOptions& options) {
  Needs needs;
  if (!options.files.empty()) {
    auto evidence = OpenCase(options.files);
    if (!evidence.ok()) return Report(context, evidence.error(), kUsage);
    auto found = NeedsOf(*evidence);
    if (!found.ok()) return Report(context, found.error(), kUsage);
    needs = std::move(*found);
  }
  if (options.files.empty() && options.rims.empty())
    return Report(context, Err("input.no-evidence", "", "name evidence, or --rim ID"), kUsage);
  collateral::ServiceUrls urls;
  if (!options.rim_url.empty()) urls.rim = options.rim_url;
  if (!options.ocsp_url.empty()) urls.ocsp = options.ocsp_url;
  if (!options.kds_url.empty()) urls.kds = options.kds_url;
  if (!options.pcs_url.empty())
    urls.pcs = options.pcs_url, urls.intel_root_crl = options.pcs_url + "/IntelSGXRootCA.der";
  collateral::FetchPolicy policy;
  policy.offline = options.offline;
  policy.stale_while_offline = std::chrono::seconds(options.stale_seconds);
  const auto http = collateral::MakeHttpFetcher();
  collateral::RetryOptions retry;
  retry.attempts = options.attempts;
  const auto fetcher = collateral::MakeRetrying(*http, retry);
  collateral::DiskCache cache(options.cache_dir);
  collateral::Found found;
  {
    Patience patience(context);
    collateral::Source source(urls, policy, *fetcher, options.cache_dir.empty() ? nullptr : &cache, context.clock.Now(),
                              [&](const std::string& what, size_t done) { patience.Now(what, done); });
    for (const evidence::GpuEvidence& gpu : needs.gpus) source.ForGpu(gpu);
    for (const evidence::SnpEvidence& snp : needs.snps) source.ForSnp(snp);
    for (const evidence::TdxEvidence& tdx : needs.tdxs) source.ForTdx(tdx);
    for (const std::string& id : options.rims) source.ForRim(id);
    found = source.Take();
  }
  if (Status written = collateral::WriteFolder(options.output, found.documents); !written.ok())
    return Report(context, written.error(), kFailed);
  if (!options.mirror.empty()) {
    if (Status written = collateral::WriteMirror(options.mirror, found.documents, context.clock.Now()); !written.ok())
      return Report(context, written.error(), kFailed);
  }
  const bool complete = std::all_of(found.problems.begin(), found.problems.end(),
                                    [](const collateral::Problem& problem) { return problem.used_stale; });
  if (context.json) {
    Json problems = Json::array();
    for (const collateral::Problem& problem : found.problems)
      problems.push_back({{"code", problem.error.code},
                          {"subject", problem.error.subject},
                          {"text", problem.error.text},
                          {"used_stale", problem.used_stale}});
    context.out << Json{{"output", options.output}, {"documents", found.documents.size()},
                        {"fetched", found.fetched}, {"from_cache", found.from_cache},
                        {"complete", complete},     {"problems", problems}}
                       .dump(2)
                << "\n";
  } else {
    for (const collateral::Problem& problem : found.problems)
      context.err << "ccgpu: " << (problem.used_stale ? "warning: " : "") << problem.error.ToString() << "\n";
    context.out << found.documents.size() << " documents in " << options.output << " (" << found.fetched << " fetched, "
                << found.from_cache << " from the cache)\n";
  }
  return complete ? kOk : kFailed;
}

int BundleCollateral(Context& context, const BundleOptions& options) {
  auto pem = ReadFile(options.key_file, 1u << 20);
  if (!pem.ok()) return Report(context, pem.error(), kUsage);
  auto key = crypto::PrivateKey::FromPem(*pem);
  if (!key.ok())
    return Report(context, Err("collateral.bad-key", options.key_file, "is no private key in PEM"), kUsage);
  collateral::Bundle bundle{context.clock.Now(), options.note, {}};
  for (const std::string& source : options.sources) {
    Result<collateral::Documents> documents = Err("collateral.unknown-document", source, "");
    if (std::filesystem::is_directory(source)) {
      documents = ReadCollateral(source, "");
    } else {
      auto content = ReadFile(source, collateral::kMaxBundle);
      if (!content.ok()) return Report(context, content.error(), kUsage);
      documents = collateral::LooksLikeBundle(*content)
                      ? ReadCollateral(source, options.bundle_key_file)
                      : collateral::Recognise(*content, std::filesystem::path(source).stem().string());
    }
    if (!documents.ok()) return Report(context, documents.error(), kUsage);
    bundle.documents.insert(bundle.documents.end(), documents->begin(), documents->end());
  }
  auto text = collateral::WriteBundle(bundle, *key);
  if (!text.ok()) return Report(context, text.error(), kUsage);
  if (Status written = WriteFileAtomic(options.output, *text); !written.ok())
    return Report(context, written.error(), kFailed);
  if (context.json)
    context.out << Json{{"output", options.output}, {"documents", bundle.documents.size()}}.dump() << "\n";
  else context.err << "wrote " << options.output << ", " << bundle.documents.size() << " documents\n";
  return kOk;
}

int CheckCollateral(Context& context, const CheckOptions& options) {
  TimePoint at = context.clock.Now();
  if (!options.at.empty()) {
    auto parsed = ParseTime(options.at);
    if (!parsed.ok()) return Report(context, parsed.error(), kUsage);
    at = *parsed;
  }
  collateral::Documents documents;
  std::vector<std::string> strays;
  Json bundle_json;
  if (std::filesystem::is_directory(options.source)) {
    auto folder = collateral::ReadFolder(options.source, true);
    if (!folder.ok()) return Report(context, folder.error(), kUsage);
    documents = std::move(folder->documents);
    strays = std::move(folder->strays);
  } else {
    auto bundle = ReadSignedBundle(options.source, options.bundle_key_file);
    // An operator's signature that does not hold is a refusal, not a wrong word.
    if (!bundle.ok())
      return Report(context, bundle.error(), bundle.error().code == "collateral.bundle-signature" ? kFailed : kUsage);
    documents = std::move(bundle->documents);
    bundle_json = {{"created", FormatTime(bundle->created)}, {"note", bundle->note}};
    if (!context.json)
      context.out << "bundle of " << FormatTime(bundle->created) << (bundle->note.empty() ? "" : ": " + bundle->note)
                  << "\n";
  }
  std::vector<Missing> missing;
  if (!options.evidence.empty()) {
    auto evidence = OpenCase(options.evidence);
    if (!evidence.ok()) return Report(context, evidence.error(), kUsage);
    auto needs = NeedsOf(*evidence);
    if (!needs.ok()) return Report(context, needs.error(), kUsage);
    evidence->documents.insert(evidence->documents.end(), documents.begin(), documents.end());
    evidence->sources.push_back(options.source);
    missing = MissingFor(*evidence, *needs);
  }
  bool good = missing.empty() && strays.empty();
  Json list = Json::array();
  Table table({"KIND", "NAME", "STATE", "UNTIL", "WHAT", "FOR"});
  for (const collateral::Document& document : documents) {
    const collateral::Description one = collateral::Describe(document);
    const collateral::Freshness state = collateral::FreshnessAt(one, at);
    good = good && state == collateral::Freshness::kFresh;
    const std::string until = one.until ? FormatTime(*one.until) : "";
    list.push_back({{"kind", collateral::RowOf(one.kind).word},
                    {"name", one.name},
                    {"sha256", one.sha256},
                    {"state", collateral::WordOf(state)},
                    {"what", one.what},
                    {"for", one.for_whom},
                    {"signer", one.signer},
                    {"from", one.from ? FormatTime(*one.from) : ""},
                    {"until", until},
                    {"problem", one.problem}});
    table.Add({std::string(collateral::RowOf(one.kind).word), one.name, std::string(collateral::WordOf(state)),
               until.empty() ? "no end" : until, one.problem.empty() ? one.what : one.problem, one.for_whom});
  }
  if (context.json) {
    Json gaps = Json::array();
    for (const Missing& one : missing) gaps.push_back({{"what", one.what}, {"text", one.text}});
    context.out << Json{{"at", FormatTime(at)}, {"documents", list}, {"strays", strays},
                        {"missing", gaps},      {"good", good},      {"bundle", bundle_json}}
                       .dump(2, ' ', false, Json::error_handler_t::replace)
                << "\n";
  } else {
    table.Print(context.out);
    for (const std::string& stray : strays) context.out << "not collateral: " << stray << "\n";
    for (const Missing& one : missing) context.out << "missing: " << one.text << "\n";
    if (!options.evidence.empty() && missing.empty()) context.out << "nothing is missing for this evidence\n";
  }
  return good ? kOk : kFailed;
}

}  // namespace ccgpu::cli
