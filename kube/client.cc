#include "kube/client.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/file.h"
#include "kube/client_impl.h"
#include "kube/paths.h"

namespace ccgpu::kube {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kShortestPause{200}, kLongestPause{10000};
constexpr size_t kMostToken = 64 << 10;
constexpr int kMostListRestarts = 5;

std::string WithQuery(const std::string& path, const std::string& query) {
  return query.empty() ? path : path + "?" + query;
}

Result<Json> ParseAnswer(const std::string& text, const std::string& path) {
  auto json = ParseJson(text, path);
  if (!json.ok() || !json->is_object())
    return Err("kube.bad-answer", path,
               "expected a JSON object" + (json.ok() ? std::string() : ": " + json.error().text) +
                   "; is this the address of a Kubernetes API?");
  // Who uses objects may rely on their metadata.
  const bool is_status = json->contains("kind") && (*json)["kind"] == "Status";
  if (!is_status && !(json->contains("metadata") && (*json)["metadata"].is_object()))
    return Err("kube.bad-answer", path, "expected an object with metadata");
  return json;
}

// Peers that vanish without a word (a node that lost power) are noticed by the kernel in about half a minute.
void SetKeepAlive(int socket) {
  auto set = [socket](int level, int name, int value) {
    (void)::setsockopt(socket, level, name, &value, sizeof value);
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
}

}  // namespace

Client::Impl::Impl(Access access_in, Options options_in)
    : access(std::move(access_in)), options(std::move(options_in)) {
  if (options.timer == nullptr) own_timer = MakeSystemTimer();
  timer = options.timer == nullptr ? own_timer.get() : options.timer;
}

Client::Impl::Active::Active(Impl& impl, httplib::Client& connection) : impl_(impl), connection_(connection) {
  std::lock_guard lock(impl_.active_mutex_);
  impl_.active_.insert(&connection_);
}

Client::Impl::Active::~Active() {
  std::lock_guard lock(impl_.active_mutex_);
  impl_.active_.erase(&connection_);
}

std::unique_ptr<httplib::Client> Client::Impl::NewConnection(std::chrono::seconds read_timeout) const {
  auto connection = std::make_unique<httplib::Client>(access.server);
  const auto limit = options.request_timeout;
  connection->set_connection_timeout(std::chrono::duration_cast<std::chrono::microseconds>(limit));
  connection->set_write_timeout(std::chrono::duration_cast<std::chrono::microseconds>(limit));
  connection->set_read_timeout(read_timeout.count());
  connection->set_keep_alive(true);
  connection->set_tcp_nodelay(true);
  connection->set_url_encode(false);
  connection->set_follow_location(false);
  connection->set_ca_cert_path(access.ca_file.c_str());
  connection->enable_server_certificate_verification(true);
  connection->set_socket_options([](socket_t socket) { SetKeepAlive(socket); });
  return connection;
}

Result<httplib::Headers> Client::Impl::Headers() const {
  auto token = ReadFile(access.token_file, kMostToken);
  if (!token.ok()) return Err("kube.no-credentials", access.token_file, "cannot be read: " + token.error().text);
  while (!token->empty() && (token->back() == '\n' || token->back() == '\r' || token->back() == ' ')) token->pop_back();
  if (token->empty() || token->find_first_of("\r\n") != std::string::npos)
    return Err("kube.no-credentials", access.token_file, "holds no token");
  return httplib::Headers{
      {"Authorization", "Bearer " + *token}, {"Accept", "application/json"}, {"User-Agent", options.user_agent}};
}

Failure Client::Impl::NoAnswer(httplib::Error error, const std::string& path) const {
  if (stopped) return {Stopped(path), false, {}};
  if (error == httplib::Error::SSLLoadingCerts)
    return {Err("kube.no-credentials", access.ca_file, "holds no certificates"), false, {}};
  if (error == httplib::Error::SSLServerVerification)
    return {Err("kube.tls-refused", access.server,
                "shows a certificate that is not of " + access.ca_file + " or not for this address"),
            false,
            {}};
  return {Err("kube.unavailable", access.server, "does not answer: " + httplib::to_string(error)), true, {}};
}

httplib::Result Client::Impl::Send(const httplib::Request& request) {
  if (!connection_) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options.request_timeout);
    connection_ = NewConnection(std::max(seconds, std::chrono::seconds(1)));
  }
  httplib::Result result = [&] {
    Active active(*this, *connection_);
    return connection_->send(request);
  }();
  if (!result) connection_.reset();  // the next one reads the CA again too
  return result;
}

