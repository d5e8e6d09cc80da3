// The containerd that runs on the machine: what it knows, and its restart.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace ccgpu::installer {

struct RuntimeFacts {
  std::string version;  // "1.6.20~ds1", "v2.4.2"
  int major = 0;
  bool knows_handler = false;  // CRI's effective configuration has our handler
};

// Errors of all: "installer.containerd-unreachable" when it does not answer, "installer.containerd" else.
class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual Result<RuntimeFacts> Facts() = 0;
  // "namespace/name" of the running pods of our handler.
  virtual Result<std::vector<std::string>> RunningPods() = 0;
  // Asks for a restart; it may answer again only later.
  virtual Status Restart() = 0;
  virtual std::string LastLogLines() = 0;                  // for an error's text; empty when there are none
  virtual void Pause(std::chrono::milliseconds time) = 0;  // between two questions
};

struct RuntimeOptions {
  std::string socket = "/run/containerd/containerd.sock";  // as we see it
  std::string restart_command = "systemctl restart containerd";
  std::string log_command = "journalctl -u containerd -n 15 --no-pager -o cat";
  bool on_host = false;  // commands run in PID 1's namespaces
};
std::unique_ptr<Runtime> MakeRuntime(const RuntimeOptions& options);

// "1.6.20~ds1" -> 1, "v2.4.2" -> 2; 0 for what is no version.
int MajorOf(const std::string& version);
// Whether the verbose CRI status's "config" names the handler.
bool StatusNamesHandler(const std::string& config_json);

// Asks until the runtime answers and its knowledge of our handler is as `known` says (nothing: either). The last error
// otherwise; "installer.handler-unknown" when it answers but differs.
Result<RuntimeFacts> AwaitRuntime(Runtime& runtime, std::optional<bool> known, std::chrono::milliseconds patience);

}  // namespace ccgpu::installer
