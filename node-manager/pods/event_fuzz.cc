// Lines and pod.json that a hostile sandbox or host writes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "node-manager/pods/event_file.h"
#include "node-manager/pods/outcome.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (const auto event = ccgpu::nodemanager::ParsePodEvent(text)) {
    if (event->message.find('\n') != std::string::npos || event->message.size() > 900) std::abort();
    if (ccgpu::nodemanager::OutcomeOf(event->code).reason.empty()) std::abort();
  }
  if (const auto pod = ccgpu::nodemanager::ParsePodRef(text)) {
    if (pod->name.find('/') != std::string::npos || pod->ns.empty()) std::abort();
  }
  return 0;
}
