#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "key-broker/store/test_store.h"

namespace ccgpu::broker {
namespace {

const TimePoint kNow = *ParseTime("2026-11-22T06:30:00Z");

// Someone who can write the file, but does not have the master key.
void Sql(const std::string& path, const std::string& sql) {
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
  char* message = nullptr;
  EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message), SQLITE_OK)
      << sql << ": " << (message ? message : "");
  sqlite3_close(db);
}

class StoreTest : public testing::Test {
 protected:
  std::string File() const { return folder / "broker.db"; }
  TempDir folder;
};

TEST_F(StoreTest, PutGetDeleteAndKeepOverRestart) {
  {
    TestStore store(File());
    EXPECT_EQ(*store.objects->Put(ObjectKind::kResource, "a/b/c", AsBytes("one"), kNow), 1);
    EXPECT_EQ(*store.objects->Put(ObjectKind::kResource, "a/b/c", AsBytes("two"), kNow), 2);
    EXPECT_EQ(*store.objects->Put(ObjectKind::kReleasePolicy, "a/b/c", AsBytes("policy"), kNow), 3);
    EXPECT_EQ(*store.objects->Put(ObjectKind::kResource, "a/b/d", AsBytes(""), kNow), 4);
  }
  TestStore store(File());
  EXPECT_EQ(ToText(**store.objects->Get(ObjectKind::kResource, "a/b/c")), "two");
  EXPECT_EQ(ToText(**store.objects->Get(ObjectKind::kReleasePolicy, "a/b/c")), "policy");
  EXPECT_TRUE((*store.objects->Get(ObjectKind::kResource, "a/b/d"))->empty());
  EXPECT_FALSE(store.objects->Get(ObjectKind::kResource, "a/b/x")->has_value());
  auto list = store.objects->ListResources();
  ASSERT_EQ(list->size(), 2u);
  EXPECT_EQ((*list)[0].path, "a/b/c");
  EXPECT_EQ((*list)[0].size, 3);
  EXPECT_TRUE((*list)[0].has_policy);
  EXPECT_FALSE((*list)[1].has_policy);
  EXPECT_TRUE(*store.objects->Delete(ObjectKind::kResource, "a/b/c"));
  EXPECT_FALSE(*store.objects->Delete(ObjectKind::kResource, "a/b/c"));
  EXPECT_EQ(*store.objects->Put(ObjectKind::kResource, "a/b/c", AsBytes("x"), kNow), 5) << "versions never start again";
}

