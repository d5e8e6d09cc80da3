#include "node/manifest/fields.h"

#include <cctype>

namespace ccgpu::node {

void OnlyHonoured(YamlMap& map, FieldNames honoured) { OnlyHonoured(map, false, honoured, {}); }

void OnlyHonoured(YamlMap& map, bool for_kubernetes, FieldNames honoured, FieldNames kubernetes) {
  if (!map.node().IsMap()) return;
  for (const auto& entry : map.node()) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "?";
    bool known = false;
    for (const char* one : honoured) known = known || key == one;
    for (const char* one : kubernetes) known = known || (for_kubernetes && key == one);
    if (known) continue;
    map.errors().Add("node.unsupported-field", entry.first, map.path().empty() ? key : map.path() + "." + key,
                     for_kubernetes
                         ? "no policy can hold what this field does: leave it out"
                         : "is not honoured by ccgpu-node; remove it, or run the pod on a Kubernetes cluster");
  }
}

std::optional<std::string> ExpandReferences(std::string_view text,
                                            const std::map<std::string, std::optional<std::string>>& known) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '$' || at + 1 == text.size()) {
      out += text[at];
      continue;
    }
    const char next = text[++at];
    const size_t close = next == '(' ? text.find(')', at) : std::string_view::npos;
    if (next == '$') {
      out += '$';
    } else if (close == std::string_view::npos) {
      out += '$';
      out += next;
    } else {
      const std::string name(text.substr(at + 1, close - at - 1));
      const auto found = known.find(name);
      if (found != known.end() && !found->second) return std::nullopt;
      out += found == known.end() ? "$(" + name + ")" : *found->second;
      at = close;
    }
  }
  return out;
}

bool IsDnsLabel(std::string_view text) {
  if (text.empty() || text.size() > 63) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (!alnum && (c != '-' || i == 0 || i + 1 == text.size())) return false;
  }
  return true;
}

bool IsDnsSubdomain(std::string_view text) {
  if (text.size() > 253) return false;
  for (;;) {
    const size_t dot = text.find('.');
    if (!IsDnsLabel(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool IsEnvName(std::string_view text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text[0]))) return false;
  for (char c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-' && c != '.') return false;
  }
  return true;
}

bool IsAbsoluteClean(std::string_view path) {
  if (path.empty() || path[0] != '/' || path.find('\0') != std::string_view::npos) return false;
  for (size_t at = 0; at < path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (path.substr(at, end - at) == "..") return false;
    at = end + 1;
  }
  return true;
}

}  // namespace ccgpu::node
