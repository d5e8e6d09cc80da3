#include "node/devices/checkpoint.h"

#include "base/encoding.h"
#include "base/json.h"

namespace ccgpu::node {
namespace {

uint32_t Fnv1a(std::string_view text) {
  uint32_t hash = 2166136261u;
  for (unsigned char c : text) hash = (hash ^ c) * 16777619u;
  return hash;
}

Error Bad(const std::string& path, const std::string& why) {
  return Err("node.bad-checkpoint", path, why + "; end all pods (ccgpu down), remove the file and start again");
}

Result<std::vector<std::string>> StringList(const Json& json, const std::string& path) {
  std::vector<std::string> out;
  if (!json.is_array()) return Bad(path, "a list of ids is not a list");
  for (const auto& id : json) {
    if (!id.is_string()) return Bad(path, "an id is not a string");
    out.push_back(id.get<std::string>());
  }
  return out;
}

}  // namespace

std::vector<std::string> DeviceEntry::Ids() const {
  std::vector<std::string> out;
  for (const auto& [numa, ids] : ids_by_numa) out.insert(out.end(), ids.begin(), ids.end());
  return out;
}

std::string WriteCheckpoint(const Checkpoint& checkpoint) {
  Json entries = Json::array();
  for (const auto& entry : checkpoint.entries) {
    Json ids = Json::object();
    for (const auto& [numa, list] : entry.ids_by_numa) ids[std::to_string(numa)] = list;
    entries.push_back({{"PodUID", entry.pod_uid},
                       {"ContainerName", entry.container},
                       {"ResourceName", entry.resource},
                       {"DeviceIDs", ids},
                       {"AllocResp", Base64Encode(AsBytes(entry.alloc_response))}});
  }
  Json data = {{"PodDeviceEntries", entries}, {"RegisteredDevices", Json::object()}};
  for (const auto& [resource, ids] : checkpoint.registered) data["RegisteredDevices"][resource] = ids;
  const uint32_t checksum = Fnv1a(data.dump());
  return Json({{"Data", std::move(data)}, {"Checksum", checksum}}).dump();
}

Result<Checkpoint> ReadCheckpoint(std::string_view text, const std::string& path) {
  auto parsed = ParseJson(text, path);
  if (!parsed.ok()) return Bad(path, "is not JSON (" + parsed.error().text + ")");
  const Json& root = *parsed;
  if (!root.is_object() || !root.contains("Data") || !root["Data"].is_object() || !root.contains("Checksum") ||
      !root["Checksum"].is_number_unsigned()) {
    return Bad(path, "has no Data and Checksum");
  }
  const Json& data = root["Data"];
  if (root["Checksum"].get<uint64_t>() != Fnv1a(data.dump())) return Bad(path, "its checksum does not match its data");
  Checkpoint out;
  const Json entries = data.value("PodDeviceEntries", Json::array());
  if (!entries.is_array()) return Bad(path, "PodDeviceEntries is not a list");
  for (const auto& item : entries) {
    DeviceEntry entry;
    ASSIGN_OR_RETURN(entry.pod_uid, JsonString(item, "PodUID", path));
    ASSIGN_OR_RETURN(entry.container, JsonString(item, "ContainerName", path));
    ASSIGN_OR_RETURN(entry.resource, JsonString(item, "ResourceName", path));
    ASSIGN_OR_RETURN(const std::string response, JsonString(item, "AllocResp", path));
    ASSIGN_OR_RETURN(const Bytes bytes, Base64Decode(response));
    entry.alloc_response.assign(bytes.begin(), bytes.end());
    ASSIGN_OR_RETURN(const Json ids, JsonObject(item, "DeviceIDs", path));
    for (const auto& [numa, list] : ids.items()) {
      if (numa.empty() || numa.size() > 4 || numa.find_first_not_of("-0123456789") != std::string::npos ||
          numa == "-") {
        return Bad(path, "\"" + numa + "\" is not a NUMA node");
      }
      ASSIGN_OR_RETURN(entry.ids_by_numa[std::stoi(numa)], StringList(list, path));
    }
    out.entries.push_back(std::move(entry));
  }
  const Json registered = data.value("RegisteredDevices", Json::object());
  if (!registered.is_object()) return Bad(path, "RegisteredDevices is not an object");
  for (const auto& [resource, list] : registered.items()) {
    ASSIGN_OR_RETURN(out.registered[resource], StringList(list, path));
  }
  return out;
}

}  // namespace ccgpu::node
