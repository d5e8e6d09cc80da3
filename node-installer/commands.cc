#include "node-installer/commands.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/fd.h"
#include "base/file.h"

namespace ccgpu::installer {
namespace {

constexpr size_t kKeep = 64 << 10;
constexpr int kCannotEnter = 125, kCannotRun = 127;

// Only async-signal-safe calls: other threads of ours may hold any lock.
[[noreturn]] void Child(int out, const std::vector<int>& namespaces, char* const* argv) {
  ::setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(out, 1);
  ::dup2(out, 2);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null >= 0) ::dup2(null, 0);
  for (const int ns : namespaces) {
    if (::setns(ns, 0) != 0) ::_exit(kCannotEnter);
  }
  static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  char* environment[] = {path, nullptr};
  if (namespaces.empty()) ::execv(argv[0], argv);
  else ::execve(argv[0], argv, environment);
  ::_exit(kCannotRun);
}

}  // namespace

Result<Output> RunCommand(const std::string& command, bool on_host, std::chrono::milliseconds timeout) {
  std::vector<Fd> opened;
  std::vector<int> namespaces;
  if (on_host) {
    for (const char* name : {"cgroup", "ipc", "uts", "net", "mnt"}) {  // mnt last: it changes the root folder
      opened.emplace_back(::open((std::string("/proc/1/ns/") + name).c_str(), O_RDONLY | O_CLOEXEC));
      if (!opened.back().valid()) return ErrnoError("installer.command", "cannot open PID 1's namespaces for", command);
      namespaces.push_back(opened.back().get());
    }
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError("installer.command", "no pipe for", command);
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  std::string shell = "/bin/sh", flag = "-c", text = command;
  char* argv[] = {shell.data(), flag.data(), text.data(), nullptr};
  const pid_t pid = ::fork();
  if (pid < 0) return ErrnoError("installer.command", "cannot fork for", command);
  if (pid == 0) Child(write_end.get(), namespaces, argv);
  ::setpgid(pid, pid);
  write_end.Close();

  Output out;
  const auto end = std::chrono::steady_clock::now() + timeout;
  bool late = false;
  // A daemon that the command starts may keep the pipe: the command's own end counts, not the pipe's.
  for (int status = 0;;) {
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    pollfd readable{read_end.get(), POLLIN, 0};
    const int slice = ended == pid ? 0 : 50;
    while (::poll(&readable, 1, slice) > 0) {
      char chunk[8192];
      const ssize_t got = ::read(read_end.get(), chunk, sizeof chunk);
      if (got <= 0) break;
      out.text.append(chunk, static_cast<size_t>(got));
      if (out.text.size() > 2 * kKeep) out.text.erase(0, out.text.size() - kKeep);
      if (ended != pid) break;
    }
    if (ended == pid) {
      out.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      break;
    }
    if (std::chrono::steady_clock::now() > end && !late) {
      late = true;
      ::kill(-pid, SIGKILL);
      ::kill(pid, SIGKILL);
    }
    if (readable.revents & POLLHUP) ::usleep(20'000);  // nobody writes any more; only the end is missing
  }
  if (late)
    return Err("installer.command", command, "did not end within its time and was killed; it said: " + out.text);
  if (out.exit_code == kCannotEnter && on_host) {
    return Err("installer.command", command,
               "cannot enter the host's namespaces; the pod needs hostPID: true and a privileged container");
  }
  return out;
}

}  // namespace ccgpu::installer
