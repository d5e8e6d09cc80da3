// Words about paths and patterns that the pod policy uses. Text only: nothing is looked up on a disk.
#pragma once

#include <string_view>

namespace ccgpu::policy {

// "/", or "/a/b": no empty part, no "." or "..", no NUL, no "/" at the end.
bool IsNormalAbsolute(std::string_view path);

// * is any text (empty too), ? any one byte; everything else is itself. Time: at most pattern times text.
bool GlobMatch(std::string_view pattern, std::string_view text);

}  // namespace ccgpu::policy
