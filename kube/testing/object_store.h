// What an API server keeps: objects by path with versions, and a history of changes for those who watch. Enough of the
// real one's rules (uids, resourceVersion conflicts, /status apart from the rest, patches) for tests; admission,
// schemas and owners are not here.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace ccgpu::kube::testing {

struct Answer {
  int status = 200;
  Json body;
};

// A Status object of the API.
Answer Failed(int status, const std::string& reason, const std::string& message);

struct Change {
  uint64_t version = 0;
  std::string type, path;  // ADDED | MODIFIED | DELETED
  Json object;
};

// Any thread. Paths are those of objects ("/api/v1/nodes/n1") and of collections ("/api/v1/nodes").
class ObjectStore {
 public:
  Answer Get(const std::string& path) const;
  // Namespaced collections also by the path without namespace. `continue` is an index in this store's words.
  Answer List(const std::string& collection, const std::map<std::string, std::string>& query) const;
  Answer Create(const std::string& collection, Json object);
  Answer Replace(const std::string& path, Json object);
  Answer Patch(const std::string& path, const std::string& content_type, const Json& patch);
  Answer Delete(const std::string& path);

  // The changes after `version` in a collection that fit the query; waits until there is one or `give_up` says so.
  // Nothing: the history does not reach back so far (410).
  std::optional<std::vector<Change>> Next(const std::string& collection,
                                          const std::map<std::string, std::string>& query, uint64_t version,
                                          const std::function<bool()>& give_up) const;
  uint64_t version() const;
  void ForgetHistory();                                    // every older watch gets 410
  bool WaitFor(const std::function<bool()>& holds) const;  // a test's wait for a change: true, or false after 20 s
  void Wake() const;                                       // give_up and holds are asked again

 private:
  Json* Find(const std::string& path);
  void Commit(const std::string& type, const std::string& path, Json& object);
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::string, Json> objects_;
  std::deque<Change> history_;
  uint64_t version_ = 100, oldest_ = 100;
};

}  // namespace ccgpu::kube::testing
