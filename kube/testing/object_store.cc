#include "kube/testing/object_store.h"

#include <algorithm>

namespace ccgpu::kube::testing {
namespace {

using Query = std::map<std::string, std::string>;

// "/api/v1/namespaces/x/pods" -> "/api/v1/pods": so a collection of all namespaces finds its members.
std::string WithoutNamespace(const std::string& path) {
  const auto at = path.find("/namespaces/");
  if (at == std::string::npos) return path;
  const auto end = path.find('/', at + 12);
  return end == std::string::npos ? path : path.substr(0, at) + path.substr(end);
}

std::string Parent(const std::string& path) { return path.substr(0, path.rfind('/')); }

bool In(const std::string& collection, const std::string& path) {
  return Parent(path) == collection || Parent(WithoutNamespace(path)) == collection;
}

std::string Field(const Json& object, std::string path) {
  std::replace(path.begin(), path.end(), '.', '/');
  const auto pointer = Json::json_pointer("/" + path);
  return object.contains(pointer) && object[pointer].is_string() ? object[pointer].get<std::string>() : "";
}

// "a=b,c=d" of field selectors and "a=b,c" of label selectors.
bool Selected(const Json& object, const Query& query) {
  auto each = [](const std::string& text, const auto& fits) {
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find(',', begin), text.size());
      const std::string term = text.substr(begin, end - begin);
      const size_t equals = term.find('=');
      if (!fits(term.substr(0, equals), equals == std::string::npos ? nullptr : term.c_str() + equals + 1))
        return false;
      begin = end + 1;
    }
    return true;
  };
  if (auto it = query.find("fieldSelector"); it != query.end()) {
    if (!each(it->second, [&](const std::string& key, const char* value) {
          return value != nullptr && Field(object, key) == value;
        }))
      return false;
  }
  if (auto it = query.find("labelSelector"); it != query.end()) {
    const Json labels = object["metadata"].value("labels", Json::object());
    return each(it->second, [&](const std::string& key, const char* value) {
      return labels.contains(key) && (value == nullptr || labels[key] == value);
    });
  }
  return true;
}

// The key by which a list of objects is merged, as the API's types say for the lists that we patch.
const char* MergeKey(const std::string& field) {
  if (field == "conditions") return "type";
  if (field == "containers" || field == "initContainers") return "name";
  return nullptr;  // taints and others: replaced as a whole
}

void StrategicMerge(Json& into, const Json& patch) {
  for (const auto& [key, value] : patch.items()) {
    if (value.is_null()) {
      into.erase(key);
    } else if (value.is_object()) {
      if (!into.contains(key) || !into[key].is_object()) into[key] = Json::object();
      StrategicMerge(into[key], value);
    } else if (const char* merge_key = MergeKey(key); value.is_array() && merge_key != nullptr) {
      if (!into.contains(key)) into[key] = Json::array();
      for (const auto& item : value) {
        auto found = std::find_if(into[key].begin(), into[key].end(), [&](const Json& one) {
          return one.value(merge_key, "") == item.value(merge_key, "");
        });
        const bool remove = item.value("$patch", "") == "delete";
        if (found == into[key].end()) {
          if (!remove) into[key].push_back(item);
        } else if (remove) {
          into[key].erase(found);
        } else {
          StrategicMerge(*found, item);
        }
      }
    } else if (!key.starts_with("$")) {
      into[key] = value;
    }
  }
}

// "<object>/status" is the object, of which only status may change.
bool TakeStatus(std::string& path) {
  if (!path.ends_with("/status")) return false;
  path.resize(path.size() - 7);
  return true;
}

void KeepOtherHalf(const Json& old, Json& now, bool status) {
  if (status) {
    Json whole = old;
    whole["status"] = now.value("status", Json::object());
    now = whole;
  } else if (old.contains("status")) {
    now["status"] = old["status"];
  }
  now["metadata"]["uid"] = old["metadata"]["uid"];
}

}  // namespace

Answer Failed(int status, const std::string& reason, const std::string& message) {
  return {status,
          {{"kind", "Status"},
           {"apiVersion", "v1"},
           {"status", "Failure"},
           {"reason", reason},
           {"message", message},
           {"code", status}}};
}

Json* ObjectStore::Find(const std::string& path) {
  auto it = objects_.find(path);
  return it == objects_.end() ? nullptr : &it->second;
}

void ObjectStore::Commit(const std::string& type, const std::string& path, Json& object) {
  object["metadata"]["resourceVersion"] = std::to_string(++version_);
  history_.push_back({version_, type, path, object});
  if (type == "DELETED") {
    objects_.erase(path);
  } else {
    objects_[path] = object;
  }
  changed_.notify_all();
}

Answer ObjectStore::Get(const std::string& path) const {
  std::lock_guard lock(mutex_);
  auto it = objects_.find(path);
  if (it == objects_.end()) return Failed(404, "NotFound", path + " not found");
  return {200, it->second};
}

