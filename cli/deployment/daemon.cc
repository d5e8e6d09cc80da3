#include "cli/deployment/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <thread>

#include "base/fd.h"
#include "base/file.h"
#include "base/json.h"

extern char** environ;

namespace ccgpu::deployment {
namespace {

struct ProcessStat {
  std::string state;
  uint64_t threads = 0, start_time = 0;

  bool dead() const { return state.empty() || state == "Z" || state == "X"; }
};

// All empty when there is no such process. proc(5): fields 3, 20 and 22.
ProcessStat StatOf(int pid) {
  ProcessStat out;
  auto stat = ReadFile("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!stat.ok()) return out;
  const size_t name_end = stat->rfind(')');  // the name may hold anything, spaces and brackets too
  if (name_end == std::string::npos) return out;
  std::istringstream fields(stat->substr(name_end + 1));
  std::string skipped;
  fields >> out.state;
  for (int field = 4; field < 20; ++field) fields >> skipped;
  fields >> out.threads >> skipped >> out.start_time;
  return out;
}

// 0 when there is no such process, or it is a zombie.
uint64_t StartTime(int pid) {
  const ProcessStat stat = StatOf(pid);
  return stat.dead() ? 0 : stat.start_time;
}

std::string LastLines(const std::string& path, size_t bytes = 1500) {
  auto text = ReadFile(path);
  if (!text.ok() || text->empty()) return " (its log " + path + " is empty)";
  if (text->size() > bytes) *text = "..." + text->substr(text->size() - bytes);
  return "; the end of its log " + path + ":\n" + *text;
}

}  // namespace

Result<Daemon> Start(const Command& command, const std::string& log_path) {
  Fd log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640));
  if (!log.valid()) return ErrnoError("deployment.log", "cannot open the log", log_path);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, log.get(), 1);
  posix_spawn_file_actions_adddup2(&actions, log.get(), 2);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);

  std::vector<char*> argv, envp;
  for (const auto& arg : command.argv) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  for (const auto& entry : command.env) envp.push_back(const_cast<char*>(entry.c_str()));
  for (char** entry = environ; *entry; ++entry) envp.push_back(*entry);
  envp.push_back(nullptr);
  pid_t pid = 0;
  const int failed = ::posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (failed != 0)
    return Err("deployment.start", command.name, "cannot start " + command.argv[0] + ": " + strerror(failed));
  return Daemon{command.name, pid, StartTime(pid)};
}

Result<Daemon> Running(int pid) {
  const uint64_t start = StartTime(pid);
  if (start == 0) return Err("deployment.died", std::to_string(pid), "is not a running process");
  return Daemon{std::to_string(pid), pid, start};
}

Status RunToEnd(const Command& command, const std::string& log_path) {
  ASSIGN_OR_RETURN(Daemon child, Start(command, log_path));
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {}
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Ok();
  return Err("deployment.command", command.name, "failed" + LastLines(log_path));
}

bool IsAlive(const Daemon& daemon) {
  ::waitpid(daemon.pid, nullptr, WNOHANG);  // our own child, when `up` itself still waits for it
  return daemon.pid > 0 && daemon.start_time != 0 && StartTime(daemon.pid) == daemon.start_time;
}

void WaitGone(const Daemon& daemon, std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < end) {
    ::waitpid(daemon.pid, nullptr, WNOHANG);
    const ProcessStat stat = StatOf(daemon.pid);
    if (stat.start_time != daemon.start_time || (stat.dead() && stat.threads <= 1)) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

void Stop(const Daemon& daemon, std::chrono::milliseconds grace) {
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, daemon.pid, 0)));
  if (!pidfd.valid() || !IsAlive(daemon)) return;  // opened first: from here on the pid cannot become another process
  auto signal = [&](int number) { ::syscall(SYS_pidfd_send_signal, pidfd.get(), number, nullptr, 0); };
  pollfd wait{pidfd.get(), POLLIN, 0};
  signal(SIGTERM);
  if (::poll(&wait, 1, static_cast<int>(grace.count())) == 0) {
    signal(SIGKILL);
    ::poll(&wait, 1, 10000);
  }
  ::waitpid(daemon.pid, nullptr, WNOHANG);
}

Status WaitReady(const Daemon& daemon, const std::string& log_path, std::chrono::milliseconds limit,
                 const std::function<bool()>& ready) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!ready()) {
    if (!IsAlive(daemon))
      return Err("deployment.died", daemon.name, "ended while it was starting" + LastLines(log_path));
    if (std::chrono::steady_clock::now() > end) {
      return Err("deployment.not-ready", daemon.name,
                 "was not ready within " + std::to_string(limit.count() / 1000) + " s" + LastLines(log_path));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return Ok();
}

Result<std::vector<Daemon>> LoadDaemons(const std::string& path) {
  std::vector<Daemon> out;
  if (!Exists(path)) return out;
  ASSIGN_OR_RETURN(std::string text, ReadFile(path));
  ASSIGN_OR_RETURN(Json list, ParseJson(text, path));
  for (const Json& entry : list) {
    ASSIGN_OR_RETURN(std::string name, JsonString(entry, "name", path));
    ASSIGN_OR_RETURN(int64_t pid, JsonInt(entry, "pid", path));
    ASSIGN_OR_RETURN(int64_t start, JsonInt(entry, "start_time", path));
    out.push_back({name, static_cast<int>(pid), static_cast<uint64_t>(start)});
  }
  return out;
}

Status SaveDaemons(const std::string& path, const std::vector<Daemon>& daemons) {
  Json list = Json::array();
  for (const Daemon& daemon : daemons)
    list.push_back({{"name", daemon.name}, {"pid", daemon.pid}, {"start_time", daemon.start_time}});
  return WriteFileAtomic(path, list.dump(2) + "\n", 0600);
}

}  // namespace ccgpu::deployment
