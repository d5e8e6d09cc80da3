#include "collateral/fetch/cache.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <vector>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"

namespace ccgpu::collateral {
namespace {

namespace fs = std::filesystem;

std::string Digest(std::string_view bytes) { return HexEncode(crypto::Sha256(AsBytes(bytes))); }
std::string KeyOf(const FetchRequest& request) { return Digest(request.url + "\n" + Digest(request.body)); }

struct Record {
  std::string url, sha256;
  TimePoint fetched_at{};
  std::map<std::string, std::string> headers;
};

Result<Record> ParseRecord(const std::string& text) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, "cache record", 4));
  Record out;
  ASSIGN_OR_RETURN(out.url, JsonString(json, "url", "record"));
  ASSIGN_OR_RETURN(out.sha256, JsonString(json, "sha256", "record"));
  ASSIGN_OR_RETURN(const std::string at, JsonString(json, "fetched_at", "record"));
  ASSIGN_OR_RETURN(out.fetched_at, ParseTime(at));
  if (out.sha256.size() != 64 || out.sha256.find_first_not_of("0123456789abcdef") != std::string::npos)
    return Err("collateral.unreadable", "cache record", "names no content");
  if (json.contains("headers") && json["headers"].is_object()) {
    for (const auto& [name, value] : json["headers"].items()) {
      if (value.is_string()) out.headers[name] = value.get<std::string>();
    }
  }
  return out;
}

}  // namespace

std::optional<CachedAnswer> DiskCache::Find(const FetchRequest& request) const {
  auto text = ReadFile(folder_ + "/requests/" + KeyOf(request) + ".json", 1u << 20);
  if (!text.ok()) return std::nullopt;
  auto record = ParseRecord(*text);
  if (!record.ok() || record->url != request.url) return std::nullopt;
  const std::string object = folder_ + "/objects/" + record->sha256;
  auto body = ReadFile(object, limits_.bytes);
  if (!body.ok()) return std::nullopt;
  if (Digest(*body) != record->sha256) {
    std::error_code ignored;
    fs::remove(object, ignored);
    return std::nullopt;
  }
  return CachedAnswer{{std::move(*body), std::move(record->headers)}, record->fetched_at};
}

Status DiskCache::Keep(const FetchRequest& request, const FetchAnswer& answer, TimePoint now) {
  if (answer.body.size() > limits_.bytes)
    return Err("collateral.too-large", request.url, "is larger than the whole cache may be");
  RETURN_IF_ERROR(MakeDirs(folder_ + "/objects", 0700));
  RETURN_IF_ERROR(MakeDirs(folder_ + "/requests", 0700));
  const std::string digest = Digest(answer.body), key = KeyOf(request);
  // Content first: a record never points at nothing.
  RETURN_IF_ERROR(WriteFileAtomic(folder_ + "/objects/" + digest, answer.body, 0600));
  const Json record = {{"url", request.url},
                       {"body_sha256", Digest(request.body)},
                       {"sha256", digest},
                       {"fetched_at", FormatTime(now)},
                       {"headers", answer.headers}};
  RETURN_IF_ERROR(WriteFileAtomic(folder_ + "/requests/" + key + ".json",
                                  record.dump(-1, ' ', false, Json::error_handler_t::replace), 0600));
  return Bound(key);
}

Status DiskCache::Bound(const std::string& keep) const {
  struct Entry {
    TimePoint fetched_at;
    fs::path path;
    std::string sha256;
    bool kept;
  };
  std::vector<Entry> entries;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(folder_ + "/requests", error)) {
    auto text = ReadFile(file.path(), 1u << 20);
    auto record = text.ok() ? ParseRecord(*text) : Result<Record>(text.error());
    // What cannot be read goes first.
    entries.push_back({record.ok() ? record->fetched_at : TimePoint(), file.path(), record.ok() ? record->sha256 : "",
                       file.path().stem() == keep});
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tuple(a.kept, a.fetched_at, a.path) > std::tuple(b.kept, b.fetched_at, b.path);
  });
  std::set<std::string> wanted;
  uint64_t bytes = 0;
  for (size_t i = 0; i < entries.size(); ++i) {
    const fs::path object = folder_ + "/objects/" + entries[i].sha256;
    const uint64_t size =
        entries[i].sha256.empty() || wanted.contains(entries[i].sha256) ? 0 : fs::file_size(object, error);
    if (error || entries[i].sha256.empty() || i >= limits_.documents || bytes + size > limits_.bytes) {
      error.clear();
      fs::remove(entries[i].path, error);
      continue;
    }
    bytes += size;
    wanted.insert(entries[i].sha256);
  }
  for (const auto& file : fs::directory_iterator(folder_ + "/objects", error)) {
    std::error_code ignored;
    // A young file without a record may be another program's, about to get its record.
    const auto age = fs::file_time_type::clock::now() - fs::last_write_time(file.path(), ignored);
    if (!wanted.contains(file.path().filename().string()) && age > std::chrono::minutes(1))
      fs::remove(file.path(), ignored);
  }
  return Ok();
}

}  // namespace ccgpu::collateral
