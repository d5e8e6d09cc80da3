// Names of resources: "repository/type/tag", and the kbs:// URIs that stand for them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace ccgpu::kbs {

struct ResourcePath {
  std::string repository, type, tag;
  std::string ToString() const { return repository + "/" + type + "/" + tag; }
  auto operator<=>(const ResourcePath&) const = default;
};

// Exactly three segments of letters, digits, '_', '-' and (not first) '.'. No escapes: what is stored is what was asked
// for.
Result<ResourcePath> ParseResourcePath(std::string_view text);

// kbs[+plugin]://[host[:port]]/path[?query]. The host is ignored by agents: they use the measured broker address.
struct ResourceUri {
  std::string plugin = "resource";
  std::string host;  // "host:port" as written, may be empty
  std::vector<std::string> path;
  std::string query;             // without '?'
  std::string ToString() const;  // plugin "resource" is left out
  bool operator==(const ResourceUri&) const = default;
};
Result<ResourceUri> ParseResourceUri(std::string_view text);

}  // namespace ccgpu::kbs