Answer ObjectStore::List(const std::string& collection, const Query& query) const {
  std::lock_guard lock(mutex_);
  size_t limit = SIZE_MAX, begin = 0;
  if (auto it = query.find("limit"); it != query.end()) limit = std::stoul(it->second);
  if (auto it = query.find("continue"); it != query.end()) {
    const auto colon = it->second.find(':');
    if (std::stoull(it->second.substr(0, colon)) < oldest_)
      return Failed(410, "Expired", "the provided continue parameter is too old");
    begin = std::stoul(it->second.substr(colon + 1));
  }
  Json items = Json::array();
  std::string kind = "Object", api_version = "v1";
  size_t index = 0;
  bool more = false;
  for (const auto& [path, object] : objects_) {
    if (!In(collection, path) || !Selected(object, query)) continue;
    if (index++ < begin) continue;
    if (items.size() == limit) {
      more = true;
      break;
    }
    kind = object.value("kind", kind);
    api_version = object.value("apiVersion", api_version);
    Json item = object;
    item.erase("kind");
    item.erase("apiVersion");
    items.push_back(item);
  }
  Json metadata = {{"resourceVersion", std::to_string(version_)}};
  if (more) metadata["continue"] = std::to_string(version_) + ":" + std::to_string(begin + items.size());
  return {200, {{"kind", kind + "List"}, {"apiVersion", api_version}, {"metadata", metadata}, {"items", items}}};
}

Answer ObjectStore::Create(const std::string& collection, Json object) {
  std::lock_guard lock(mutex_);
  std::string name = object.value("/metadata/name"_json_pointer, "");
  if (name.empty() && !object.value("/metadata/generateName"_json_pointer, "").empty())
    name = object["metadata"]["generateName"].get<std::string>() + std::to_string(version_ + 1);
  if (name.empty()) return Failed(422, "Invalid", "name or generateName is required");
  const std::string path = collection + "/" + name;
  if (Find(path) != nullptr) return Failed(409, "AlreadyExists", path + " already exists");
  object["metadata"]["name"] = name;
  if (const auto at = collection.find("/namespaces/"); at != std::string::npos)
    object["metadata"]["namespace"] = collection.substr(at + 12, collection.find('/', at + 12) - at - 12);
  object["metadata"]["uid"] = "uid-" + std::to_string(version_ + 1);
  Commit("ADDED", path, object);
  return {201, object};
}

Answer ObjectStore::Replace(const std::string& path, Json object) {
  std::lock_guard lock(mutex_);
  std::string at = path;
  const bool status = TakeStatus(at);
  Json* old = Find(at);
  if (old == nullptr) return Failed(404, "NotFound", at + " not found");
  const std::string version = object.value("/metadata/resourceVersion"_json_pointer, "");
  if (!version.empty() && version != (*old)["metadata"]["resourceVersion"])
    return Failed(409, "Conflict", "the object has been modified; please apply your changes to the latest version");
  KeepOtherHalf(*old, object, status);
  Commit("MODIFIED", at, object);
  return {200, object};
}

Answer ObjectStore::Patch(const std::string& path, const std::string& content_type, const Json& patch) {
  std::lock_guard lock(mutex_);
  std::string at = path;
  const bool status = TakeStatus(at);
  Json* old = Find(at);
  if (old == nullptr) return Failed(404, "NotFound", at + " not found");
  Json now = *old;
  try {
    if (content_type == "application/json-patch+json") {
      now = now.patch(patch);
    } else if (content_type == "application/merge-patch+json") {
      now.merge_patch(patch);
    } else if (content_type == "application/strategic-merge-patch+json") {
      StrategicMerge(now, patch);
    } else {
      return Failed(415, "UnsupportedMediaType", content_type);
    }
  } catch (const Json::exception& e) {
    return Failed(422, "Invalid", e.what());
  }
  // A rule of the real one that is easy to break: a series counts all occurrences, so it begins at two.
  if (now.value("/series/count"_json_pointer, 2) < 2)
    return Failed(422, "Invalid", "series.count: should be at least 2");
  if (now["metadata"].value("resourceVersion", "") != (*old)["metadata"]["resourceVersion"])
    return Failed(409, "Conflict", "the object has been modified; please apply your changes to the latest version");
  KeepOtherHalf(*old, now, status);
  if (now != *old) Commit("MODIFIED", at, now);
  return {200, now};
}

Answer ObjectStore::Delete(const std::string& path) {
  std::lock_guard lock(mutex_);
  Json* old = Find(path);
  if (old == nullptr) return Failed(404, "NotFound", path + " not found");
  Json gone = *old;
  Commit("DELETED", path, gone);
  return {200, gone};
}

std::optional<std::vector<Change>> ObjectStore::Next(const std::string& collection, const Query& query,
                                                     uint64_t version, const std::function<bool()>& give_up) const {
  std::unique_lock lock(mutex_);
  while (!give_up()) {
    if (version < oldest_) return std::nullopt;
    std::vector<Change> found;
    for (const auto& change : history_) {
      if (change.version > version && In(collection, change.path) && Selected(change.object, query))
        found.push_back(change);
    }
    if (!found.empty()) return found;
    changed_.wait_for(lock, std::chrono::milliseconds(200));
  }
  return std::vector<Change>();
}

uint64_t ObjectStore::version() const {
  std::lock_guard lock(mutex_);
  return version_;
}

void ObjectStore::ForgetHistory() {
  std::lock_guard lock(mutex_);
  history_.clear();
  oldest_ = ++version_;
  changed_.notify_all();
}

bool ObjectStore::WaitFor(const std::function<bool()>& holds) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!holds()) {
    std::unique_lock lock(mutex_);
    if (std::chrono::steady_clock::now() > end) return false;
    changed_.wait_for(lock, std::chrono::milliseconds(20));
  }
  return true;
}

void ObjectStore::Wake() const {
  std::lock_guard lock(mutex_);
  changed_.notify_all();
}

}  // namespace ccgpu::kube::testing
