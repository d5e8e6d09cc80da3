#include "kube/paths.h"

namespace ccgpu::kube {

std::string Escape(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

namespace {

std::string Under(std::string root, std::string_view ns, std::string_view resource, std::string_view name,
                  std::string_view subresource) {
  if (!ns.empty()) root += "/namespaces/" + Escape(ns);
  root += "/" + Escape(resource);
  if (!name.empty()) root += "/" + Escape(name);
  if (!subresource.empty()) root += "/" + Escape(subresource);
  return root;
}

}  // namespace

std::string NodePath(std::string_view name) { return Core("", "nodes", name); }

std::string Core(std::string_view ns, std::string_view resource, std::string_view name, std::string_view subresource) {
  return Under("/api/v1", ns, resource, name, subresource);
}

std::string Group(std::string_view group_version, std::string_view ns, std::string_view resource, std::string_view name,
                  std::string_view subresource) {
  return Under("/apis/" + std::string(group_version), ns, resource, name, subresource);
}

}  // namespace ccgpu::kube
