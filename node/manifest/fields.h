// Small checks that the manifest parser's parts share.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "base/yaml.h"

namespace ccgpu::node {

// An error for each field of `map` that is not in `honoured`.
void OnlyHonoured(YamlMap& map, std::initializer_list<const char*> honoured);
bool IsDnsLabel(std::string_view text);      // RFC 1123, at most 63
bool IsDnsSubdomain(std::string_view text);  // labels with dots, at most 253
bool IsEnvName(std::string_view text);
bool IsAbsoluteClean(std::string_view path);  // "/..." without ".." or NUL

}  // namespace ccgpu::node
