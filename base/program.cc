#include "base/program.h"

#include <cstdlib>

namespace ccgpu {

std::string ConfigArgument(int argc, const char* const* argv) {
  constexpr std::string_view kFlag = "--config";
  std::string out;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == kFlag && i + 1 < argc) out = argv[i + 1];
    else if (word.starts_with("--config=")) out = word.substr(kFlag.size() + 1);
  }
  return out;
}

log::Level LogLevelNamed(std::string_view name) {
  if (name == "debug") return log::Level::kDebug;
  if (name == "warning") return log::Level::kWarning;
  if (name == "error") return log::Level::kError;
  return log::Level::kInfo;
}

std::string DefaultStateFolder() {
  const char* state = std::getenv("CCGPU_STATE");
  return state && *state ? state : "/var/lib/ccgpu";
}

EndSignals::EndSignals() {
  sigemptyset(&set_);
  sigaddset(&set_, SIGTERM);
  sigaddset(&set_, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &set_, nullptr);
}

int EndSignals::Wait() const {
  int signal = 0;
  ::sigwait(&set_, &signal);
  return signal;
}

std::optional<int> EndSignals::WaitFor(std::chrono::nanoseconds time) const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  const timespec limit{seconds.count(), (time - seconds).count()};
  const int signal = ::sigtimedwait(&set_, nullptr, &limit);
  return signal > 0 ? std::optional(signal) : std::nullopt;
}

}  // namespace ccgpu
