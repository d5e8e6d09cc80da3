#include "attestation-agent/events.h"

#include "base/json.h"
#include "base/log.h"

namespace ccgpu::agent {

void Events::Tell(std::string_view code, std::string_view message, std::string_view subject) {
  log::Info(message, {{"code", code}, {"subject", subject}});
  if (!pipe_.valid()) return;
  const std::string line = Json({{"code", code}, {"message", message}, {"subject", subject}}).dump() + "\n";
  std::lock_guard lock(mutex_);
  [[maybe_unused]] const ssize_t ignored = ::write(pipe_.get(), line.data(), line.size());
}

}  // namespace ccgpu::agent
