// Background programs that `ccgpu up` starts and `ccgpu down` stops, each known by pid *and* start time, so that a pid
// that was given to somebody else meanwhile is never signalled.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace ccgpu::deployment {

struct Daemon {
  std::string name;
  int pid = 0;
  uint64_t start_time = 0;  // /proc/PID/stat field 22, clock ticks since boot
};

struct Command {
  std::string name;               // of the log file and in errors
  std::vector<std::string> argv;  // argv[0] is the program's path
  std::vector<std::string> env;   // "KEY=value", added to ours
};

// Starts it in a session of its own, standard input closed, output and errors appended to `log_path`.
Result<Daemon> Start(const Command& command, const std::string& log_path);
// A process that runs already, by its pid. Errors: deployment.died.
Result<Daemon> Running(int pid);

// Whether this very process (not another with its pid) still runs.
bool IsAlive(const Daemon& daemon);
// Returns when nothing of this process is left, or after `limit`: threads of a killed process hold its locks and ports
// for a moment after its death can be seen.
void WaitGone(const Daemon& daemon, std::chrono::milliseconds limit);
// SIGTERM, then SIGKILL after `grace`; returns when it is gone. Fine if it is gone already.
void Stop(const Daemon& daemon, std::chrono::milliseconds grace);

// Runs it to its end, with the same log; anything but exit 0 is an error that carries the log's last lines.
Status RunToEnd(const Command& command, const std::string& log_path);

// Asks `ready` every few milliseconds until it says yes, the daemon dies or `limit` is over; errors carry the log's
// last lines.
Status WaitReady(const Daemon& daemon, const std::string& log_path, std::chrono::milliseconds limit,
                 const std::function<bool()>& ready);

// The list of a deployment's daemons on disk (run/daemons.json); a missing file is an empty list.
Result<std::vector<Daemon>> LoadDaemons(const std::string& path);
Status SaveDaemons(const std::string& path, const std::vector<Daemon>& daemons);

}  // namespace ccgpu::deployment
