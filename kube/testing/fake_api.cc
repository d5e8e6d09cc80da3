#include "kube/testing/fake_api.h"

#include <httplib.h>

#include <algorithm>

#include "base/crypto/x509.h"
#include "base/file.h"

namespace ccgpu::kube::testing {
namespace {

struct Authority {
  crypto::PrivateKey key;
  crypto::Certificate certificate;
};

Authority MakeAuthority(const std::string& name) {
  Authority out{crypto::PrivateKey::Generate(crypto::KeyType::kP256), {}};
  crypto::CertificateSpec spec;
  spec.subject = {{"CN", name}};
  spec.key = out.key.public_key();
  spec.not_before = SystemClock().Now() - std::chrono::hours(1);
  spec.not_after = spec.not_before + std::chrono::hours(48);
  spec.ca = spec.key_cert_sign = true;
  out.certificate = crypto::MakeCertificate(spec, out.key, nullptr).value();
  return out;
}

void Send(httplib::Response& response, const Answer& answer) {
  response.status = answer.status;
  response.set_content(answer.body.dump(), "application/json");
}

// Headers and then nothing: the client sees its connection die.
void CutConnection(httplib::Response& response) {
  response.set_content_provider(1000, "application/json", [](size_t, size_t, httplib::DataSink&) { return false; });
}

}  // namespace

FakeApi::FakeApi() {
  const Authority ca = MakeAuthority("kube-ca");
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP256);
  crypto::CertificateSpec spec;
  spec.subject = {{"CN", "kube-apiserver"}};
  spec.key = key.public_key();
  spec.not_before = ca.certificate.NotBefore();
  spec.not_after = ca.certificate.NotAfter();
  spec.digital_signature = true;
  spec.ip_addresses = {"127.0.0.1"};
  spec.extended_key_usage = "serverAuth";
  const auto certificate = crypto::MakeCertificate(spec, ca.key, &ca.certificate).value();
  (void)WriteFileAtomic(folder_ / "ca.crt", ca.certificate.Pem());
  SetToken("token-1");

  server_ = std::make_unique<httplib::SSLServer>(certificate.raw(), key.raw());
  server_->new_task_queue = [] { return new httplib::ThreadPool(24); };
  server_->set_keep_alive_max_count(1000000);
  server_->set_tcp_nodelay(true);
  auto handle = [this](const httplib::Request& request, httplib::Response& response) { Handle(request, response); };
  server_->Get("/.*", handle).Post("/.*", handle).Put("/.*", handle).Patch("/.*", handle).Delete("/.*", handle);
  port_ = server_->bind_to_any_port("127.0.0.1");
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  while (!server_->is_running()) std::this_thread::yield();
}

FakeApi::~FakeApi() {
  stopping_ = true;
  objects_.Wake();
  server_->stop();
  thread_.join();
}

Access FakeApi::access() const {
  return {"https://127.0.0.1:" + std::to_string(port_), folder_ / "token", folder_ / "ca.crt"};
}

void FakeApi::SetToken(const std::string& token, bool write_file) {
  std::lock_guard lock(mutex_);
  token_ = token;
  if (write_file) (void)WriteFileAtomic(folder_ / "token", token + "\n");
}

void FakeApi::FailNext(int count, int status, const std::string& method_and_path, const std::string& retry_after) {
  std::lock_guard lock(mutex_);
  misfortunes_.push_back({count, status, method_and_path, retry_after});
}

void FakeApi::ForgetMisfortunes() {
  std::lock_guard lock(mutex_);
  misfortunes_.clear();
}

void FakeApi::DropWatches() {
  drops_++;
  objects_.Wake();
}

void FakeApi::SetAway(bool away) {
  away_ = away;
  if (away) DropWatches();
}

void FakeApi::Forbid(const std::string& method_and_path) {
  std::lock_guard lock(mutex_);
  forbidden_.push_back(method_and_path);
}

void FakeApi::Protect(const std::string& pod, bool protect) {
  std::lock_guard lock(mutex_);
  if (protect) {
    protected_.insert(pod);
  } else {
    protected_.erase(pod);
  }
}

void FakeApi::OnRequest(std::function<void(const std::string&)> call) {
  std::lock_guard lock(mutex_);
  on_request_ = std::move(call);
}

std::vector<std::string> FakeApi::Requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

size_t FakeApi::CountRequests(const std::string& method_and_path) const {
  std::lock_guard lock(mutex_);
  return static_cast<size_t>(std::count_if(requests_.begin(), requests_.end(), [&](const std::string& request) {
    return request.starts_with(method_and_path);
  }));
}

std::string FakeApi::OtherCa() { return MakeAuthority("other-ca").certificate.Pem(); }

