// The broker's view of collateral/fetch: one exchange, and one header of its answer.
#include <algorithm>

#include "collateral/fetch/fetcher.h"
#include "key-broker/appraisal/collateral.h"

namespace ccgpu::broker {
namespace {

class HttpFetcher final : public Fetcher {
 public:
  Result<std::string> Fetch(const std::string& url, const std::string& body, const std::string& content_type) override {
    ASSIGN_OR_RETURN(collateral::FetchAnswer answer, http_->Fetch({url, body, content_type}));
    return std::move(answer.body);
  }
  Result<Answer> Get(const std::string& url, const std::string& header) override {
    ASSIGN_OR_RETURN(collateral::FetchAnswer answer, http_->Fetch({url, "", ""}));
    std::string name = header;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    return Answer{std::move(answer.body), name.empty() ? "" : answer.headers[name]};
  }

 private:
  const std::unique_ptr<collateral::Fetcher> http_ = collateral::MakeHttpFetcher();
};

}  // namespace

std::unique_ptr<Fetcher> MakeHttpFetcher() { return std::make_unique<HttpFetcher>(); }

}  // namespace ccgpu::broker
