// What a sandbox writes: event lines and log lines.
#include "node/pods/cri_log.h"
#include "node/pods/pod_events.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  (void)ccgpu::node::ParseCriLogLine(text);
  const auto event = ccgpu::node::EventFromJson(text);
  (void)ccgpu::node::EventToJson(event);
  return 0;
}