TEST_F(StoreTest, NothingReadableLiesInTheFiles) {
  TestStore store(File());
  const std::string secret = "correct horse battery staple";
  ASSERT_TRUE(store.objects->Put(ObjectKind::kResource, "a/b/c", AsBytes(secret), kNow).ok());
  ASSERT_TRUE(store.db->Sync().ok());
  for (const char* suffix : {"", "-wal"}) {
    auto content = ReadFile(File() + suffix);
    ASSERT_TRUE(content.ok());
    EXPECT_EQ(content->find(secret), std::string::npos) << suffix;
    struct stat info {};
    ASSERT_EQ(::stat((File() + suffix).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 077, 0u) << suffix;
  }
}

TEST_F(StoreTest, WrongMasterKeyOpensNothing) {
  {
    TestStore store(File(), 7);
    ASSERT_TRUE(CheckMasterKey(*store.db, store.keys).ok());
    ASSERT_TRUE(store.objects->Put(ObjectKind::kResource, "a/b/c", AsBytes("secret"), kNow).ok());
  }
  TestStore right(File(), 7);
  EXPECT_TRUE(CheckMasterKey(*right.db, right.keys).ok());
  TestStore wrong(File(), 8);
  EXPECT_EQ(CheckMasterKey(*wrong.db, wrong.keys).error().code, "store.wrong-master-key");
  EXPECT_EQ(wrong.objects->Get(ObjectKind::kResource, "a/b/c").error().code, "store.tampered");
}

TEST_F(StoreTest, RowsCannotBeMovedOrMixed) {
  {
    TestStore store(File());
    for (const char* path : {"a/b/c", "a/b/d"})
      ASSERT_TRUE(store.objects->Put(ObjectKind::kResource, path, AsBytes(path), kNow).ok());
    ASSERT_TRUE(store.objects->Put(ObjectKind::kReleasePolicy, "a/b/c", AsBytes("policy"), kNow).ok());
  }
  const std::string keep = folder / "keep.db";
  const char* attacks[] = {
      "UPDATE objects SET sealed = (SELECT sealed FROM objects WHERE path = 'a/b/d') WHERE path = 'a/b/c' AND kind = 1",
      "UPDATE objects SET wrapped_key = (SELECT wrapped_key FROM objects WHERE path = 'a/b/d') WHERE path = 'a/b/c' "
      "AND kind = 1",
      "UPDATE objects SET (wrapped_key, sealed, version) = (SELECT wrapped_key, sealed, version FROM objects WHERE "
      "path = 'a/b/d') WHERE path = 'a/b/c' AND kind = 1",
      "UPDATE objects SET (wrapped_key, sealed, version) = (SELECT wrapped_key, sealed, version FROM objects WHERE "
      "kind = 2) WHERE path = 'a/b/c' AND kind = 1",
      "UPDATE objects SET version = version + 1 WHERE path = 'a/b/c' AND kind = 1",
      "UPDATE objects SET sealed = x'00' WHERE path = 'a/b/c' AND kind = 1",
      "UPDATE objects SET wrapped_key = x'' WHERE path = 'a/b/c' AND kind = 1"};
  std::filesystem::copy_file(File(), keep);
  for (const char* attack : attacks) {
    std::filesystem::remove(File() + "-wal");
    std::filesystem::copy_file(keep, File(), std::filesystem::copy_options::overwrite_existing);
    {
      TestStore store(File());
      ASSERT_TRUE(store.objects->Get(ObjectKind::kResource, "a/b/c").ok());
    }
    Sql(File(), attack);
    TestStore store(File());
    auto got = store.objects->Get(ObjectKind::kResource, "a/b/c");
    ASSERT_FALSE(got.ok()) << attack;
    EXPECT_EQ(got.error().code, "store.tampered") << attack;
  }
}

TEST_F(StoreTest, KilledInTheMiddleLeavesTheOldOrTheNew) {
  {
    TestStore store(File());
    ASSERT_TRUE(store.objects->Put(ObjectKind::kResource, "a/b/c", AsBytes("old"), kNow).ok());
  }
  for (int round = 0; round < 20; ++round) {
    int pipe_fds[2];
    ASSERT_EQ(::pipe(pipe_fds), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      TestStore store(File());
      for (int i = 0;; ++i) {
        Database::Transaction transaction(*store.db);
        (void)store.objects->Put(ObjectKind::kResource, "a/b/c", Bytes(200000, static_cast<uint8_t>(i)), kNow);
        LedgerEntry entry;
        entry.kind = "admin";
        entry.details_json = Json{{"i", i}}.dump();
        (void)store.ledger->Append(entry, kNow);
        (void)transaction.Commit();
        if (i == round) (void)!::write(pipe_fds[1], "x", 1);
      }
    }
    char byte;
    ASSERT_EQ(::read(pipe_fds[0], &byte, 1), 1);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(pipe_fds[0]);
    ::close(pipe_fds[1]);
    TestStore store(File());
    auto content = store.objects->Get(ObjectKind::kResource, "a/b/c");
    ASSERT_TRUE(content.ok()) << content.error().ToString();
    ASSERT_EQ((*content)->size(), 200000u);
    for (uint8_t b : **content) ASSERT_EQ(b, (**content)[0]);
    EXPECT_TRUE(store.ledger->Verify().ok());
  }
}

TEST_F(StoreTest, TransactionsRollBackTogether) {
  TestStore store(File());
  {
    Database::Transaction transaction(*store.db);
    ASSERT_TRUE(store.objects->Put(ObjectKind::kResource, "a/b/c", AsBytes("x"), kNow).ok());
    ASSERT_TRUE(store.ledger->Append({}, kNow).ok());
  }
  EXPECT_FALSE(store.objects->Get(ObjectKind::kResource, "a/b/c")->has_value());
  EXPECT_EQ(*store.ledger->Verify(), 0);
}

class LedgerTest : public StoreTest {
 protected:
  void SetUp() override {
    TestStore store(File());
    for (int i = 1; i <= 5; ++i) {
      LedgerEntry entry{"release", i % 2 == 0, "code-" + std::to_string(i),         "s", "a/b/c",
                        "agent",   "emulated", R"({"n":)" + std::to_string(i) + "}"};
      ASSERT_EQ(*store.ledger->Append(entry, kNow), i);
    }
    ASSERT_EQ(*store.ledger->Verify(), 5);
  }
  std::string Code() {
    TestStore store(File());
    auto entries = store.ledger->Verify();
    return entries.ok() ? "whole" : entries.error().code + " " + entries.error().subject;
  }
};

TEST_F(LedgerTest, ListsWithTheChain) {
  TestStore store(File());
  const Json list = Json::parse(*store.ledger->ListJson(2, 2));
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["seq"], 3);
  EXPECT_EQ(list[1]["prev"], list[0]["hash"]);
  EXPECT_EQ(list[0]["details"]["n"], 3);
  // Anyone can recompute the hashes: prev || the entry without "prev" and "hash".
  Json entry = list[1];
  const Bytes previous = *HexDecode(entry["prev"].get<std::string>());
  const std::string hash = entry["hash"];
  entry.erase("prev");
  entry.erase("hash");
  EXPECT_EQ(HexEncode(crypto::Sha256(Concat({previous, AsBytes(entry.dump())}))), hash);
}

