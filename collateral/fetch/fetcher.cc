#include "collateral/fetch/fetcher.h"

#include <httplib.h>

#include <algorithm>
#include <thread>

namespace ccgpu::collateral {
namespace {

class HttpFetcher final : public Fetcher {
 public:
  explicit HttpFetcher(const HttpOptions& options) : options_(options) {}

  Result<FetchAnswer> Fetch(const FetchRequest& request) override {
    const std::string& url = request.url;
    const size_t scheme = url.find("://");
    const size_t slash = scheme == std::string::npos ? scheme : url.find('/', scheme + 3);
    if (!url.starts_with("http://") && !url.starts_with("https://"))
      return Err("collateral.bad-url", url, "must begin with http:// or https://");
    httplib::Client client(url.substr(0, slash));
    if (!client.is_valid()) return Err("collateral.bad-url", url, "must name a host after http:// or https://");
    client.set_connection_timeout(options_.connect_timeout);
    client.set_read_timeout(options_.read_timeout);
    client.set_write_timeout(options_.read_timeout);
    client.set_tcp_nodelay(true);
    const std::string path = slash == std::string::npos ? "/" : url.substr(slash);

    FetchAnswer out;
    bool too_large = false;
    httplib::Request http;
    http.method = request.body.empty() ? "GET" : "POST";
    http.path = path;
    http.body = request.body;
    if (!request.content_type.empty()) http.set_header("Content-Type", request.content_type);
    // The limit holds while the answer comes in, not after it filled the memory.
    http.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
      if (out.body.size() + size > options_.max_answer) {
        too_large = true;
        return false;
      }
      out.body.append(data, size);
      return true;
    };
    const httplib::Result result = client.send(http);
    if (too_large)
      return Err("collateral.too-large", url,
                 "answers with more than " + std::to_string(options_.max_answer) + " bytes");
    if (!result) return Err("collateral.unreachable", url, "does not answer: " + httplib::to_string(result.error()));
    const int status = result->status;
    if (status == 429 || status >= 500)
      return Err("collateral.unreachable", url, "answers with status " + std::to_string(status));
    if (status != 200) return Err("collateral.refused", url, "answers with status " + std::to_string(status));
    for (const auto& [name, value] : result->headers) {
      std::string lower = name;
      std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
      out.headers.emplace(std::move(lower), value);
    }
    return out;
  }

 private:
  HttpOptions options_;
};

class Retrying final : public Fetcher {
 public:
  Retrying(Fetcher& inner, RetryOptions options) : inner_(inner), options_(std::move(options)) {
    if (!options_.wait) options_.wait = [](std::chrono::milliseconds pause) { std::this_thread::sleep_for(pause); };
  }

  Result<FetchAnswer> Fetch(const FetchRequest& request) override {
    std::chrono::milliseconds pause = options_.first_pause;
    for (int attempt = 1;; ++attempt) {
      auto answer = inner_.Fetch(request);
      if (answer.ok() || answer.error().code != "collateral.unreachable") return answer;
      if (attempt >= options_.attempts) {
        Error error = answer.error();
        if (attempt > 1) error.text += " (tried " + std::to_string(attempt) + " times)";
        return error;
      }
      options_.wait(pause);
      pause *= 2;
    }
  }

 private:
  Fetcher& inner_;
  RetryOptions options_;
};

}  // namespace

std::unique_ptr<Fetcher> MakeHttpFetcher(const HttpOptions& options) { return std::make_unique<HttpFetcher>(options); }

std::unique_ptr<Fetcher> MakeRetrying(Fetcher& inner, RetryOptions options) {
  return std::make_unique<Retrying>(inner, std::move(options));
}

}  // namespace ccgpu::collateral
