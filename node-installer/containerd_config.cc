#include "node-installer/containerd_config.h"

#include <fnmatch.h>

#include <sstream>
#include <toml.hpp>

#include "base/toml_text.h"

namespace ccgpu::installer {
namespace {

constexpr char kBegin[] = "# >>> ccgpu";
constexpr char kEnd[] = "# <<< ccgpu";
constexpr char kMadeFile[] = "made-file", kAddedNewline[] = "added-newline";
constexpr char kDropInHead[] = "# ccgpu: written by ccgpu-node-installer, which removes it again; do not edit\n";
constexpr int kNewestVersion = 4;  // of containerd 2.4

struct Line {
  size_t begin, end;  // without and with the line's end
  std::string_view text;
};

std::vector<Line> MarkLines(std::string_view text, std::string_view mark) {
  std::vector<Line> out;
  for (size_t at = 0; at < text.size();) {
    const size_t newline = text.find('\n', at);
    const size_t end = newline == std::string_view::npos ? text.size() : newline + 1;
    std::string_view line = text.substr(at, end - at);
    if (line.starts_with(mark)) out.push_back({at, end, line});
    at = end;
  }
  return out;
}

Result<toml::value> Parse(std::string_view text, const std::string& file) {
  if (const char* fault = TomlFault(text)) return Err("installer.config-broken", file, fault);
  std::istringstream in{std::string(text)};
  try {
    return toml::parse(in, file);
  } catch (const std::exception& error) {
    // toml11 explains over several lines, with the place in the first ones.
    std::string words = error.what();
    for (char& c : words) c = c == '\n' ? ' ' : c;
    return Err("installer.config-broken", file, "is not TOML: " + words.substr(0, 300));
  }
}

const toml::value* Find(const toml::value& value, const std::string& key) {
  if (!value.is_table()) return nullptr;
  const auto& table = value.as_table();
  const auto found = table.find(key);
  return found == table.end() ? nullptr : &found->second;
}

const char* CriPlugin(int version) {
  return version >= 3 ? "io.containerd.cri.v1.runtime" : "io.containerd.grpc.v1.cri";
}

// The handler's table under any of CRI's names; containerd reads older sections as well.
const toml::value* FindHandler(const toml::value& root) {
  for (const char* plugin : {"io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri", "cri"}) {
    const toml::value* at = &root;
    for (const char* key : {"plugins", plugin, "containerd", "runtimes", kHandler}) {
      if (at != nullptr) at = Find(*at, key);
    }
    if (at != nullptr) return at;
  }
  return nullptr;
}

// Takes our handler out, and tables that are empty.
void Prune(toml::value& value, const std::string& path, const std::string& ours) {
  if (!value.is_table()) return;
  auto& table = value.as_table();
  for (auto it = table.begin(); it != table.end();) {
    const std::string below = path + "/" + it->first;
    Prune(it->second, below, ours);
    const bool gone = below == ours || (it->second.is_table() && it->second.as_table().empty());
    it = gone ? table.erase(it) : std::next(it);
  }
}

ConfigFacts FactsOf(const toml::value& root) {
  ConfigFacts facts;
  facts.empty = root.as_table().empty();
  if (const auto* version = Find(root, "version"); version != nullptr)
    facts.version = version->is_integer() ? static_cast<int>(version->as_integer()) : -1;
  facts.has_handler = FindHandler(root) != nullptr;
  if (const auto* imports = Find(root, "imports"); imports != nullptr && imports->is_array()) {
    for (const auto& entry : imports->as_array()) {
      if (entry.is_string()) facts.imports.push_back(entry.as_string());
    }
  }
  return facts;
}

Status CheckVersion(const ConfigFacts& facts, const std::string& file, int containerd_major) {
  const std::string found =
      facts.version == 0 ? "no version key, which means version 1" : "version " + std::to_string(facts.version);
  const int newest = containerd_major >= 2 ? kNewestVersion : 2;
  if (facts.version >= 2 && facts.version <= newest) return Ok();
  return Err("installer.config-version", file,
             "expected version 2 to " + std::to_string(newest) + " for containerd " + std::to_string(containerd_major) +
                 ".x, found " + found + "; `containerd config migrate` makes a current one");
}

// The new text must still say everything that the old one said, and our handler.
Status CheckMeaning(std::string_view before, std::string_view after, int version, const std::string& file) {
  ASSIGN_OR_RETURN(toml::value old_root, Parse(before, file));
  auto new_root = Parse(after, file);
  if (!new_root.ok()) {
    return Err("installer.config-conflict", file,
               "a handler cannot be added behind what stands there (inline tables?): " + new_root.error().text);
  }
  const toml::value* handler = FindHandler(*new_root);
  const toml::value* type = handler == nullptr ? nullptr : Find(*handler, "runtime_type");
  const bool have = type != nullptr && type->is_string() && std::string(type->as_string()) == kRuntimeType;
  const std::string ours = std::string("/plugins/") + CriPlugin(version) + "/containerd/runtimes/" + kHandler;
  Prune(old_root, "", ours);
  Prune(*new_root, "", ours);
  if (Find(old_root, "version") == nullptr && new_root->is_table()) new_root->as_table().erase("version");
  if (have && old_root == *new_root) return Ok();
  return Err("installer.config-conflict", file, "adding a handler would change the meaning of something else");
}

}  // namespace

std::string HandlerToml(int version, const HandlerOptions& options) {
  const std::string table = std::string("plugins.\"") + CriPlugin(version) + "\".containerd.runtimes." + kHandler;
  // No SystemdCgroup: containerd hands such options to runc's own shim only; ours sees the driver in the cgroup's path.
  return "[" + table + "]\n  runtime_type = \"" + kRuntimeType +
         "\"\n"
         "  pod_annotations = [\"ccgpu.dev/*\", \"io.katacontainers.config.hypervisor.cc_init_data\"]\n"
         "  container_annotations = [\"cdi.k8s.io/*\", \"ccgpu.dev/*\"]\n"
         "  [" +
         table + ".options]\n    ConfigPath = \"" + options.shim_config + "\"\n";
}

Result<SplitConfig> Split(std::string_view text, const std::string& file) {
  SplitConfig out;
  const auto begins = MarkLines(text, kBegin), ends = MarkLines(text, kEnd);
  if (begins.empty() && ends.empty()) {
    out.without = text;
    out.at = text.size();
    out.added_newline = !text.empty() && text.back() != '\n';
    return out;
  }
  if (begins.size() != 1 || ends.size() != 1 || ends[0].begin < begins[0].begin) {
    return Err(
        "installer.config-broken", file,
        std::string("the marks \"") + kBegin + "\" and \"" + kEnd +
            "\" do not stand there once each; remove what belongs to ccgpu by hand, or put back FILE.ccgpu-backup");
  }
  size_t begin = begins[0].begin;
  out.added_newline = begins[0].text.find(kAddedNewline) != std::string_view::npos && begin > 0;
  if (out.added_newline) --begin;
  out.at = begin;
  out.made_file = begins[0].text.find(kMadeFile) != std::string_view::npos;
  out.block = text.substr(begins[0].begin, ends[0].end - begins[0].begin);
  out.without = std::string(text.substr(0, begin)) + std::string(text.substr(ends[0].end));
  return out;
}

Result<ConfigFacts> Inspect(std::string_view text, const std::string& file) {
  ASSIGN_OR_RETURN(const toml::value root, Parse(text, file));
  return FactsOf(root);
}

std::string DropInPath(const std::vector<std::string>& imports, const std::string& file) {
  const std::string home = file.substr(0, file.rfind('/'));
  for (std::string pattern : imports) {
    if (!pattern.starts_with('/')) pattern = home + "/" + pattern;
    const size_t slash = pattern.rfind('/');
    const std::string folder = pattern.substr(0, slash);
    if (folder.find_first_of("*?[") != std::string::npos || folder == home) continue;
    const std::string path = folder + "/" + kDropInName;
    if (::fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0) return path;
  }
  return "";
}

bool IsOurDropIn(std::string_view text) { return text.starts_with(kDropInHead); }

Result<ConfigPlan> PlanInstall(const FileText& text, const std::string& file, int containerd_major,
                               const HandlerOptions& options) {
  ASSIGN_OR_RETURN(const SplitConfig split, Split(text.text, file));
  ASSIGN_OR_RETURN(ConfigFacts facts, Inspect(split.without, file));
  if (facts.has_handler) {
    return Err("installer.foreign-handler", file,
               std::string("has a handler \"") + kHandler + "\" that the installer did not write; remove it first");
  }
  const bool without_version =
      facts.empty || (facts.version == 0 && split.block.find("\nversion = ") != std::string::npos);
  if (without_version) facts.version = containerd_major >= 2 ? 3 : 2;
  RETURN_IF_ERROR(CheckVersion(facts, file, containerd_major));
  ConfigPlan plan;
  const std::string handler = HandlerToml(facts.version, options);
  const std::string drop_in = containerd_major >= 2 ? DropInPath(facts.imports, file) : "";
  if (!drop_in.empty()) {
    plan.drop_in = drop_in;
    plan.drop_in_text = kDropInHead + ("version = " + std::to_string(facts.version) + "\n") + handler;
    if (!split.block.empty()) plan.config = split.without;  // it was made for an older containerd
    return plan;
  }
  std::string begin = kBegin;
  begin += ": written by ccgpu-node-installer, which removes it again; do not edit";
  if (!text.exists || split.made_file) begin += std::string(" (") + kMadeFile + ")";
  if (split.added_newline) begin += std::string(" (") + kAddedNewline + ")";
  std::string after = split.without.substr(0, split.at) + (split.added_newline ? "\n" : "") + begin + "\n";
  if (without_version) after += "version = " + std::to_string(facts.version) + "\n";
  after += handler + kEnd + "\n" + split.without.substr(split.at);
  RETURN_IF_ERROR(CheckMeaning(split.without, after, facts.version, file));
  if (!text.exists || after != text.text) plan.config = std::move(after);
  return plan;
}

}  // namespace ccgpu::installer