TEST_F(LedgerTest, SqlCannotChangeIt) {
  TestStore store(File());
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(File().c_str(), &db), SQLITE_OK);
  EXPECT_NE(sqlite3_exec(db, "UPDATE ledger SET entry = '{}' WHERE sequence = 3", nullptr, nullptr, nullptr),
            SQLITE_OK);
  EXPECT_NE(sqlite3_exec(db, "DELETE FROM ledger", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
}

TEST_F(LedgerTest, ChangesAreSeen) {
  EXPECT_EQ(Code(), "whole");
  Sql(File(),
      "DROP TRIGGER ledger_stays; UPDATE ledger SET entry = replace(entry, 'code-3', 'code-9') WHERE sequence = 3");
  EXPECT_EQ(Code(), "ledger.broken ledger entry 3");
}

TEST_F(LedgerTest, RemovalsInTheMiddleAreSeen) {
  Sql(File(), "DROP TRIGGER ledger_keeps; DELETE FROM ledger WHERE sequence = 2");
  EXPECT_EQ(Code(), "ledger.broken ledger entry 2");
}

TEST_F(LedgerTest, CuttingOffTheEndIsSeen) {
  Sql(File(), "DROP TRIGGER ledger_keeps; DELETE FROM ledger WHERE sequence = 5");
  EXPECT_EQ(Code(), "ledger.broken ledger entry 4");
  Sql(File(), "DELETE FROM ledger");
  EXPECT_EQ(Code(), "ledger.broken ledger entry 0");
}

TEST_F(LedgerTest, RewritingItWithoutTheKeyIsSeen) {
  // Appends a well-chained entry, as anyone with SHA-256 can.
  Bytes hash;
  {
    TestStore store(File());
    const Json list = Json::parse(*store.ledger->ListJson(4, 1));
    hash = *HexDecode(list[0]["hash"].get<std::string>());
  }
  const std::string entry = R"({"seq":6})";
  const Bytes next = crypto::Sha256(Concat({hash, AsBytes(entry)}));
  Sql(File(), "INSERT INTO ledger VALUES (6, '" + entry + "', x'" + HexEncode(next) + "')");
  EXPECT_EQ(Code(), "ledger.broken ledger entry 6");
}

TEST_F(StoreTest, Attestations) {
  const kbs::PublicJwk key{"EC", "P-256", std::string(kbs::kEcdhEsA256Kw), "AQ", "Ag", "", ""};
  {
    TestStore store(File());
    ASSERT_TRUE(
        store.attestations->Put({"s1", kNow + std::chrono::seconds(60), "emulated", key, R"({"a":1})"}, kNow).ok());
    auto got = store.attestations->Get("s1", kNow);
    ASSERT_TRUE(got.ok() && got->has_value());
    EXPECT_EQ((*got)->claims_json, R"({"a":1})");
    EXPECT_EQ((*got)->key, key);
    EXPECT_EQ((*got)->environment, "emulated");
    EXPECT_FALSE(store.attestations->Get("s2", kNow)->has_value());
    EXPECT_FALSE(store.attestations->Get("s1", kNow + std::chrono::seconds(60))->has_value()) << "expired";
  }
  Sql(File(), "UPDATE attestations SET expires = expires + 1000");
  TestStore store(File());
  EXPECT_EQ(store.attestations->Get("s1", kNow).error().code, "store.tampered") << "a life made longer";
}

TEST_F(StoreTest, MasterKeyFiles) {
  const std::string path = folder / "key";
  auto code = [&](const std::string& text, mode_t mode) {
    EXPECT_TRUE(WriteFileAtomic(path, text, mode).ok());
    ::chmod(path.c_str(), mode);
    auto keys = LoadMasterKey(path);
    return keys.ok() ? std::string("accepted") : keys.error().code;
  };
  EXPECT_EQ(code(std::string(64, 'a') + "\n", 0600), "accepted");
  EXPECT_EQ(code(std::string(64, 'a'), 0640), "store.bad-master-key");
  EXPECT_EQ(code(std::string(62, 'a'), 0600), "store.bad-master-key");
  EXPECT_EQ(code(std::string(64, 'x'), 0600), "store.bad-master-key");
  EXPECT_EQ(code("", 0600), "store.bad-master-key");
  EXPECT_FALSE(LoadMasterKey(folder / "absent").ok());
}

// What a Secret volume with fsGroup looks like: root's file, which our group may read.
TEST_F(StoreTest, MasterKeyOfAnotherUserThatOurGroupMayRead) {
  if (::geteuid() != 0) GTEST_SKIP() << "NOT RUN: giving files away needs root";
  const std::string path = folder / "key";
  ASSERT_TRUE(WriteFileAtomic(path, std::string(64, 'a'), 0600).ok());
  constexpr uid_t kOther = 65532;
  auto accepted = [&](uid_t owner, gid_t group, mode_t mode) {
    EXPECT_EQ(::chown(path.c_str(), owner, group), 0);
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return LoadMasterKey(path).ok();
  };
  EXPECT_TRUE(accepted(kOther, ::getegid(), 0440));
  EXPECT_FALSE(accepted(kOther, ::getegid(), 0444)) << "anybody may read it";
  EXPECT_FALSE(accepted(kOther, ::getegid(), 0660)) << "the group may write it";
  EXPECT_FALSE(accepted(kOther, kOther, 0440)) << "a group that is not ours";
  EXPECT_FALSE(accepted(::geteuid(), ::getegid(), 0440)) << "our own file: ours to protect";
}

TEST_F(StoreTest, AMasterKeyIsMadeOnce) {
  const std::string path = folder / "key";
  ASSERT_TRUE(MakeMasterKey(path).ok());
  const std::string made = *ReadFile(path);
  ASSERT_TRUE(MakeMasterKey(path).ok());
  EXPECT_EQ(*ReadFile(path), made);
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 077, 0u);
  ASSERT_TRUE(WriteFileAtomic(path, "damaged", 0600).ok());
  EXPECT_EQ(MakeMasterKey(path).error().code, "store.bad-master-key");
}

TEST_F(StoreTest, OtherSchemasAreRefused) {
  { TestStore store(File()); }
  Sql(File(), "PRAGMA user_version = 2");
  EXPECT_EQ(Database::Open(File()).error().code, "store.unknown-schema");
}

}  // namespace
}  // namespace ccgpu::broker
