// What the programs' main files share: reading --config before the other flags, log levels by name, defaults of paths.
#pragma once

#include <signal.h>

#include <chrono>
#include <optional>
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

// SIGTERM and SIGINT, by which a program is told to end. Made before the program's first thread, it blocks both for
// that thread and all later ones, for good; they then end nothing and are taken by whoever waits here.
class EndSignals {
 public:
  EndSignals();
  // The signal that came.
  int Wait() const;
  // The same; nothing when none came in this time.
  std::optional<int> WaitFor(std::chrono::nanoseconds time) const;
  // For signalfd(2).
  const sigset_t& set() const { return set_; }

 private:
  sigset_t set_;
};

}  // namespace ccgpu
