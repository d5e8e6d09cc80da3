#include "key-broker/store/ledger.h"

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/json.h"
#include "trust/kbs/jcs.h"

namespace ccgpu::broker {
namespace {

constexpr size_t kHashSize = 32;

Bytes Chain(ByteView previous, std::string_view entry) { return crypto::Sha256(Concat({previous, AsBytes(entry)})); }

Error Broken(int64_t sequence, std::string text) {
  return Err("ledger.broken", "ledger entry " + std::to_string(sequence),
             std::move(text) + "; keep this file as evidence and look who wrote to it");
}

std::string EntryText(int64_t sequence, const LedgerEntry& entry, TimePoint now) {
  auto details = ParseJson(entry.details_json, "details");
  const Json json = {{"seq", sequence},
                     {"time", FormatTime(now)},
                     {"kind", entry.kind},
                     {"allowed", entry.allowed},
                     {"code", entry.code},
                     {"session", entry.session},
                     {"resource", entry.resource},
                     {"actor", entry.actor},
                     {"environment", entry.environment},
                     {"details", details.ok() ? std::move(*details) : Json::object()}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Bytes Ledger::HeadMac(int64_t sequence, ByteView hash) const {
  Writer out;
  out.Text("ccgpu-ledger-head/1").U64(static_cast<uint64_t>(sequence)).Raw(hash);
  return crypto::Hmac(crypto::Hash::kSha256, keys_.ledger, out.bytes());
}

Result<int64_t> Ledger::Append(const LedgerEntry& entry, TimePoint now) {
  Database::Transaction transaction(db_);
  RETURN_IF_ERROR(transaction.status());
  int64_t sequence = 1;
  Bytes previous(kHashSize);
  {
    Database::Query query(db_, "SELECT sequence, hash FROM ledger ORDER BY sequence DESC LIMIT 1");
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (row) {
      sequence = query.Int(0) + 1;
      previous = query.Blob(1);
    }
  }
  const std::string text = EntryText(sequence, entry, now);
  const Bytes hash = Chain(previous, text);
  {
    Database::Query query(db_, "INSERT INTO ledger (sequence, entry, hash) VALUES (?, ?, ?)");
    RETURN_IF_ERROR(query.Bind(sequence).Bind(text).BindBlob(hash).Run());
  }
  RETURN_IF_ERROR(db_.SetMeta("ledger-head", HeadMac(sequence, hash)));
  RETURN_IF_ERROR(transaction.Commit());
  return sequence;
}

Result<int64_t> Ledger::Count() {
  Database::Transaction transaction(db_);
  RETURN_IF_ERROR(transaction.status());
  Database::Query query(db_, "SELECT COALESCE(MAX(sequence), 0) FROM ledger");
  ASSIGN_OR_RETURN(const bool row, query.Step());
  return row ? query.Int(0) : 0;
}

Result<int64_t> Ledger::Verify() {
  Database::Transaction transaction(db_);
  RETURN_IF_ERROR(transaction.status());
  int64_t count = 0;
  Bytes previous(kHashSize);
  {
    Database::Query query(db_, "SELECT sequence, entry, hash FROM ledger ORDER BY sequence");
    while (true) {
      ASSIGN_OR_RETURN(const bool row, query.Step());
      if (!row) break;
      if (query.Int(0) != count + 1) return Broken(count + 1, "is missing");
      Bytes hash = Chain(previous, query.Text(1));
      if (hash != query.Blob(2))
        return Broken(count + 1, "does not have the hash that its content and the entry before it give");
      previous = std::move(hash);
      ++count;
    }
  }
  ASSIGN_OR_RETURN(const auto head, db_.Meta("ledger-head"));
  if (count == 0 && !head) return count;
  if (!head || !EqualConstantTime(*head, HeadMac(count, previous))) {
    return Broken(
        count, "is not the newest that this broker wrote: entries were cut off, or rewritten without the master key");
  }
  return count;
}

Result<std::string> Ledger::ListJson(int64_t after, int64_t limit) {
  Database::Transaction transaction(db_);
  RETURN_IF_ERROR(transaction.status());
  Bytes previous(kHashSize);
  {
    Database::Query query(db_, "SELECT hash FROM ledger WHERE sequence = ?");
    query.Bind(after);
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (row) previous = query.Blob(0);
  }
  Database::Query query(db_, "SELECT entry, hash FROM ledger WHERE sequence > ? ORDER BY sequence LIMIT ?");
  query.Bind(after).Bind(limit);
  std::string out = "[";
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return out + "]";
    std::string entry = query.Text(0);
    if (!entry.ends_with('}')) return Broken(after, "is not JSON");
    entry.pop_back();
    const Bytes hash = query.Blob(1);
    out += (out.size() > 1 ? "," : "") + entry + R"(,"prev":")" + HexEncode(previous) + R"(","hash":")" +
           HexEncode(hash) + "\"}";
    previous = hash;
  }
}

}  // namespace ccgpu::broker
