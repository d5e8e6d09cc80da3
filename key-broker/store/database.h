// One SQLite file, in write-ahead mode, behind one mutex.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/bytes.h"

struct sqlite3;
struct sqlite3_stmt;

namespace ccgpu::broker {

class Database {
 public:
  // Makes the file (0600) and its tables when it is not there. "store.unknown-schema" for a file of another version.
  static Result<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;

  // Holds the database's mutex from construction to destruction, and rolls back unless Commit was called. May nest:
  // then only the outermost one begins and commits.
  class Transaction {
   public:
    explicit Transaction(Database& db);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Status status() const { return status_; }
    Status Commit();

   private:
    Database& db_;
    std::unique_lock<std::recursive_mutex> lock_;
    bool outermost_, done_ = false;
    Status status_;
  };

  // One statement, prepared once per text. Bind in order, then Step until it says false. Use inside a Transaction only.
  class Query {
   public:
    Query(Database& db, const char* sql);
    ~Query();
    Query(const Query&) = delete;
    Query& Bind(int64_t value);
    Query& Bind(std::string_view text);
    Query& BindBlob(ByteView bytes);  // must outlive the query
    Result<bool> Step();              // true: there is a row
    Status Run();                     // for statements without rows
    int64_t Int(int column) const;
    std::string Text(int column) const;
    Bytes Blob(int column) const;

   private:
    Database& db_;
    sqlite3_stmt* statement_;
    int bound_ = 0;
  };

  Result<std::optional<Bytes>> Meta(std::string_view key);
  Status SetMeta(std::string_view key, ByteView value);
  // Waits until everything committed is on the disk. Commits alone survive a killed program, not a power loss.
  Status Sync();
  int64_t Changes() const;

 private:
  explicit Database(sqlite3* db) : db_(db) {}
  Status Exec(const char* sql);
  Error LastError(const char* doing) const;

  sqlite3* db_;
  std::recursive_mutex mutex_;
  int depth_ = 0;
  std::map<std::string, sqlite3_stmt*> statements_;
};

}  // namespace ccgpu::broker
