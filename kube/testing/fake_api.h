// An API server in this process, over real TLS: an ObjectStore with paths, tokens, evictions and misfortunes.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/testing/temp_dir.h"
#include "kube/client.h"
#include "kube/testing/object_store.h"

namespace httplib {
struct Request;
struct Response;
class SSLServer;
}  // namespace httplib

namespace ccgpu::kube::testing {

// Any thread.
class FakeApi {
 public:
  FakeApi();
  ~FakeApi();

  Access access() const;  // for clients
  ObjectStore& objects() { return objects_; }

  void SetToken(const std::string& token, bool write_file = true);  // what the server accepts, and the file
  // The next `count` requests whose "METHOD path" begins so are answered with this.
  void FailNext(int count, int status, const std::string& method_and_path = "", const std::string& retry_after = "");
  void ForgetMisfortunes();
  void DropWatches();       // ends every watch that is open now in the middle
  void SetAway(bool away);  // every request is answered by closing the connection
  void Forbid(const std::string& method_and_path);
  // Evictions of this pod ("namespace/name") are refused with 429, as a disruption budget does.
  void Protect(const std::string& pod, bool protect);
  // Called in the server's thread for each request, before it is answered; may call anything here.
  void OnRequest(std::function<void(const std::string& method_and_path)> call);
  // "METHOD path" of every request so far.
  std::vector<std::string> Requests() const;
  size_t CountRequests(const std::string& method_and_path) const;
  // PEM of another CA that did not sign this server's certificate.
  static std::string OtherCa();

 private:
  void Handle(const httplib::Request& request, httplib::Response& response);
  void HandleWatch(const std::string& path, const std::map<std::string, std::string>& query,
                   httplib::Response& response);
  Answer Route(const std::string& method, const std::string& path, const std::map<std::string, std::string>& query,
               const std::string& content_type, const std::string& body);
  Answer Evict(const std::string& path, const Json& eviction);

  struct Misfortune {
    int count, status;
    std::string prefix, retry_after;
  };
  const TempDir folder_;  // ca.crt and token
  ObjectStore objects_;
  mutable std::mutex mutex_;
  std::string token_;
  std::vector<Misfortune> misfortunes_;
  std::vector<std::string> requests_, forbidden_;
  std::set<std::string> protected_;
  std::function<void(const std::string&)> on_request_;
  std::atomic<uint64_t> drops_{0};
  std::atomic<bool> away_{false}, stopping_{false};
  std::unique_ptr<httplib::SSLServer> server_;
  std::thread thread_;
  int port_ = 0;
};

}  // namespace ccgpu::kube::testing
