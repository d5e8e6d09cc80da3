// Inside of Client: its connection, its tries, its end.
#pragma once

#include <httplib.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>

#include "kube/answer.h"
#include "kube/client.h"

namespace ccgpu::kube {

struct Client::Impl {
  Impl(Access access_in, Options options_in);

  // A request with its tries. `content_type` is of `body`.
  Result<std::string> Call(const std::string& method, const std::string& path, const std::string& body,
                           const std::string& content_type, const CallOptions& call);
  Result<Json> CallForObject(const std::string& method, const std::string& path, const Json* body,
                             const std::string& content_type, const CallOptions& call);
  // All pages; `version` gets the list's resourceVersion.
  Result<std::vector<Json>> ListAll(const std::string& path, const CallOptions& call, std::string& version);

  std::unique_ptr<httplib::Client> NewConnection(std::chrono::seconds read_timeout) const;
  Result<httplib::Headers> Headers() const;
  // What went wrong when there is no answer at all.
  Failure NoAnswer(httplib::Error error, const std::string& path) const;
  Error Stopped(const std::string& path) const { return Err("kube.stopped", path, "the program ends"); }
  void Count(const Error& error);

  // Registered connections are cut by Stop().
  class Active {
   public:
    Active(Impl& impl, httplib::Client& connection);
    ~Active();

   private:
    Impl& impl_;
    httplib::Client& connection_;
  };

  const Access access;
  Options options;
  std::unique_ptr<Timer> own_timer;
  Timer* timer;
  std::atomic<bool> stopped{false};

 private:
  std::optional<Failure> Try(const std::string& method, const std::string& target, const std::string& path,
                             const std::string& body, const std::string& content_type, std::string& answer);
  httplib::Result Send(const httplib::Request& request);
  bool IsReady(const httplib::Headers& headers);
  std::mutex send_mutex_;  // Try, Send and IsReady: one request at a time
  std::unique_ptr<httplib::Client> connection_;
  std::mutex active_mutex_;
  std::set<httplib::Client*> active_;
  mutable std::mutex counts_mutex_;
  std::map<std::string, uint64_t> failures_;
  friend class Client;
};

}  // namespace ccgpu::kube
