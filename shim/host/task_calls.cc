// The task service's calls about processes that exist.
#include <signal.h>
#include <unistd.h>

#include <set>

#include "base/log.h"
#include "shim/api/names.h"
#include "shim/host/task_service.h"

namespace ccgpu::shim {
namespace {

using ttrpc::Code;
constexpr auto kShortTimeout = std::chrono::seconds(30);
constexpr auto kEndTimeout = std::chrono::seconds(10);

}  // namespace

ttrpc::Reply TaskService::Kill(const containerd::KillRequest& request) {
  {
    std::lock_guard lock(mutex_);
    Reply why;
    Process* process = FindLocked(request.id(), request.exec_id(), why);
    if (!process) return why;
    if (process->state == ProcessState::kStopped) return Reply::Fail(Code::kNotFound, "process already finished");
    if (!request.exec_id().empty() && process->state == ProcessState::kCreated)
      return Reply::Fail(Code::kFailedPrecondition, "process not created");
    if (!Allows(process->state, ProcessCall::kSignal))
      return Reply::Fail(Code::kFailedPrecondition, "process is not in a state to be signalled");
    if (containers_[request.id()].facts.kind == ContainerKind::kPodSandbox) {
      // As the pause program does: the ending signals end the sandbox, others do nothing.
      if (request.signal() != SIGKILL && request.signal() != SIGTERM && request.signal() != SIGINT) return Reply::Ok();
      if (auto guest = pod_.guest()) guest->Kill();
      return Reply::Ok();
    }
  }
  auto guest = pod_.guest();
  if (!guest) return Reply::Fail(Code::kNotFound, "process already finished");
  v1::SignalRequest ask;
  ask.set_id(request.id());
  ask.set_exec_id(request.exec_id());
  ask.set_signal(request.signal());
  ask.set_all(request.all());
  ttrpc::Reply reply = guest->Call("Signal", ask, kShortTimeout);
  if (!reply.ok() && reply.error && (reply.error->code == "process.gone" || reply.error->code == "sandbox.gone"))
    return Reply::Fail(Code::kNotFound, "process already finished");
  return reply;
}

ttrpc::Reply TaskService::Delete(const containerd::DeleteRequest& request) {
  containerd::DeleteResponse response;
  bool sandbox = false, ends, in_guest;
  Cgroup cgroup;
  {
    std::lock_guard lock(mutex_);
    Reply why;
    Process* process = FindLocked(request.id(), request.exec_id(), why);
    if (!process) return why;
    if (!Allows(process->state, ProcessCall::kDelete))
      return Reply::Fail(Code::kFailedPrecondition, "cannot delete a running process");
    const Container& container = containers_[request.id()];
    sandbox = container.facts.kind == ContainerKind::kPodSandbox;
    // A sandbox that was made for one container goes with it.
    ends = request.exec_id().empty() &&
           (sandbox || (container.facts.kind == ContainerKind::kSingle && containers_.size() == 1));
    in_guest = !sandbox && (request.exec_id().empty() || process->pid != 0);
    cgroup = container.cgroup;
    response.set_pid(static_cast<uint32_t>(process->pid));
    response.set_exit_status(process->exit_status);
    *response.mutable_exited_at() = process->exited_at;
  }
  if (in_guest) {
    v1::DeleteRequest ask;
    ask.set_id(request.id());
    ask.set_exec_id(request.exec_id());
    ask.set_sandbox_ends(ends);
    if (auto guest = pod_.guest()) (void)guest->Call("Delete", ask, kShortTimeout);  // gone with the guest otherwise
  }
  if (ends) pod_.End(kEndTimeout);
  if (request.exec_id().empty() && !sandbox) {
    cgroup.KillAll();
    cgroup.Remove();  // what runc could not, or nobody did because the guest ended first
  }
  {
    std::lock_guard lock(mutex_);
    auto it = containers_.find(request.id());
    if (it == containers_.end()) return Reply::Fail(Code::kNotFound, "container not created");
    if (!request.exec_id().empty()) {
      it->second.execs.erase(request.exec_id());
      return Reply::Ok(response.SerializeAsString());
    }
    if (it->second.oom && it->second.oom->fd() >= 0) server_.loop().Remove(it->second.oom->fd());
    containers_.erase(it);
    containerd::TaskDelete event;
    event.set_container_id(request.id());
    event.set_id(request.id());
    event.set_pid(response.pid());
    event.set_exit_status(response.exit_status());
    *event.mutable_exited_at() = response.exited_at();
    publisher_.Publish("/tasks/delete", "containerd.events.TaskDelete", event);
  }
  return Reply::Ok(response.SerializeAsString());
}

ttrpc::Reply TaskService::State(const containerd::StateRequest& request) {
  std::lock_guard lock(mutex_);
  Reply why;
  Process* process = FindLocked(request.id(), request.exec_id(), why);
  if (!process) return why;
  containerd::StateResponse response;
  response.set_id(request.id());
  response.set_exec_id(request.exec_id());
  response.set_bundle(containers_[request.id()].bundle);
  response.set_pid(static_cast<uint32_t>(process->pid));
  response.set_status(ToContainerd(process->state));
  response.set_stdin(process->paths.in);
  response.set_stdout(process->paths.out);
  response.set_stderr(process->paths.err);
  response.set_terminal(process->paths.terminal);
  if (process->state == ProcessState::kStopped) {
    response.set_exit_status(process->exit_status);
    *response.mutable_exited_at() = process->exited_at;
  }
  return Reply::Ok(response.SerializeAsString());
}

ttrpc::Reply TaskService::Pids(const containerd::PidsRequest& request) {
  Cgroup cgroup;
  std::map<pid_t, std::string> execs;
  {
    std::lock_guard lock(mutex_);
    Reply why;
    Process* process = FindLocked(request.id(), "", why);
    if (!process) return why;
    const Container& container = containers_[request.id()];
    cgroup = container.cgroup;
    for (const auto& [name, exec] : container.execs)
      if (exec.pid > 0 && exec.state != ProcessState::kStopped) execs[exec.pid] = name;
  }
  containerd::PidsResponse response;
  for (pid_t pid : cgroup.Pids()) {
    auto* info = response.add_processes();
    info->set_pid(static_cast<uint32_t>(pid));
    auto it = execs.find(pid);
    if (it == execs.end()) continue;
    containerd::ProcessDetails details;
    details.set_exec_id(it->second);
    info->mutable_info()->set_type_url("containerd.runc.v1.ProcessDetails");
    info->mutable_info()->set_value(details.SerializeAsString());
  }
  return Reply::Ok(response.SerializeAsString());
}

ttrpc::Reply TaskService::Stats(const containerd::ContainerRequest& request) {
  Cgroup cgroup;
  {
    std::lock_guard lock(mutex_);
    Reply why;
    if (!FindLocked(request.id(), "", why)) return why;
    cgroup = containers_[request.id()].cgroup;
  }
  auto stats = cgroup.Stats();
  if (!stats.ok()) return Reply::Fail(Code::kNotFound, stats.error());
  containerd::StatsResponse response;
  *response.mutable_stats() = std::move(*stats);
  return Reply::Ok(response.SerializeAsString());
}

// containerd asks this to find out whether the shim lives: an unknown id is no error.
ttrpc::Reply TaskService::Connect(const containerd::ContainerRequest& request) {
  containerd::ConnectResponse response;
  response.set_shim_pid(static_cast<uint32_t>(::getpid()));
  response.set_version("v2");
  std::lock_guard lock(mutex_);
  auto it = containers_.find(request.id());
  if (it != containers_.end()) response.set_task_pid(static_cast<uint32_t>(it->second.init.pid));
  return Reply::Ok(response.SerializeAsString());
}

ttrpc::Reply TaskService::PauseOrResume(const containerd::ContainerRequest& request, bool pause) {
  {
    std::lock_guard lock(mutex_);
    Reply why;
    Process* process = FindLocked(request.id(), "", why);
    if (!process) return why;
    if (!Allows(process->state, pause ? ProcessCall::kPause : ProcessCall::kResume) ||
        containers_[request.id()].facts.kind == ContainerKind::kPodSandbox)
      return Reply::Fail(Code::kFailedPrecondition,
                         pause ? "cannot pause it: it is not running" : "cannot resume it: it is not paused");
  }
  auto guest = pod_.guest();
  if (!guest) return Reply::Fail(Code::kNotFound, "process already finished");
  v1::ProcessRef ask;
  ask.set_id(request.id());
  ttrpc::Reply reply = guest->Call(pause ? "Pause" : "Resume", ask, kShortTimeout);
  if (!reply.ok()) return reply;
  std::lock_guard lock(mutex_);
  Reply why;
  Process* process = FindLocked(request.id(), "", why);
  if (process && process->state != ProcessState::kStopped)
    process->state = pause ? ProcessState::kPaused : ProcessState::kRunning;
  containerd::TaskPaused event;  // TaskResumed is the same on the wire
  event.set_container_id(request.id());
  publisher_.Publish(pause ? "/tasks/paused" : "/tasks/resumed",
                     pause ? "containerd.events.TaskPaused" : "containerd.events.TaskResumed", event);
  return Reply::Ok();
}

ttrpc::Reply TaskService::Update(const containerd::UpdateTaskRequest& request) {
  {
    std::lock_guard lock(mutex_);
    Reply why;
    if (!FindLocked(request.id(), "", why)) return why;
    if (containers_[request.id()].facts.kind == ContainerKind::kPodSandbox)
      return Reply::Ok();  // the pod's own group is kubelet's
  }
  auto guest = pod_.guest();
  if (!guest) return Reply::Fail(Code::kNotFound, "process already finished");
  v1::UpdateRequest ask;
  ask.set_id(request.id());
  ask.set_resources_json(request.resources().value());
  return guest->Call("Update", ask, kShortTimeout);
}

ttrpc::Reply TaskService::ResizePty(const containerd::ResizePtyRequest& request) {
  {
    std::lock_guard lock(mutex_);
    Reply why;
    if (!FindLocked(request.id(), request.exec_id(), why)) return why;
  }
  auto guest = pod_.guest();
  if (!guest) return Reply::Ok();
  v1::ResizeRequest ask;
  ask.set_id(request.id());
  ask.set_exec_id(request.exec_id());
  ask.set_width(request.width());
  ask.set_height(request.height());
  return guest->Call("ResizePty", ask, kShortTimeout);
}

ttrpc::Reply TaskService::CloseIO(const containerd::CloseIORequest& request) {
  std::lock_guard lock(mutex_);
  Reply why;
  Process* process = FindLocked(request.id(), request.exec_id(), why);
  if (!process) return why;
  if (request.stdin()) process->stdio.CloseStdin();
  return Reply::Ok();
}

ttrpc::Reply TaskService::Shutdown() {
  {
    std::lock_guard lock(mutex_);
    if (!containers_.empty()) return Reply::Ok();  // of a pod whose other containers live on
  }
  on_shutdown_();
  return Reply::Ok();
}

}  // namespace ccgpu::shim
