#include <httplib.h>

#include "key-broker/appraisal/collateral.h"

namespace ccgpu::broker {
namespace {

constexpr size_t kMaxAnswer = 4u << 20;

class HttpFetcher final : public Fetcher {
 public:
  Result<std::string> Fetch(const std::string& url, const std::string& body, const std::string& content_type) override {
    ASSIGN_OR_RETURN(Answer answer, Exchange(url, body, content_type, ""));
    return std::move(answer.body);
  }
  Result<Answer> Get(const std::string& url, const std::string& header) override {
    return Exchange(url, "", "", header);
  }

 private:
  Result<Answer> Exchange(const std::string& url, const std::string& body, const std::string& content_type,
                          const std::string& header) {
    const size_t scheme = url.find("://");
    const size_t slash = scheme == std::string::npos ? scheme : url.find('/', scheme + 3);
    if (scheme == std::string::npos) return Err("collateral.bad-url", url, "must begin with http:// or https://");
    httplib::Client client(url.substr(0, slash));
    if (!client.is_valid())
      return Err("collateral.bad-url", url, "must begin with http:// or https:// and name a host");
    client.set_connection_timeout(3);
    client.set_read_timeout(10);
    client.set_tcp_nodelay(true);
    const std::string path = slash == std::string::npos ? "/" : url.substr(slash);
    const httplib::Result result = body.empty() ? client.Get(path) : client.Post(path, body, content_type);
    if (!result) return Err("collateral.unreachable", url, "does not answer: " + httplib::to_string(result.error()));
    if (result->status != 200)
      return Err("collateral.unreachable", url, "answers with status " + std::to_string(result->status));
    if (result->body.size() > kMaxAnswer) return Err("collateral.unreachable", url, "answers with more than 4 MiB");
    return Answer{result->body, header.empty() ? "" : result->get_header_value(header)};
  }
};

}  // namespace

std::unique_ptr<Fetcher> MakeHttpFetcher() { return std::make_unique<HttpFetcher>(); }

}  // namespace ccgpu::broker
