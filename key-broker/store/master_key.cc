#include "key-broker/store/master_key.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "base/crypto/aead.h"
#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/file.h"
#include "key-broker/store/database.h"

namespace ccgpu::broker {
namespace {

constexpr size_t kMasterKeySize = 32;
constexpr char kCheckText[] = "ccgpu-broker store 1";

bool IsOurGroup(gid_t group) {
  if (group == ::getegid()) return true;
  std::vector<gid_t> groups(static_cast<size_t>(std::max(0, ::getgroups(0, nullptr))));
  const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
  return count > 0 && std::find(groups.begin(), groups.begin() + count, group) != groups.begin() + count;
}

bool OthersMayRead(const struct stat& info) {
  const mode_t open = info.st_mode & 077;
  if (open == 0) return false;
  return open != 040 || info.st_uid == ::geteuid() || !IsOurGroup(info.st_gid);
}

}  // namespace

StoreKeys::~StoreKeys() {
  Wipe(wrap);
  Wipe(attestations);
  Wipe(ledger);
}

StoreKeys DeriveStoreKeys(ByteView master_key) {
  const Bytes secret = crypto::HkdfExtract(crypto::Hash::kSha256, AsBytes("ccgpu-broker"), master_key);
  auto derive = [&](std::string_view purpose) {
    return crypto::HkdfExpand(crypto::Hash::kSha256, secret, AsBytes(purpose), crypto::kAeadKeySize);
  };
  StoreKeys keys;
  keys.wrap = derive("object keys 1");
  keys.attestations = derive("attestations 1");
  keys.ledger = derive("ledger head 1");
  return keys;
}

Status MakeMasterKey(const std::string& path) {
  if (!Exists(path)) {
    crypto::SystemRandom random;
    Bytes key = random.Take(kMasterKeySize);
    std::string text = HexEncode(key) + "\n";
    Wipe(key);
    const Status written = WriteFileAtomic(path, text, 0600);
    Wipe({reinterpret_cast<uint8_t*>(text.data()), text.size()});
    RETURN_IF_ERROR(written);
  }
  auto keys = LoadMasterKey(path);
  return keys.ok() ? Ok() : Status(keys.error());
}

Result<StoreKeys> LoadMasterKey(const std::string& path) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, 4096));
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && OthersMayRead(info)) {
    return Err("store.bad-master-key", path, "may be read by others; chmod 600 it");
  }
  while (text.ends_with('\n') || text.ends_with('\r') || text.ends_with(' ')) text.pop_back();
  auto key = HexDecode(text);
  Wipe({reinterpret_cast<uint8_t*>(text.data()), text.size()});
  if (!key.ok() || key->size() != kMasterKeySize) {
    return Err("store.bad-master-key", path, "must hold 64 hex digits (make one: openssl rand -hex 32)");
  }
  StoreKeys keys = DeriveStoreKeys(*key);
  Wipe(*key);
  return keys;
}

Status CheckMasterKey(Database& db, const StoreKeys& keys) {
  Database::Transaction transaction(db);
  RETURN_IF_ERROR(transaction.status());
  ASSIGN_OR_RETURN(const auto known, db.Meta("key-check"));
  const Bytes check = crypto::Hmac(crypto::Hash::kSha256, keys.ledger, AsBytes(kCheckText));
  if (!known) {
    RETURN_IF_ERROR(db.SetMeta("key-check", check));
    return transaction.Commit();
  }
  if (!EqualConstantTime(*known, check)) {
    return Err("store.wrong-master-key", "master key",
               "is not the key that this database was made with; nothing in it can be read with it");
  }
  return Ok();
}

}  // namespace ccgpu::broker
