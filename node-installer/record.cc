#include "node-installer/record.h"

#include <algorithm>
#include <set>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/json.h"

namespace ccgpu::installer {
namespace {

constexpr int kFormat = 1;
const std::set<std::string> kKeys = {"format", "version",       "files",   "folders",
                                     "config", "config_digest", "drop_in", "restart_due"};

bool IsPath(const Json& value) { return value.is_string() && value.get<std::string>().starts_with('/'); }

}  // namespace

std::string DigestOf(std::string_view content) { return HexEncode(crypto::Sha256(AsBytes(content))); }

void AddUnique(std::vector<std::string>& to, const std::vector<std::string>& more) {
  for (const std::string& item : more) {
    if (std::find(to.begin(), to.end(), item) == to.end()) to.push_back(item);
  }
}

std::string WriteRecord(const Record& record) {
  const Json json = {{"format", kFormat},         {"version", record.version},
                     {"files", record.files},     {"folders", record.folders},
                     {"config", record.config},   {"config_digest", record.config_digest},
                     {"drop_in", record.drop_in}, {"restart_due", record.restart_due}};
  return json.dump(2) + "\n";
}

Result<Record> ReadRecord(const std::string& text, const std::string& file) {
  const auto broken = [&](const std::string& what) {
    return Err("installer.record-broken", file,
               what +
                   "; another version of the installer may have written it: uninstall with that one, or remove the "
                   "file together with what it names");
  };
  const auto parsed = ParseJson(text, file);
  if (!parsed.ok() || !parsed->is_object()) return broken("is no JSON object");
  const Json& json = *parsed;
  for (const auto& [key, value] : json.items()) {
    if (!kKeys.contains(key)) return broken("has the unknown key \"" + key + "\"");
  }
  for (const std::string& key : kKeys) {
    if (!json.contains(key)) return broken("has no key \"" + key + "\"");
  }
  if (json["format"] != kFormat) return broken("is of another format than " + std::to_string(kFormat));
  bool fits = json["version"].is_string() && json["files"].is_object() && json["folders"].is_array() &&
              IsPath(json["config"]) && json["config_digest"].is_string() && json["drop_in"].is_string() &&
              json["restart_due"].is_boolean();
  if (!fits) return broken("has a value of the wrong type");
  for (const auto& [path, digest] : json["files"].items()) fits = fits && path.starts_with('/') && digest.is_string();
  for (const Json& folder : json["folders"]) fits = fits && IsPath(folder);
  const std::string drop_in = json["drop_in"];
  if (!fits || (!drop_in.empty() && drop_in[0] != '/')) return broken("names something that is no absolute path");
  Record record;
  record.version = json["version"];
  record.files = json["files"].get<std::map<std::string, std::string>>();
  record.folders = json["folders"].get<std::vector<std::string>>();
  record.config = json["config"];
  record.config_digest = json["config_digest"];
  record.drop_in = drop_in;
  record.restart_due = json["restart_due"];
  return record;
}

}  // namespace ccgpu::installer
