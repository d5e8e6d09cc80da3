#include "shim/host/config.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "base/file.h"
#include "base/json.h"

namespace ccgpu::shim {
namespace {

constexpr size_t kMaxConfig = 1 << 16;

struct Entry {
  std::string key;
  std::vector<std::string> values;
  bool list = false;
  std::string where;  // file:line:column
};

std::string Trim(std::string_view text) {
  size_t begin = text.find_first_not_of(" \t\r"), end = text.find_last_not_of(" \t\r");
  return begin == std::string_view::npos ? "" : std::string(text.substr(begin, end - begin + 1));
}

std::string Unquote(const std::string& text) {
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
    return text.substr(1, text.size() - 2);
  return text;
}

// One "key: value" a line; value plain, quoted, or a list [a, b].
Result<std::vector<Entry>> ReadLines(std::string_view text, const std::string& file) {
  std::vector<Entry> out;
  size_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    size_t comment = line.rfind('#', 0) == 0 ? 0 : line.find(" #");
    line = line.substr(0, comment);
    if (Trim(line).empty() || Trim(line) == "---") continue;
    std::string where = file + ":" + std::to_string(number) + ":1";
    size_t colon = line.find(':');
    if (colon == std::string_view::npos || line.front() == ' ' || line.front() == '-')
      return Err("shim.bad-config", where, "expected one \"key: value\" a line, not indented");
    Entry entry{Trim(line.substr(0, colon)), {}, false, where};
    std::string value = Trim(line.substr(colon + 1));
    if (!value.empty() && value.front() == '[') {
      if (value.back() != ']') return Err("shim.bad-config", where, "expected ] at the end of the list");
      entry.list = true;
      value = value.substr(1, value.size() - 2);
      for (size_t at = 0; at < value.size();) {
        size_t comma = std::min(value.find(',', at), value.size());
        entry.values.push_back(Unquote(Trim(value.substr(at, comma - at))));
        at = comma + 1;
      }
    } else {
      entry.values.push_back(Unquote(value));
    }
    out.push_back(std::move(entry));
  }
  return out;
}

Result<std::vector<Entry>> ReadJson(std::string_view text, const std::string& file) {
  ASSIGN_OR_RETURN(Json json, ParseJson(text, file));
  std::vector<Entry> out;
  for (const auto& [key, value] : json.items()) {
    Entry entry{key, {}, value.is_array(), file + ": " + key};
    auto add = [&](const Json& item) {
      if (item.is_boolean()) entry.values.push_back(item.get<bool>() ? "true" : "false");
      else if (item.is_string()) entry.values.push_back(item.get<std::string>());
      else return false;
      return true;
    };
    bool fits = true;
    if (value.is_array()) {
      for (const auto& item : value) fits = fits && add(item);
    } else {
      fits = add(value);
    }
    if (!fits) return Err("shim.bad-config", entry.where, "expected a string, true, false, or a list of strings");
    out.push_back(std::move(entry));
  }
  return out;
}

}  // namespace

Result<Config> ParseConfig(std::string_view text, const std::string& file) {
  size_t first = text.find_first_not_of(" \t\r\n");
  bool json = first != std::string_view::npos && text[first] == '{';
  ASSIGN_OR_RETURN(std::vector<Entry> entries, json ? ReadJson(text, file) : ReadLines(text, file));
  Config config;
  const std::map<std::string, std::string Config::*> texts = {
      {"platform_socket", &Config::platform_socket},
      {"resolver_socket", &Config::resolver_socket},
      {"guest_image", &Config::guest_image},
      {"events_dir", &Config::events_dir},
      {"runc", &Config::runc},
      {"pod_gpu_resource", &Config::pod_gpu_resource},
  };
  std::set<std::string> seen;
  for (const auto& entry : entries) {
    if (!seen.insert(entry.key).second) return Err("shim.bad-config", entry.where, entry.key + " stands here twice");
    if (entry.key == "cdi_dirs") {
      config.cdi_dirs = entry.values;
      continue;
    }
    if (entry.list) return Err("shim.bad-config", entry.where, entry.key + " takes one value");
    const std::string& value = entry.values.front();
    if (entry.key == "require_policy") {
      if (value != "true" && value != "false")
        return Err("shim.bad-config", entry.where, "require_policy: expected true or false, found " + value);
      config.require_policy = value == "true";
      continue;
    }
    if (entry.key == "log_format") {
      if (value != "text" && value != "json")
        return Err("shim.bad-config", entry.where, "log_format: expected text or json, found " + value);
      config.log_format = value;
      continue;
    }
    auto it = texts.find(entry.key);
    if (it == texts.end()) return Err("shim.bad-config", entry.where, "no such key: " + entry.key + "; see --help");
    if (entry.key != "runc" && entry.key != "pod_gpu_resource" && !value.empty() && value.front() != '/')
      return Err("shim.bad-config", entry.where, entry.key + ": expected an absolute path, found " + value);
    config.*it->second = value;
  }
  return config;
}

std::string ConfigFile(const std::string& from_options) {
  if (!from_options.empty()) return from_options;
  const char* variable = std::getenv(kConfigVariable);
  if (variable && *variable) return variable;
  return Exists(kDefaultConfig) ? kDefaultConfig : "";
}

Result<Config> LoadConfig(const std::string& file) {
  if (file.empty()) return Config{};
  ASSIGN_OR_RETURN(std::string text, ReadFile(file, kMaxConfig));
  return ParseConfig(text, file);
}

}  // namespace ccgpu::shim
