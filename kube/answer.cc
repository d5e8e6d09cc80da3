#include "kube/answer.h"

#include <algorithm>

namespace ccgpu::kube {
namespace {

constexpr size_t kMostText = 1000;  // of a server's words in an error

int64_t Number(const Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

Error Named(int http_status, const std::string& reason, const std::string& path, std::string text) {
  switch (http_status) {
    case 401: return Err("kube.unauthorized", path, text + "; the token is not accepted");
    case 403: return Err("kube.forbidden", path, text + "; the service account's role lacks this");
    case 404: return Err("kube.not-found", path, text);
    case 409:
      if (reason == "AlreadyExists") return Err("kube.exists", path, text);
      return Err("kube.conflict", path, text);
    case 410: return Err("kube.gone", path, text);
    case 413: return Err("kube.too-large", path, text);
    case 429: return Err("kube.throttled", path, text);
    default: break;
  }
  if (http_status >= 500) return Err("kube.unavailable", path, text);
  return Err("kube.invalid", path, text);
}

Failure Make(int http_status, const Json& status, std::string text, const std::string& path) {
  const std::string message = MemberText(status, "message");
  if (!message.empty()) text = message;
  if (text.size() > kMostText) text = text.substr(0, kMostText) + " ...";
  if (text.empty()) text = "the API server answers " + std::to_string(http_status);
  Failure failure{Named(http_status, MemberText(status, "reason"), path, text), false, {}};
  failure.again = http_status == 429 || http_status >= 500;
  if (status.is_object() && status.contains("details"))
    failure.retry_after =
        std::chrono::seconds(std::clamp<int64_t>(Number(status["details"], "retryAfterSeconds"), 0, 600));
  return failure;
}

}  // namespace

std::string MemberText(const Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

Failure FailureOf(int http_status, const std::string& body, const std::string& retry_after, const std::string& path) {
  const auto parsed = ParseJson(body, path);
  Json status = parsed.ok() && MemberText(*parsed, "kind") == "Status" ? *parsed : Json();
  Failure failure = Make(http_status, status, parsed.ok() && status.is_null() ? "" : body, path);
  if (!retry_after.empty() && retry_after.size() < 4 &&
      std::all_of(retry_after.begin(), retry_after.end(), [](char c) { return c >= '0' && c <= '9'; }))
    failure.retry_after = std::chrono::seconds(std::stoi(retry_after));
  return failure;
}

Failure FailureOf(const Json& status_object, const std::string& path) {
  const auto code = std::clamp<int64_t>(Number(status_object, "code"), 0, 999);
  return Make(code < 400 ? 500 : static_cast<int>(code), status_object, "", path);
}

}  // namespace ccgpu::kube
