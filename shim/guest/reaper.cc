#include "shim/guest/reaper.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <future>

#include "base/file.h"

namespace ccgpu::shim {
namespace {

constexpr auto kGrace = std::chrono::seconds(1);

int StatusOf(int raw) { return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw); }

}  // namespace

void Reaper::BlockSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

Reaper::Reaper(ttrpc::Loop& loop) : loop_(loop) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  loop_.Add(signals_.get(), EPOLLIN, [this](ttrpc::Loop::Events) {
    signalfd_siginfo info;
    while (::read(signals_.get(), &info, sizeof info) > 0) {}
    std::lock_guard lock(mutex_);
    if (sweep_planned_) return;
    sweep_planned_ = true;
    loop_.After(kGrace, [this] { Sweep(); });
  });
}

namespace {

struct Child {
  const char* path;
  const char* cwd;  // may be null
  char* const* argv;
  char* const* env;
  const std::vector<Fd>* fds;  // become 0, 1, 2, ...
  volatile int* error;         // errno of what failed in the child
};

// vfork: the child shares our memory and only makes system calls, so its errno comes back without a pipe. A function of
// its own, so that the parent has no variables in registers that the child could change.
__attribute__((noinline)) pid_t StartChild(const Child& child) {
  const int count = static_cast<int>(child.fds->size());
  const pid_t pid = ::vfork();
  if (pid != 0) return pid;
  ::setsid();
  for (int i = 0; i < count; ++i) {
    if (::dup2((*child.fds)[static_cast<size_t>(i)].get(), i) < 0) *child.error = errno, ::_exit(127);
  }
  ::syscall(SYS_close_range, count < 3 ? 3 : count, ~0u, CLOSE_RANGE_CLOEXEC);
  if (child.cwd && ::chdir(child.cwd) != 0) *child.error = errno, ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::execve(child.path, child.argv, child.env);
  *child.error = errno;
  ::_exit(127);
}

}  // namespace

Result<pid_t> Reaper::Start(const Spawn& spawn, OnExit on_exit) {
  std::vector<char*> argv, env;
  for (const auto& arg : spawn.args) argv.push_back(const_cast<char*>(arg.c_str()));
  for (const auto& entry : spawn.env) env.push_back(const_cast<char*>(entry.c_str()));
  argv.push_back(nullptr);
  env.push_back(nullptr);
  Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return ErrnoError("process.start", "open", "/dev/null");
  // Above all targets, so that none is overwritten before it is used.
  std::vector<Fd> sources;
  int count = static_cast<int>(spawn.fds.size());
  for (int fd : spawn.fds) {
    sources.emplace_back(::fcntl(fd < 0 ? null.get() : fd, F_DUPFD_CLOEXEC, count + 3));
    if (!sources.back().valid()) return ErrnoError("process.start", "dup for", spawn.path);
  }
  Fd executable(::open(spawn.path.c_str(), O_PATH | O_CLOEXEC));
  if (!executable.valid()) return ErrnoError("process.start", "run", spawn.path);
  const char* path = spawn.path.c_str();
  const char* cwd = spawn.cwd.empty() ? nullptr : spawn.cwd.c_str();
  int error = 0;
  std::lock_guard lock(mutex_);  // no sweep between the child's start and our watch
  const pid_t pid = StartChild({path, cwd, argv.data(), env.data(), &sources, &error});
  if (pid < 0) return ErrnoError("process.start", "fork for", spawn.path);
  if (error != 0) {
    ::waitpid(pid, nullptr, 0);
    return Err("process.start", spawn.path, std::string("cannot run it: ") + std::strerror(error));
  }
  RETURN_IF_ERROR(WatchLocked(pid, std::move(on_exit)));
  return pid;
}

Result<int> Reaper::Run(const Spawn& spawn) {
  auto done = std::make_shared<std::promise<int>>();
  auto status = done->get_future();
  ASSIGN_OR_RETURN([[maybe_unused]] pid_t pid, Start(spawn, [done](int value) { done->set_value(value); }));
  return status.get();
}

Status Reaper::Watch(pid_t pid, OnExit on_exit) {
  std::lock_guard lock(mutex_);
  return WatchLocked(pid, std::move(on_exit));
}

Status Reaper::WatchLocked(pid_t pid, OnExit on_exit) {
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd.valid())
    return Err("process.gone", std::to_string(pid), "the process has already ended and been collected");
  int fd = pidfd.get();
  watched_[pid] = Watched{std::move(pidfd), std::move(on_exit)};
  loop_.Add(fd, EPOLLIN, [this, pid](ttrpc::Loop::Events) { Collect(pid); });
  return Ok();
}

void Reaper::Collect(pid_t pid) {
  OnExit on_exit;
  int raw = 0;
  {
    std::lock_guard lock(mutex_);
    auto it = watched_.find(pid);
    // Still somebody else's child (a runtime that has not ended yet): the sweep comes back to it.
    if (it == watched_.end() || ::waitpid(pid, &raw, WNOHANG) != pid) return;
    loop_.Remove(it->second.pidfd.get());
    on_exit = std::move(it->second.on_exit);
    watched_.erase(it);
  }
  on_exit(StatusOf(raw));
}

Status Reaper::Signal(pid_t pid, int signal) {
  std::lock_guard lock(mutex_);  // the process keeps its number until Collect has this lock
  if (watched_.count(pid) == 0) return Err("process.gone", std::to_string(pid), "the process already finished");
  if (::kill(pid, signal) != 0 && errno != ESRCH) return ErrnoError("process.signal", "signal", std::to_string(pid));
  return Ok();
}

// Orphans that nobody watches. The first one found may be so young that somebody is about to watch it: then later.
void Reaper::Sweep() {
  std::lock_guard lock(mutex_);
  sweep_planned_ = false;
  siginfo_t info{};
  while (::waitid(P_ALL, 0, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid != 0) {
    if (watched_.count(info.si_pid) > 0) {  // its own callback is due
      sweep_planned_ = true;
      loop_.After(kGrace, [this] { Sweep(); });
      return;
    }
    ::waitpid(info.si_pid, nullptr, 0);
    info.si_pid = 0;
  }
}

}  // namespace ccgpu::shim
