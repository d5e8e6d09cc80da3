// One HTTP exchange, and the rules for trying again. Everything that fetches collateral goes through this interface, so
// that tests, mirrors and offline runs replace one thing.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"

namespace ccgpu::collateral {

struct FetchRequest {
  std::string url;
  std::string body, content_type;  // a body goes as POST, else GET
};

struct FetchAnswer {
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case
};

class Fetcher {
 public:
  virtual ~Fetcher() = default;
  // Any thread. Errors: collateral.bad-url, collateral.unreachable (no answer, or a status that may pass),
  // collateral.refused (a status that will not pass by trying again, 404 and the like), collateral.too-large.
  virtual Result<FetchAnswer> Fetch(const FetchRequest& request) = 0;
};

struct HttpOptions {
  std::chrono::seconds connect_timeout{3}, read_timeout{10};
  size_t max_answer = 4u << 20;
};
// http:// and https:// (with the system's certificate authorities); no redirects are followed.
std::unique_ptr<Fetcher> MakeHttpFetcher(const HttpOptions& options = {});

struct RetryOptions {
  int attempts = 3;
  std::chrono::milliseconds first_pause{200};           // doubled each time
  std::function<void(std::chrono::milliseconds)> wait;  // empty: really waits
};
// Tries again what may pass by itself (collateral.unreachable), at most `attempts` times in all. `inner` must outlive
// it.
std::unique_ptr<Fetcher> MakeRetrying(Fetcher& inner, RetryOptions options = {});

}  // namespace ccgpu::collateral