// A server that starts refuses everybody with 403 until it has read its roles; only one that is ready means it.
bool Client::Impl::IsReady(const httplib::Headers& headers) {
  httplib::Request request;
  request.method = "GET";
  request.path = "/readyz";
  request.headers = headers;
  const auto result = Send(request);
  return result && result->status == 200;
}

std::optional<Failure> Client::Impl::Try(const std::string& method, const std::string& target, const std::string& path,
                                         const std::string& body, const std::string& content_type,
                                         std::string& answer) {
  std::lock_guard lock(send_mutex_);
  if (stopped) return Failure{Stopped(path), false, {}};
  for (bool second = false;; second = true) {
    auto headers = Headers();
    if (!headers.ok()) return Failure{headers.error(), false, {}};
    httplib::Request request;
    request.method = method;
    request.path = target;
    request.headers = *headers;
    if (!content_type.empty()) {
      request.headers.emplace("Content-Type", content_type);
      request.body = body;
    }
    httplib::Result result = Send(request);
    if (!result) return NoAnswer(result.error(), path);
    if (result->status >= 200 && result->status < 300) {
      answer = std::move(result->body);
      return std::nullopt;
    }
    if (result->status == 401 && !second) {
      auto now = Headers();  // the token may have been rotated while the request was on its way
      if (now.ok() && now->find("Authorization")->second != request.get_header_value("Authorization")) continue;
    }
    auto failure = FailureOf(result->status, result->body, result->get_header_value("Retry-After"), path);
    if (result->status == 403) {
      if (!IsReady(*headers))
        return Failure{
            Err("kube.unavailable", path, "the API server refuses, and is not ready yet (/readyz)"), true, {}};
      if (!second) continue;
    }
    return failure;
  }
}

Result<std::string> Client::Impl::Call(const std::string& method, const std::string& path, const std::string& body,
                                       const std::string& content_type, const CallOptions& call) {
  const auto retry_for = call.retry_for.count() < 0 ? options.retry_for : call.retry_for;
  const auto end = timer->Now() + retry_for;
  milliseconds pause = kShortestPause;
  while (true) {
    std::string answer;
    auto failure = Try(method, WithQuery(path, call.query), path, body, content_type, answer);
    if (!failure) return answer;
    Count(failure->error);
    const milliseconds wait = std::max(pause, failure->retry_after);
    if (!failure->again || timer->Now() + wait > end) return failure->error;
    if (!timer->Wait(wait)) return Stopped(path);
    pause = std::min(pause * 2, kLongestPause);
  }
}

Result<Json> Client::Impl::CallForObject(const std::string& method, const std::string& path, const Json* body,
                                         const std::string& content_type, const CallOptions& call) {
  const std::string text = body == nullptr ? "" : body->dump(-1, ' ', false, Json::error_handler_t::replace);
  ASSIGN_OR_RETURN(const std::string answer, Call(method, path, text, body == nullptr ? "" : content_type, call));
  return ParseAnswer(answer, path);
}

