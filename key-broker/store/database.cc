#include "key-broker/store/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/file.h"

namespace ccgpu::broker {
namespace {

constexpr int64_t kSchema = 1;

// The ledger's rows can be neither changed nor removed through SQL; the hash chain shows it when they are by other
// means.
constexpr char kTables[] = R"(
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE objects (
  kind INTEGER NOT NULL, path TEXT NOT NULL, version INTEGER NOT NULL, updated INTEGER NOT NULL, size INTEGER NOT NULL,
  wrapped_key BLOB NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (kind, path));
CREATE TABLE attestations (id TEXT PRIMARY KEY, expires INTEGER NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX attestations_by_expiry ON attestations (expires);
CREATE TABLE ledger (sequence INTEGER PRIMARY KEY, entry TEXT NOT NULL, hash BLOB NOT NULL);
CREATE TRIGGER ledger_keeps BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_stays BEFORE UPDATE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
PRAGMA user_version = 1;
)";

}  // namespace

Result<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  // SQLite makes its files with the umask; the -wal and -shm files take their mode from the main file.
  Fd made(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!made.valid()) return ErrnoError("store.cannot-open", "cannot open the database", path);
  made.Close();
  sqlite3* raw = nullptr;
  const int rc = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, nullptr);
  std::unique_ptr<Database> db(new Database(raw));
  if (rc != SQLITE_OK) return db->LastError("open").In(path);
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, 5000);
  for (const char* pragma : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA foreign_keys = ON",
                             "PRAGMA secure_delete = ON", "PRAGMA trusted_schema = OFF"}) {
    RETURN_IF_ERROR(db->Exec(pragma));
  }
  Transaction transaction(*db);
  RETURN_IF_ERROR(transaction.status());
  int64_t version = 0;
  {
    Query query(*db, "PRAGMA user_version");
    ASSIGN_OR_RETURN(const bool row, query.Step());
    version = row ? query.Int(0) : 0;
  }
  if (version == 0) RETURN_IF_ERROR(db->Exec(kTables));
  else if (version != kSchema) {
    return Err("store.unknown-schema", path,
               "has schema version " + std::to_string(version) + "; this program knows version 1");
  }
  RETURN_IF_ERROR(transaction.Commit());
  return db;
}

Database::~Database() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

Error Database::LastError(const char* doing) const {
  return Err("store.failed", "database", std::string(doing) + ": " + (db_ ? sqlite3_errmsg(db_) : "out of memory"));
}

Status Database::Exec(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return LastError(sql);
  return Ok();
}

int64_t Database::Changes() const { return sqlite3_changes64(db_); }

Status Database::Sync() {
  std::lock_guard lock(mutex_);
  if (sqlite3_wal_checkpoint_v2(db_, nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr) != SQLITE_OK)
    return LastError("checkpoint");
  return Ok();
}

Database::Transaction::Transaction(Database& db) : db_(db), lock_(db.mutex_), outermost_(db.depth_++ == 0) {
  if (outermost_) status_ = db_.Exec("BEGIN IMMEDIATE");
}

Database::Transaction::~Transaction() {
  --db_.depth_;
  if (outermost_ && !done_ && status_.ok()) (void)db_.Exec("ROLLBACK");
}

Status Database::Transaction::Commit() {
  if (!outermost_) return Ok();
  if (!status_.ok()) return status_;
  RETURN_IF_ERROR(db_.Exec("COMMIT"));
  done_ = true;
  return Ok();
}

Database::Query::Query(Database& db, const char* sql) : db_(db) {
  sqlite3_stmt*& cached = db.statements_[sql];
  if (!cached) sqlite3_prepare_v3(db.db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &cached, nullptr);
  statement_ = cached;
}

Database::Query::~Query() {
  if (!statement_) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Database::Query& Database::Query::Bind(int64_t value) {
  sqlite3_bind_int64(statement_, ++bound_, value);
  return *this;
}
Database::Query& Database::Query::Bind(std::string_view text) {
  sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}
Database::Query& Database::Query::BindBlob(ByteView bytes) {
  if (bytes.empty()) sqlite3_bind_zeroblob(statement_, ++bound_, 0);
  else sqlite3_bind_blob64(statement_, ++bound_, bytes.data(), bytes.size(), SQLITE_STATIC);
  return *this;
}

Result<bool> Database::Query::Step() {
  if (!statement_) return db_.LastError("prepare");
  const int rc = sqlite3_step(statement_);
  if (rc == SQLITE_ROW) return true;
  if (rc == SQLITE_DONE) return false;
  return db_.LastError("step");
}

Status Database::Query::Run() {
  ASSIGN_OR_RETURN([[maybe_unused]] const bool row, Step());
  return Ok();
}

int64_t Database::Query::Int(int column) const { return sqlite3_column_int64(statement_, column); }
std::string Database::Query::Text(int column) const {
  const auto* text = sqlite3_column_text(statement_, column);
  return text ? std::string(reinterpret_cast<const char*>(text),
                            static_cast<size_t>(sqlite3_column_bytes(statement_, column)))
              : "";
}
Bytes Database::Query::Blob(int column) const {
  const auto* data = static_cast<const uint8_t*>(sqlite3_column_blob(statement_, column));
  return data ? Bytes(data, data + sqlite3_column_bytes(statement_, column)) : Bytes();
}

Result<std::optional<Bytes>> Database::Meta(std::string_view key) {
  Query query(*this, "SELECT value FROM meta WHERE key = ?");
  query.Bind(key);
  ASSIGN_OR_RETURN(const bool row, query.Step());
  if (!row) return std::optional<Bytes>();
  return std::optional<Bytes>(query.Blob(0));
}

Status Database::SetMeta(std::string_view key, ByteView value) {
  Query query(*this,
              "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value");
  return query.Bind(key).BindBlob(value).Run();
}

}  // namespace ccgpu::broker