void FakeApi::Handle(const httplib::Request& request, httplib::Response& response) {
  std::map<std::string, std::string> query(request.params.begin(), request.params.end());
  const std::string what = request.method + " " + request.path;
  if (away_ || stopping_) return CutConnection(response);
  std::function<void(const std::string&)> on_request;
  {
    std::lock_guard lock(mutex_);
    requests_.push_back(what);
    on_request = on_request_;
  }
  if (on_request) on_request(what);
  {
    std::lock_guard lock(mutex_);
    for (auto& misfortune : misfortunes_) {
      if (misfortune.count <= 0 || !what.starts_with(misfortune.prefix)) continue;
      misfortune.count--;
      if (misfortune.status == 0) return CutConnection(response);
      if (!misfortune.retry_after.empty()) response.set_header("Retry-After", misfortune.retry_after);
      return Send(response, Failed(misfortune.status, "Misfortune", "the server is unlucky"));
    }
    if (request.get_header_value("Authorization") != "Bearer " + token_)
      return Send(response, Failed(401, "Unauthorized", "Unauthorized"));
    for (const auto& prefix : forbidden_) {
      if (what.starts_with(prefix)) return Send(response, Failed(403, "Forbidden", what + " is forbidden"));
    }
  }
  if (request.path == "/readyz") return response.set_content("ok", "text/plain");
  if (query.count("watch") != 0) return HandleWatch(request.path, query, response);
  Send(response, Route(request.method, request.path, query, request.get_header_value("Content-Type"), request.body));
  objects_.Wake();
}

Answer FakeApi::Route(const std::string& method, const std::string& path,
                      const std::map<std::string, std::string>& query, const std::string& content_type,
                      const std::string& body) {
  if (method == "GET") {
    Answer object = objects_.Get(path);
    // A name in the last place, or a collection: kinds of collections are plural and known by their place.
    const auto slashes = std::count(path.begin(), path.end(), '/');
    const bool namespaced = path.find("/namespaces/") != std::string::npos;
    const auto of_collection = (path.starts_with("/apis/") ? 4 : 3) + (namespaced ? 2 : 0);
    return object.status == 200 || slashes > of_collection ? object : objects_.List(path, query);
  }
  if (method == "DELETE") return objects_.Delete(path);
  const auto json = ParseJson(body, "body");
  if (!json.ok()) return Failed(400, "BadRequest", json.error().text);
  if (method == "POST" && path.ends_with("/eviction")) return Evict(path.substr(0, path.size() - 9), *json);
  if (method == "POST") return objects_.Create(path, *json);
  if (method == "PUT") return objects_.Replace(path, *json);
  return objects_.Patch(path, content_type, *json);
}

Answer FakeApi::Evict(const std::string& path, const Json& eviction) {
  const std::string pod =
      eviction.value("/metadata/namespace"_json_pointer, "") + "/" + eviction.value("/metadata/name"_json_pointer, "");
  {
    std::lock_guard lock(mutex_);
    if (protected_.count(pod) != 0)
      return Failed(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.");
  }
  const Answer gone = objects_.Delete(path);
  if (gone.status != 200) return gone;
  return {201, {{"kind", "Status"}, {"status", "Success"}}};
}

void FakeApi::HandleWatch(const std::string& path, const std::map<std::string, std::string>& query,
                          httplib::Response& response) {
  auto version = std::make_shared<uint64_t>(0);
  if (auto it = query.find("resourceVersion"); it != query.end()) *version = std::stoull(it->second);
  const auto seconds = query.count("timeoutSeconds") != 0 ? std::stol(query.at("timeoutSeconds")) : 300;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  const uint64_t drops = drops_;
  response.set_chunked_content_provider(
      "application/json", [this, path, query, version, drops, end](size_t, httplib::DataSink& sink) {
        auto over = [&] { return stopping_ || drops_ != drops || std::chrono::steady_clock::now() > end; };
        auto changes = objects_.Next(path, query, *version, over);
        if (drops_ != drops) return false;
        if (!changes) {
          const Json event = {{"type", "ERROR"}, {"object", Failed(410, "Expired", "too old resource version").body}};
          const std::string line = event.dump() + "\n";
          sink.write(line.data(), line.size());
          sink.done();
          return true;
        }
        for (const auto& change : *changes) {
          const std::string line = Json({{"type", change.type}, {"object", change.object}}).dump() + "\n";
          if (!sink.write(line.data(), line.size())) return false;
          *version = change.version;
        }
        if (changes->empty()) {
          const Json bookmark = {{"type", "BOOKMARK"},
                                 {"object", {{"metadata", {{"resourceVersion", std::to_string(*version)}}}}}};
          const std::string line = bookmark.dump() + "\n";
          sink.write(line.data(), line.size());
          sink.done();
        }
        return true;
      });
}

}  // namespace ccgpu::kube::testing