Result<std::vector<Json>> Client::Impl::ListAll(const std::string& path, const CallOptions& call,
                                                std::string& version) {
  std::vector<Json> items;
  std::string next;
  for (int restarts = 0;;) {
    CallOptions page = call;
    page.query += (page.query.empty() ? "limit=" : "&limit=") + std::to_string(options.page);
    if (!next.empty()) page.query += "&continue=" + Escape(next);
    auto list = CallForObject("GET", path, nullptr, "", page);
    if (!list.ok() && list.error().code == "kube.gone" && !next.empty() && restarts++ < kMostListRestarts) {
      items.clear();
      next.clear();
      continue;
    }
    if (!list.ok()) return list.error();
    if (!list->contains("metadata") || !list->contains("items") ||
        !((*list)["items"].is_array() || (*list)["items"].is_null()))
      return Err("kube.bad-answer", path, "expected a list with items");
    std::string kind = MemberText(*list, "kind");
    if (kind.ends_with("List")) kind.resize(kind.size() - 4);
    for (Json& item : (*list)["items"]) {
      if (!item.is_object() || !item.contains("metadata") || !item["metadata"].is_object())
        return Err("kube.bad-answer", path, "an item of the list is no object");
      item.emplace("kind", kind);
      item.emplace("apiVersion", MemberText(*list, "apiVersion"));
      items.push_back(std::move(item));
    }
    version = MemberText((*list)["metadata"], "resourceVersion");
    next = MemberText((*list)["metadata"], "continue");
    if (next.empty()) return items;
  }
}

void Client::Impl::Count(const Error& error) {
  std::lock_guard lock(counts_mutex_);
  failures_[error.code]++;
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() { Stop(); }

Result<std::unique_ptr<Client>> Client::Make(Access access, Options options) {
  if (!access.server.starts_with("https://") || access.server.size() < 9 ||
      access.server.find('/', 8) != std::string::npos)
    return Err("kube.invalid", access.server, "is not https://HOST:PORT");
  for (const auto& file : {access.token_file, access.ca_file}) {
    if (auto text = ReadFile(file, 4 << 20); !text.ok())
      return Err("kube.no-credentials", file, "cannot be read: " + text.error().text);
  }
  return std::unique_ptr<Client>(new Client(std::make_unique<Impl>(std::move(access), std::move(options))));
}

Result<Json> Client::Get(const std::string& path, const CallOptions& call) {
  return impl_->CallForObject("GET", path, nullptr, "", call);
}

Result<std::vector<Json>> Client::List(const std::string& path, const CallOptions& call) {
  std::string version;
  return impl_->ListAll(path, call, version);
}

Result<Json> Client::Create(const std::string& path, const Json& object, const CallOptions& call) {
  return impl_->CallForObject("POST", path, &object, "application/json", call);
}

Result<Json> Client::Replace(const std::string& path, const Json& object, const CallOptions& call) {
  return impl_->CallForObject("PUT", path, &object, "application/json", call);
}

Result<Json> Client::Patch(const std::string& path, PatchType type, const Json& patch, const CallOptions& call) {
  const char* content_type = "";
  switch (type) {
    case PatchType::kJson: content_type = "application/json-patch+json"; break;
    case PatchType::kMerge: content_type = "application/merge-patch+json"; break;
    case PatchType::kStrategic: content_type = "application/strategic-merge-patch+json"; break;
  }
  return impl_->CallForObject("PATCH", path, &patch, content_type, call);
}

Result<Json> Client::Delete(const std::string& path, const Json& delete_options, const CallOptions& call) {
  return impl_->CallForObject("DELETE", path, &delete_options, "application/json", call);
}

void Client::Stop() {
  impl_->stopped = true;
  impl_->timer->Interrupt();
  std::lock_guard lock(impl_->active_mutex_);
  for (auto* connection : impl_->active_) connection->stop();
}

std::vector<std::pair<std::string, uint64_t>> Client::FailureCounts() const {
  std::lock_guard lock(impl_->counts_mutex_);
  return {impl_->failures_.begin(), impl_->failures_.end()};
}

}  // namespace ccgpu::kube
