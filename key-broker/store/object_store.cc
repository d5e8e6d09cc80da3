#include "key-broker/store/object_store.h"

#include "base/crypto/aead.h"

namespace ccgpu::broker {
namespace {

Bytes Binding(std::string_view what, ObjectKind kind, std::string_view path, int64_t version) {
  Writer out;
  out.Text("ccgpu-object/1 ")
      .Text(what)
      .U8(0)
      .U8(static_cast<uint8_t>(kind))
      .U64(static_cast<uint64_t>(version))
      .Text(path);
  return std::move(out).Finish();
}

// nonce || ciphertext || tag
Bytes Seal(ByteView key, ByteView binding, ByteView content, crypto::Random& random) {
  const Bytes nonce = random.Take(crypto::kAeadNonceSize);
  return Concat({nonce, crypto::AeadSeal(key, nonce, binding, content)});
}

Result<Bytes> Open(ByteView key, ByteView binding, ByteView sealed) {
  if (sealed.size() < crypto::kAeadNonceSize)
    return Err("crypto.truncated", "sealed object", "is shorter than its nonce");
  return crypto::AeadOpen(key, sealed.first(crypto::kAeadNonceSize), binding, sealed.subspan(crypto::kAeadNonceSize));
}

Error Tampered(const std::string& path) {
  return Err("store.tampered", path,
             "does not open with the master key: the database was changed by other means than this broker; restore it "
             "from a backup");
}

Result<int64_t> NextVersion(Database& db) {
  ASSIGN_OR_RETURN(const auto last, db.Meta("last-version"));
  const int64_t next = last ? static_cast<int64_t>(Reader(*last).U64()) + 1 : 1;
  Writer out;
  out.U64(static_cast<uint64_t>(next));
  RETURN_IF_ERROR(db.SetMeta("last-version", out.bytes()));
  return next;
}

}  // namespace

Result<int64_t> ObjectStore::Put(ObjectKind kind, const std::string& path, ByteView content, TimePoint now) {
  Database::Transaction transaction(db_);
  RETURN_IF_ERROR(transaction.status());
  ASSIGN_OR_RETURN(const int64_t version, NextVersion(db_));
  Bytes key = random_.Take(crypto::kAeadKeySize);
  const Bytes wrapped = Seal(keys_.wrap, Binding("key", kind, path, version), key, random_);
  const Bytes sealed = Seal(key, Binding("content", kind, path, version), content, random_);
  Wipe(key);
  {
    Database::Query query(
        db_,
        "INSERT INTO objects (kind, path, version, updated, size, wrapped_key, sealed) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (kind, path) DO UPDATE SET version = excluded.version, updated = excluded.updated, size = "
        "excluded.size, "
        "wrapped_key = excluded.wrapped_key, sealed = excluded.sealed");
    query.Bind(static_cast<int64_t>(kind))
        .Bind(path)
        .Bind(version)
        .Bind(now.time_since_epoch().count())
        .Bind(static_cast<int64_t>(content.size()));
    RETURN_IF_ERROR(query.BindBlob(wrapped).BindBlob(sealed).Run());
  }
  RETURN_IF_ERROR(transaction.Commit());
  return version;
}

Result<std::optional<Bytes>> ObjectStore::Get(ObjectKind kind, const std::string& path) {
  Database::Transaction transaction(db_);
  RETURN_IF_ERROR(transaction.status());
  Database::Query query(db_, "SELECT version, wrapped_key, sealed FROM objects WHERE kind = ? AND path = ?");
  query.Bind(static_cast<int64_t>(kind)).Bind(path);
  ASSIGN_OR_RETURN(const bool row, query.Step());
  if (!row) return std::optional<Bytes>();
  const int64_t version = query.Int(0);
  auto key = Open(keys_.wrap, Binding("key", kind, path, version), query.Blob(1));
  if (!key.ok() || key->size() != crypto::kAeadKeySize) return Tampered(path);
  auto content = Open(*key, Binding("content", kind, path, version), query.Blob(2));
  Wipe(*key);
  if (!content.ok()) return Tampered(path);
  return std::optional<Bytes>(std::move(*content));
}

Result<bool> ObjectStore::Delete(ObjectKind kind, const std::string& path) {
  Database::Transaction transaction(db_);
  RETURN_IF_ERROR(transaction.status());
  {
    Database::Query query(db_, "DELETE FROM objects WHERE kind = ? AND path = ?");
    RETURN_IF_ERROR(query.Bind(static_cast<int64_t>(kind)).Bind(path).Run());
  }
  const bool gone = db_.Changes() > 0;
  RETURN_IF_ERROR(transaction.Commit());
  return gone;
}

Result<int64_t> ObjectStore::Count() {
  Database::Transaction transaction(db_);
  RETURN_IF_ERROR(transaction.status());
  Database::Query query(db_, "SELECT COUNT(*) FROM objects WHERE kind = 1");
  ASSIGN_OR_RETURN(const bool row, query.Step());
  return row ? query.Int(0) : 0;
}

Result<std::vector<ObjectInfo>> ObjectStore::ListResources() {
  Database::Transaction transaction(db_);
  RETURN_IF_ERROR(transaction.status());
  Database::Query query(
      db_,
      "SELECT path, version, size, updated, EXISTS (SELECT 1 FROM objects p WHERE p.kind = 2 AND p.path = o.path) "
      "FROM objects o WHERE kind = 1 ORDER BY path");
  std::vector<ObjectInfo> out;
  while (true) {
    ASSIGN_OR_RETURN(const bool row, query.Step());
    if (!row) return out;
    out.push_back(
        {query.Text(0), query.Int(1), query.Int(2), TimePoint(std::chrono::seconds(query.Int(3))), query.Int(4) != 0});
  }
}

}  // namespace ccgpu::broker
