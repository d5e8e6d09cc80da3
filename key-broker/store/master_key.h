// The key that everything at rest hangs on: 32 bytes, given as a file of 64 hex digits, never written by the broker.
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

// "store.bad-master-key" when the file is not 64 hex digits, or when others may read it.
Result<StoreKeys> LoadMasterKey(const std::string& path);
StoreKeys DeriveStoreKeys(ByteView master_key);
// The first database ever opened with a key remembers it; another key later is "store.wrong-master-key".
Status CheckMasterKey(Database& db, const StoreKeys& keys);

}  // namespace ccgpu::broker
