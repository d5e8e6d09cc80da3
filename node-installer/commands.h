// Commands that run here, or on the machine whose root process is PID 1 of our PID namespace.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"

namespace ccgpu::installer {

struct Output {
  int exit_code = -1;  // 128 + signal when a signal ended it
  std::string text;    // stdout and stderr together, the last 64 KiB
};

// Runs `/bin/sh -c COMMAND`. With `on_host` in all of PID 1's namespaces but the PID and user ones (needs hostPID and a
// privileged container). Killed with its children's process group after `timeout`. Any thread.
// Errors: "installer.command", subject the command.
Result<Output> RunCommand(const std::string& command, bool on_host, std::chrono::milliseconds timeout);

}  // namespace ccgpu::installer
