// How processes end: what guestd tells, what the end of the guest means, and in which order containerd hears of it.
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

#include <algorithm>

#include "shim/host/task_service.h"

namespace ccgpu::shim {
namespace {

using ttrpc::Code;
constexpr auto kHoldInit = std::chrono::seconds(2);

bool Live(ProcessState state) {
  return state == ProcessState::kStarting || state == ProcessState::kRunning || state == ProcessState::kPaused;
}

}  // namespace

// Notes the end and answers who waits. Events are the caller's.
void TaskService::SetExit(Process& process, uint32_t status, const containerd::Timestamp& when) {
  process.exit_status = status;
  process.exited_at = when;
  process.stdio.CloseOutput();
  containerd::WaitResponse response;
  response.set_exit_status(status);
  *response.mutable_exited_at() = when;
  for (auto& waiter : process.waiters) waiter.Finish(Reply::Ok(response.SerializeAsString()));
  process.waiters.clear();
}

void TaskService::TellExit(Container& container, Process& process) {
  process.exit_pending = false;
  if (process.state == ProcessState::kStopped) return;
  bool init = process.exec_id.empty();
  if (init && container.facts.kind != ContainerKind::kPodSandbox) {
    // Execs end before the container does, for everyone who listens.
    bool others =
        std::any_of(container.execs.begin(), container.execs.end(), [](const auto& e) { return Live(e.second.state); });
    if (others && !container.init_exit_held) {
      container.init_exit_held = true;
      server_.loop().After(kHoldInit, [this, id = process.id] {
        std::lock_guard lock(mutex_);
        auto it = containers_.find(id);
        if (it == containers_.end() || !it->second.init_exit_held) return;
        for (auto& [name, exec] : it->second.execs) {
          if (!Live(exec.state)) continue;
          exec.exit_status = 128 + SIGKILL;
          exec.exited_at = it->second.init.exited_at;
          TellExit(it->second, exec);
        }
        TellHeldInit(it->second);
      });
    }
    if (others) return;
    if (container.oom && container.oom->Fired()) {
      containerd::TaskOOM event;
      event.set_container_id(process.id);
      publisher_.Publish("/tasks/oom", "containerd.events.TaskOOM", event);
    }
  }
  process.state = ProcessState::kStopped;
  containerd::TaskExit event;
  event.set_container_id(process.id);
  event.set_id(init ? process.id : process.exec_id);
  event.set_pid(static_cast<uint32_t>(process.pid));
  event.set_exit_status(process.exit_status);
  *event.mutable_exited_at() = process.exited_at;
  publisher_.Publish("/tasks/exit", "containerd.events.TaskExit", event);
  SetExit(process, process.exit_status, process.exited_at);
}

void TaskService::TellHeldInit(Container& container) {
  if (!container.init_exit_held) return;
  if (std::any_of(container.execs.begin(), container.execs.end(), [](const auto& e) { return Live(e.second.state); }))
    return;
  container.init_exit_held = false;
  TellExit(container, container.init);
}

void TaskService::OnExited(const v1::ExitedRequest& request) {
  std::lock_guard lock(mutex_);
  auto it = containers_.find(request.id());
  if (it == containers_.end()) return;
  Container& container = it->second;
  Process* process = &container.init;
  if (!request.exec_id().empty()) {
    auto exec = container.execs.find(request.exec_id());
    if (exec == container.execs.end()) return;
    process = &exec->second;
  }
  process->exit_status = request.status();
  process->exited_at.set_seconds(request.seconds());
  process->exited_at.set_nanos(request.nanos());
  // Creation or start first: whoever made the call tells the exit after it.
  if (process->state == ProcessState::kCreating || process->state == ProcessState::kStarting) {
    process->exit_pending = true;
    return;
  }
  TellExit(container, *process);
  TellHeldInit(container);
}

// With the guest everything in it ended. GPUs are scrubbed and free by now.
void TaskService::OnGuestGone(int status) {
  containerd::Timestamp now;
  timespec clock{};
  ::clock_gettime(CLOCK_REALTIME, &clock);
  now.set_seconds(clock.tv_sec);
  now.set_nanos(static_cast<int32_t>(clock.tv_nsec));
  std::lock_guard lock(mutex_);
  if (pod_.events())
    pod_.events()->Write("containerd-shim-ccgpu-v2", "sandbox.ended", "the sandbox has ended, its GPUs are free", "");
  auto end = [&](Container& container, Process& process, uint32_t code) {
    if (process.state == ProcessState::kStopped) return;
    if (process.exit_pending) return;  // its own status is known already
    process.exit_status = code;
    process.exited_at = now;
    if (process.state == ProcessState::kCreating || process.state == ProcessState::kStarting)
      process.exit_pending = true;
    else TellExit(container, process);
  };
  for (auto& [id, container] : containers_) {
    bool sandbox = container.facts.kind == ContainerKind::kPodSandbox;
    for (auto& [name, exec] : container.execs) end(container, exec, 128 + SIGKILL);
    if (container.init_exit_held) TellHeldInit(container);
    else end(container, container.init, sandbox ? static_cast<uint32_t>(status) : 128 + SIGKILL);
  }
}

void TaskService::Wait(std::string_view payload, ttrpc::Completion done) {
  containerd::WaitRequest request;
  if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
    return done.Finish(Reply::Fail(Code::kInternal, "ttrpc: error unmarshalling payload: not a valid message"));
  std::lock_guard lock(mutex_);
  Reply why;
  Process* process = FindLocked(request.id(), request.exec_id(), why);
  if (!process) return done.Finish(why);
  process->waiters.push_back(std::move(done));
  if (process->state == ProcessState::kStopped) SetExit(*process, process->exit_status, process->exited_at);
}

void TaskService::WatchOom(Container& container) {
  if (container.facts.kind == ContainerKind::kPodSandbox) return;
  container.oom = std::make_unique<OomWatch>(container.cgroup);
  if (container.oom->fd() < 0) return;
  server_.loop().Add(container.oom->fd(), EPOLLIN, [this, id = container.init.id](ttrpc::Loop::Events) {
    std::lock_guard lock(mutex_);
    auto it = containers_.find(id);
    if (it == containers_.end() || !it->second.oom || !it->second.oom->Fired()) return;
    containerd::TaskOOM event;
    event.set_container_id(id);
    publisher_.Publish("/tasks/oom", "containerd.events.TaskOOM", event);
  });
}

}  // namespace ccgpu::shim
