// The duties of pid 1: starts processes, tells when they end, and collects what nobody asked for.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/ttrpc/loop.h"

namespace ccgpu::shim {

struct Spawn {
  std::string path;               // an absolute path, or /proc/self/fd/N
  std::vector<std::string> args;  // with argv[0]
  std::vector<std::string> env;
  std::vector<int> fds;  // become 0, 1, 2, ...; -1: /dev/null. All others are closed.
  std::string cwd;       // "": ours
};

// Thread-safe. Lives as long as the program. Exits are noticed on the loop's thread.
class Reaper {
 public:
  // Exit code, or 128 + signal. Runs on the loop's thread and must not block.
  using OnExit = std::function<void(int status)>;

  // SIGCHLD must be blocked in every thread (BlockSignals before the first one).
  explicit Reaper(ttrpc::Loop& loop);
  static void BlockSignals();

  Result<pid_t> Start(const Spawn& spawn, OnExit on_exit);
  // Runs a program to its end and gives its status. Not on the loop's thread.
  Result<int> Run(const Spawn& spawn);
  // A process that became our child because its parent ended. One that has ended keeps its number for a second, so that
  // who has just read it out of a pid file still finds the right process. "process.gone" when it is too late.
  Status Watch(pid_t pid, OnExit on_exit);
  // Signals a watched process. "process.gone" when it has ended: its number may by now be another's.
  Status Signal(pid_t pid, int signal);

 private:
  struct Watched {
    Fd pidfd;
    OnExit on_exit;
  };
  Status WatchLocked(pid_t pid, OnExit on_exit);
  void Collect(pid_t pid);
  void Sweep();

  ttrpc::Loop& loop_;
  Fd signals_;
  std::mutex mutex_;
  std::map<pid_t, Watched> watched_;
  bool sweep_planned_ = false;
};

}  // namespace ccgpu::shim
