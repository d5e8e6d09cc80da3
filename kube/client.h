// The Kubernetes API over HTTPS and JSON: what our programs in a cluster need of it, and no more.
//
// A path is what stands behind the server's address ("/api/v1/nodes/n1", "/apis/apps/v1/namespaces/x/daemonsets/y");
// paths.h makes them. Objects are Json as they come; nothing of them is interpreted here but `metadata` of lists and
// Status objects of errors.
//
// Errors (docs/reason-codes/kube.md) carry the Status message of the server:
//   kube.unauthorized 401 · kube.forbidden 403 · kube.not-found 404 · kube.exists 409 AlreadyExists · kube.conflict
//   other 409 · kube.gone 410 · kube.too-large 413 · kube.invalid other 4xx · kube.throttled 429 · kube.unavailable
//   5xx and no connection · kube.tls-refused the server's certificate is not of our CA · kube.bad-answer no JSON
//   kube.no-credentials token or CA cannot be read · kube.stopped Stop() was called
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace ccgpu::kube {

// Where the API is and how we show who we are. The token's file is read for every request, since kubelet rotates it,
// and once more after a 401.
struct Access {
  std::string server;      // "https://10.96.0.1:443"; nothing but https
  std::string token_file;  // bearer token
  std::string ca_file;     // PEM; the only anchors that count, the system's do not

  // For the fields still empty: KUBERNETES_SERVICE_HOST/_PORT and the service account folder of a pod.
  // "kube.no-credentials" where that is missing.
  Status FillInCluster();
};
inline constexpr char kServiceAccountFolder[] = "/var/run/secrets/kubernetes.io/serviceaccount";
// The namespace of the pod we run in; "kube.no-credentials" outside of pods.
Result<std::string> PodNamespace(const std::string& folder = kServiceAccountFolder);

// Time, so that tests need none. Any thread.
class Timer {
 public:
  virtual ~Timer() = default;
  virtual std::chrono::steady_clock::time_point Now() const = 0;
  // False when Interrupt() was called before or meanwhile.
  virtual bool Wait(std::chrono::milliseconds time) = 0;
  virtual void Interrupt() = 0;  // for good
};
std::unique_ptr<Timer> MakeSystemTimer();

struct Options {
  std::string user_agent = "ccgpu";
  std::chrono::milliseconds request_timeout{10000};  // of one try
  // How long a call tries again after 429, 5xx and lost connections: after Retry-After, else 0.2 s doubling to 10 s.
  // A Create that was tried again may answer kube.exists for its own first try.
  std::chrono::milliseconds retry_for{30000};
  std::chrono::seconds watch_timeout{300};  // the server ends each watch after about this time; we go on with the next
  size_t page = 500;                        // items a list request asks for
  Timer* timer = nullptr;                   // must outlive the client; nullptr: the system's
};

enum class PatchType { kJson, kMerge, kStrategic };

struct CallOptions {
  std::string query;  // without '?', already escaped
  // Overrides Options.retry_for; 0: one try (an eviction that a disruption budget refuses is its caller's business).
  std::chrono::milliseconds retry_for{-1};
};

struct WatchHandler {
  // Everything there is: at the start, and again after each gap that the server cannot fill (410 Gone). What is not in
  // it is gone.
  std::function<void(const std::vector<Json>& items)> on_list;
  // `type` is ADDED, MODIFIED or DELETED.
  std::function<void(const std::string& type, const Json& object)> on_event;
  // A failure before the next try; may be empty. (Watches that simply end are none.)
  std::function<void(const Error& error)> on_trouble;
};

// Any thread; ordinary calls share one connection and go one after another, each watch has its own.
class Client {
 public:
  // "kube.no-credentials" when a file is missing, "kube.invalid" when the address is no https one. Connects later.
  static Result<std::unique_ptr<Client>> Make(Access access, Options options = {});
  ~Client();  // calls Stop(); nobody may be inside any more

  Result<Json> Get(const std::string& path, const CallOptions& call = {});
  // All items, in pages; a list that expires between two pages is begun again. Each item gets the `kind` and
  // `apiVersion` that a list leaves out.
  Result<std::vector<Json>> List(const std::string& path, const CallOptions& call = {});
  Result<Json> Create(const std::string& path, const Json& object, const CallOptions& call = {});
  // With metadata.resourceVersion in `object`: kube.conflict when it has changed meanwhile.
  Result<Json> Replace(const std::string& path, const Json& object, const CallOptions& call = {});
  Result<Json> Patch(const std::string& path, PatchType type, const Json& patch, const CallOptions& call = {});
  Result<Json> Delete(const std::string& path, const Json& delete_options = Json::object(),
                      const CallOptions& call = {});

  // Lists, then follows changes; reconnects for ever, lists again after 410, ignores bookmarks but for their version.
  // Returns after Stop(). The handlers run in this thread.
  void Watch(const std::string& path, const CallOptions& call, const WatchHandler& handler);

  // Every call and watch, now and later, ends with kube.stopped: at once, or where a server just accepted a connection
  // and says nothing, after Options.request_timeout.
  void Stop();

  // Requests that failed, by code name, since the start; for metrics.
  std::vector<std::pair<std::string, uint64_t>> FailureCounts() const;

  struct Impl;  // of the .cc files

 private:
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace ccgpu::kube
