// What the programs' main files share: reading --config before the other flags, log levels by name, defaults of paths.
#pragma once

#include <string>
#include <string_view>

#include "base/log.h"

namespace ccgpu {

// The value of `--config FILE` or `--config=FILE`, the last one; "" without. The file is the ground and flags go over
// it, so it is read before the flags are parsed.
std::string ConfigArgument(int argc, const char* const* argv);

// debug, info, warning or error; anything else is info.
log::Level LogLevelNamed(std::string_view name);

// Gives `field` its default when nobody set it.
inline void FillDefault(std::string& field, std::string value) {
  if (field.empty()) field = std::move(value);
}

// The state folder: $CCGPU_STATE, else /var/lib/ccgpu.
std::string DefaultStateFolder();

}  // namespace ccgpu
