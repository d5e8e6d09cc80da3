// Paths of the API's objects, each name escaped.
#pragma once

#include <string>
#include <string_view>

namespace ccgpu::kube {

// One path segment or query value, percent-encoded.
std::string Escape(std::string_view text);

// "/api/v1/nodes/NAME"; "" gives the collection.
std::string NodePath(std::string_view name);
// Of the core group: Core("ns", "pods", "name") -> "/api/v1/namespaces/ns/pods/name". An empty namespace means all
// namespaces (or a cluster-wide kind), an empty name the collection.
std::string Core(std::string_view ns, std::string_view resource, std::string_view name = "",
                 std::string_view subresource = "");
// Of a named group: Group("apps/v1", "ns", "daemonsets", "name").
std::string Group(std::string_view group_version, std::string_view ns, std::string_view resource,
                  std::string_view name = "", std::string_view subresource = "");

}  // namespace ccgpu::kube
