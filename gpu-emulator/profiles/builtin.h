// The profiles that are compiled in: name and YAML text.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace ccgpu::emulator {
const std::vector<std::pair<std::string, std::string>>& BuiltinProfiles();
}
