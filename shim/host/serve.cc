#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <future>

#include "base/file.h"
#include "base/log.h"
#include "base/program.h"
#include "shim/host/actions.h"
#include "shim/host/task_service.h"

namespace ccgpu::shim {
namespace {

constexpr size_t kWorkers = 16;

// containerd reads the bundle's fifo `log`. Non-blocking: a containerd that is away must not stop the pod.
void LogToBundle(const Flags& flags) {
  log::Init("containerd-shim-ccgpu-v2", flags.debug ? log::Level::kDebug : log::Level::kInfo);
  log::AddContext("sandbox", flags.id);  // a pod's shim is started for its sandbox
  Fd fifo(::open("log", O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  if (fifo.valid()) ::dup2(fifo.get(), 2);
}

std::string ListenerPath() {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (::getsockname(kListenerFd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  return address.sun_path;
}

// containerd removes the bundle (our working folder) when it has given the sandbox up. It may do that while we are
// still creating the sandbox for it, and then asks us for nothing any more: without this watch shim and guest would
// stay for ever.
Fd WatchBundle() {
  Fd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!watch.valid() || ::inotify_add_watch(watch.get(), ".", IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR) < 0) {
    log::Warning("cannot watch the bundle");
  }
  return watch;
}

}  // namespace

int ServeAction(const Flags& flags) {
  ::mallopt(M_ARENA_MAX, 1);  // one shim per pod: memory counts, speed is runc's
  ::mallopt(M_TRIM_THRESHOLD, 64 << 10);
  ::prctl(PR_SET_NAME, "containerd-shim");  // started through /proc/self/exe it would be called exe
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGCHLD, SIG_IGN);  // loggers: nobody waits for them
  const EndSignals ends;
  LogToBundle(flags);
  std::string socket = ListenerPath();
  if (socket.empty()) {
    log::Error("descriptor 3 is not a listening socket; containerd starts this program");
    return 2;
  }
  const char* variable = std::getenv(kConfigVariable);
  auto config = LoadConfig(variable ? variable : "");
  if (!config.ok()) {
    log::Error("cannot read the configuration", {{"reason", config.error().ToString()}});
    ::unlink(socket.c_str());
    return 1;
  }
  log::SetFormat(config->log_format);
  const char* events = std::getenv("TTRPC_ADDRESS");
  Publisher publisher(events ? events : "", flags.ns);
  std::promise<void> stop;
  std::once_flag stop_once;
  auto end = [&] { std::call_once(stop_once, [&] { stop.set_value(); }); };
  ttrpc::Server server({.max_workers = kWorkers});
  Fd signals(::signalfd(-1, &ends.set(), SFD_CLOEXEC));
  server.loop().Add(signals.get(), EPOLLIN, [&](ttrpc::Loop::Events) { end(); });
  Fd bundle = WatchBundle();
  server.loop().Add(bundle.get(), EPOLLIN, [&](ttrpc::Loop::Events) {
    server.loop().Remove(bundle.get());
    log::Warning("the bundle is gone: containerd has given this sandbox up");
    end();
  });
  Pod pod(std::move(*config), flags.ns, server.loop());
  TaskService service(server, pod, publisher, flags.ns, [&] {
    // The answer to Shutdown goes out before the socket does.
    server.loop().After(std::chrono::milliseconds(1), end);
  });
  Fd listener(kListenerFd);
  ::fcntl(listener.get(), F_SETFD, FD_CLOEXEC);
  if (!server.ServeListener(std::move(listener)).ok()) return 1;
  stop.get_future().wait();
  pod.End(std::chrono::seconds(2));
  publisher.Flush(std::chrono::seconds(2));
  ::unlink(socket.c_str());
  ::_exit(0);  // detached workers may still hold what is on this stack
}

}  // namespace ccgpu::shim
