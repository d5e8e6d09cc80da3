// Resources and their release policies, each sealed under a key of its own that the master key wraps.
//
// What is bound into each seal: kind, path and version; so a row copied to another place, or an old key beside a new
// content, does not open. A whole older row put back by someone who can write the file is not noticed here
// (docs/formats/kbs.md).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/crypto/digest.h"
#include "key-broker/store/database.h"
#include "key-broker/store/master_key.h"

namespace ccgpu::broker {

enum class ObjectKind { kResource = 1, kReleasePolicy = 2 };

struct ObjectInfo {
  std::string path;
  int64_t version = 0;
  int64_t size = 0;
  TimePoint updated{};
  bool has_policy = false;
};

// Any thread. `db`, `keys` and `random` must outlive it.
class ObjectStore {
 public:
  ObjectStore(Database& db, const StoreKeys& keys, crypto::Random& random) : db_(db), keys_(keys), random_(random) {}

  // Replaces what was there; gives the new version (versions only grow, over all objects and deletions).
  Result<int64_t> Put(ObjectKind kind, const std::string& path, ByteView content, TimePoint now);
  // Nothing when there is no such object; "store.tampered" when it does not open. The caller wipes it.
  Result<std::optional<Bytes>> Get(ObjectKind kind, const std::string& path);
  Result<bool> Delete(ObjectKind kind, const std::string& path);  // false: was not there
  Result<std::vector<ObjectInfo>> ListResources();                // by path
  Result<int64_t> Count();                                        // resources

 private:
  Database& db_;
  const StoreKeys& keys_;
  crypto::Random& random_;
};

}  // namespace ccgpu::broker
