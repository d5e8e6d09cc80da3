// The record of decisions: append-only, each entry's hash covers the one before it, and the newest hash is
// authenticated with a key out of the master key. So nobody without that key can change, insert, remove or cut off
// entries unseen.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "key-broker/store/database.h"
#include "key-broker/store/master_key.h"

namespace ccgpu::broker {

struct LedgerEntry {
  std::string kind;  // "attest", "release", "admin"
  bool allowed = false;
  std::string code;                 // why not; empty when allowed
  std::string session;              // the attestation's id
  std::string resource;             // "repository/type/tag"
  std::string actor;                // "agent", "admin", "auditor"
  std::string environment;          // "hardware" or "emulated"; empty when unknown
  std::string details_json = "{}";  // checks, reasons: the whole explanation
};

// Any thread. `db` and `keys` must outlive it.
class Ledger {
 public:
  Ledger(Database& db, const StoreKeys& keys) : db_(db), keys_(keys) {}

  // Part of the transaction that is open, if one is: what it records then happens or is recorded, never one alone.
  Result<int64_t> Append(const LedgerEntry& entry, TimePoint now);
  Result<int64_t> Count();  // entries, without a look at the chain
  // Walks the whole chain; "ledger.broken" names the first entry that does not fit. Gives the number of entries.
  Result<int64_t> Verify();
  // Entries after sequence number `after`, oldest first, at most `limit`, as a JSON list. Each is
  // {"seq","time","kind","allowed","code","session","resource","actor","environment","details","prev","hash"}.
  Result<std::string> ListJson(int64_t after, int64_t limit);
  // Every entry is hashed as SHA-256(previous hash || entry text); the first one's previous hash is 32 zero bytes.

 private:
  Bytes HeadMac(int64_t sequence, ByteView hash) const;
  Database& db_;
  const StoreKeys& keys_;
};

}  // namespace ccgpu::broker
