// Small checks that the manifest parser's parts share.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/yaml.h"

namespace ccgpu::node {

using FieldNames = std::initializer_list<const char*>;

// An error for each field of `map` that is not in `honoured`.
void OnlyHonoured(YamlMap& map, FieldNames honoured);
// The same of a manifest that may be for a cluster: then the fields of `kubernetes` are fine too.
void OnlyHonoured(YamlMap& map, bool for_kubernetes, FieldNames honoured, FieldNames kubernetes);
// $(NAME) and $$ as Kubernetes reads them in command, args and env: a name that is not in `known` stays as it is
// written. A name whose value only the running pod knows (nothing in `known`) fails: the result is then nothing.
std::optional<std::string> ExpandReferences(std::string_view text,
                                            const std::map<std::string, std::optional<std::string>>& known);
bool IsDnsLabel(std::string_view text);      // RFC 1123, at most 63
bool IsDnsSubdomain(std::string_view text);  // labels with dots, at most 253
bool IsEnvName(std::string_view text);
bool IsAbsoluteClean(std::string_view path);  // "/..." without ".." or NUL

}  // namespace ccgpu::node
