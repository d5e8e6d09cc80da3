#include "trust/kbs/resource_path.h"

#include <algorithm>

namespace ccgpu::kbs {
namespace {

constexpr size_t kMaxPath = 512;

bool IsWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool IsSegment(std::string_view text) {
  return !text.empty() && IsWord(text[0]) &&
         std::all_of(text.begin(), text.end(), [](char c) { return IsWord(c) || c == '.'; });
}

std::vector<std::string> Split(std::string_view text) {
  std::vector<std::string> out(1);
  for (char c : text) {
    if (c == '/') out.emplace_back();
    else out.back() += c;
  }
  return out;
}

Error BadUri(std::string_view uri, std::string text) {
  return Err("kbs.bad-resource-uri", std::string(uri), std::move(text));
}

}  // namespace

Result<ResourcePath> ParseResourcePath(std::string_view text) {
  if (text.size() > kMaxPath) return Err("kbs.bad-resource-path", "resource path", "is longer than 512 characters");
  std::vector<std::string> parts = Split(text);
  if (parts.size() != 3 || !std::all_of(parts.begin(), parts.end(), IsSegment)) {
    return Err("kbs.bad-resource-path", std::string(text),
               "must be repository/type/tag, each of letters, digits, '_', '-' and (not first) '.'");
  }
  return ResourcePath{std::move(parts[0]), std::move(parts[1]), std::move(parts[2])};
}

std::string ResourceUri::ToString() const {
  std::string out = plugin == "resource" ? "kbs://" : "kbs+" + plugin + "://";
  out += host;
  for (const auto& part : path) out += "/" + part;
  if (!query.empty()) out += "?" + query;
  return out;
}

Result<ResourceUri> ParseResourceUri(std::string_view text) {
  const size_t colon = text.find("://");
  if (text.size() > 4 * kMaxPath || colon == std::string_view::npos)
    return BadUri("resource URI", "must be kbs[+plugin]://[host]/path");
  const std::string_view scheme = text.substr(0, colon);
  std::string_view rest = text.substr(colon + 3);
  ResourceUri out;
  if (scheme.starts_with("kbs+")) {
    out.plugin = scheme.substr(4);
    if (out.plugin.empty()) return BadUri(text, "the scheme requires a plugin name after kbs+");
    if (!std::all_of(out.plugin.begin(), out.plugin.end(), IsWord))
      return BadUri(text, "the plugin name may hold letters, digits, '_' and '-'");
  } else if (scheme != "kbs") {
    return BadUri(text, "scheme must be kbs");
  }
  if (rest.find('#') != std::string_view::npos) return BadUri(text, "may not have a fragment");
  if (const size_t mark = rest.find('?'); mark != std::string_view::npos) {
    out.query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return BadUri(text, "has no path");
  out.host = rest.substr(0, slash);
  out.path = Split(rest.substr(slash + 1));
  for (const auto& part : out.path) {
    if (!IsSegment(part)) return BadUri(text, "each path segment is of letters, digits, '_', '-' and (not first) '.'");
  }
  return out;
}

}  // namespace ccgpu::kbs
