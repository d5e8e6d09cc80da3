// A pod's events for people: one JSON object a line in <events_dir>/<sandbox>/events.jsonl. Beside it pod.json says whose
// they are: {"name", "namespace", "uid"} as the runtime told us, so untrusted like everything on the host.
#pragma once

#include <mutex>
#include <string>

#include "base/result.h"

namespace ccgpu::shim {

// Thread-safe. Without a folder every call does nothing. Failures to write are logged, never fatal.
class EventLog {
 public:
  EventLog(std::string events_dir, const std::string& sandbox_id);
  // Before the first event. An unknown uid is "".
  void WritePod(const std::string& name, const std::string& ns, const std::string& uid);
  void Write(const std::string& component, const std::string& code, const std::string& message,
             const std::string& subject);
  void Write(const Error& error) { Write("containerd-shim-ccgpu-v2", error.code, error.text, error.subject); }

 private:
  std::mutex mutex_;
  std::string file_;
};

}  // namespace ccgpu::shim
