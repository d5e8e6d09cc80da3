// The key that everything at rest hangs on: 32 bytes, given as a file of 64 hex digits, made only by ccgpu-broker
// --init-only.
#pragma once

#include <string>

#include "base/bytes.h"

namespace ccgpu::broker {

class Database;

// Keys for single purposes, derived from the master key (HKDF-SHA-256). Wiped at the end.
struct StoreKeys {
  Bytes wrap;          // wraps the key of each object
  Bytes attestations;  // seals what accepted evidence said
  Bytes ledger;        // authenticates the ledger's head
  ~StoreKeys();
  StoreKeys() = default;
  StoreKeys(StoreKeys&&) = default;
  StoreKeys& operator=(StoreKeys&&) = default;
};

// Makes the file with random digits (0600) unless it is there; then it is read as LoadMasterKey does.
Status MakeMasterKey(const std::string& path);
// "store.bad-master-key" when the file is not 64 hex digits, or when others may read it. A file of another user's that
// our group may read is fine: Kubernetes shows Secrets so to programs that are not root.
Result<StoreKeys> LoadMasterKey(const std::string& path);
StoreKeys DeriveStoreKeys(ByteView master_key);
// The first database ever opened with a key remembers it; another key later is "store.wrong-master-key".
Status CheckMasterKey(Database& db, const StoreKeys& keys);

}  // namespace ccgpu::broker
