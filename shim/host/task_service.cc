#include "shim/host/task_service.h"

#include <signal.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/log.h"
#include "shim/api/names.h"
#include "shim/host/task_options.h"

namespace ccgpu::shim {
namespace {

using ttrpc::Code;

constexpr auto kGuestTimeout = std::chrono::seconds(120);  // reading a large root file system for its digest
constexpr auto kShortTimeout = std::chrono::seconds(30);
constexpr auto kEndTimeout = std::chrono::seconds(10);  // the GPUs' memory is scrubbed in it
constexpr size_t kMaxSpec = 16u << 20;

containerd::Timestamp Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  containerd::Timestamp out;
  out.set_seconds(now.tv_sec);
  out.set_nanos(static_cast<int32_t>(now.tv_nsec));
  return out;
}

template <class Message>
ttrpc::Reply OkReply(const Message& message) {
  return ttrpc::Reply::Ok(message.SerializeAsString());
}

}  // namespace

template <class Request, class F>
void TaskService::On(const char* method, F handler) {
  server_.Register(kTaskService, method, [handler](std::string_view payload, const ttrpc::CallContext&) {
    Request request;
    if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
      return Reply::Fail(Code::kInternal, "ttrpc: error unmarshalling payload: not a valid message");
    return handler(request);
  });
}

TaskService::TaskService(ttrpc::Server& server, Pod& pod, Publisher& publisher, std::string ns,
                         std::function<void()> on_shutdown)
    : server_(server),
      pod_(pod),
      publisher_(publisher),
      namespace_(std::move(ns)),
      on_shutdown_(std::move(on_shutdown)) {
  using namespace containerd;
  On<CreateTaskRequest>("Create", [this](const auto& r) { return Create(r); });
  On<StartRequest>("Start", [this](const auto& r) { return Start(r); });
  On<ExecProcessRequest>("Exec", [this](const auto& r) { return Exec(r); });
  On<KillRequest>("Kill", [this](const auto& r) { return Kill(r); });
  On<DeleteRequest>("Delete", [this](const auto& r) { return Delete(r); });
  On<StateRequest>("State", [this](const auto& r) { return State(r); });
  On<PidsRequest>("Pids", [this](const auto& r) { return Pids(r); });
  On<ContainerRequest>("Stats", [this](const auto& r) { return Stats(r); });
  On<ContainerRequest>("Connect", [this](const auto& r) { return Connect(r); });
  On<ContainerRequest>("Pause", [this](const auto& r) { return PauseOrResume(r, true); });
  On<ContainerRequest>("Resume", [this](const auto& r) { return PauseOrResume(r, false); });
  On<UpdateTaskRequest>("Update", [this](const auto& r) { return Update(r); });
  On<ResizePtyRequest>("ResizePty", [this](const auto& r) { return ResizePty(r); });
  On<CloseIORequest>("CloseIO", [this](const auto& r) { return CloseIO(r); });
  On<ShutdownRequest>("Shutdown", [this](const auto&) { return Shutdown(); });
  server_.RegisterAsync(kTaskService, "Wait",
                        [this](std::string_view payload, const ttrpc::CallContext&, ttrpc::Completion done) {
                          Wait(payload, std::move(done));
                        });
}

TaskService::Process* TaskService::FindLocked(const std::string& id, const std::string& exec_id, Reply& why_not) {
  auto it = containers_.find(id);
  if (it == containers_.end() || it->second.init.state == ProcessState::kCreating) {
    why_not = Reply::Fail(Code::kNotFound, "container not created");
    return nullptr;
  }
  if (exec_id.empty()) return &it->second.init;
  auto exec = it->second.execs.find(exec_id);
  if (exec == it->second.execs.end()) {
    why_not = Reply::Fail(Code::kNotFound, "process does not exist " + exec_id);
    return nullptr;
  }
  return &exec->second;
}

ttrpc::Reply TaskService::GuestFailure(const ttrpc::Reply& reply) {
  if (reply.error && reply.error->code != "process.gone" && pod_.events())
    pod_.events()->Write(reply.error->code == "sandbox.gone" ? "containerd-shim-ccgpu-v2" : "ccgpu-guestd",
                         reply.error->code, reply.error->text, reply.error->subject);
  return reply;
}

ttrpc::Reply TaskService::Create(const containerd::CreateTaskRequest& request) {
  if (!request.checkpoint().empty())
    return Reply::Fail(Code::kUnimplemented, "restoring from a checkpoint is not supported");
  auto fail = [&](const Error& error) {
    if (pod_.events()) pod_.events()->Write(error);
    return Reply::Fail(Code::kUnknown, error);
  };
  auto spec_json = ReadFile(request.bundle() + "/config.json", kMaxSpec);
  if (!spec_json.ok()) return fail(spec_json.error());
  auto facts = ReadSpec(*spec_json, request.bundle() + "/config.json");
  if (!facts.ok()) return fail(facts.error());
  bool first;
  {
    std::lock_guard lock(mutex_);
    first = containers_.empty();
    Container& container = containers_[request.id()];
    if (!container.bundle.empty())
      return Reply::Fail(Code::kAlreadyExists, "container " + request.id() + " already exists");
    container.bundle = request.bundle();
    container.facts = *facts;
    container.cgroup = Cgroup(facts->cgroups_path);
    container.init.id = request.id();
    container.init.paths = {request.terminal(), request.stdin(), request.stdout(), request.stderr()};
  }
  bool launched_here = false;
  HostStdio stdio;
  auto make = [&]() -> Result<pid_t> {
    bool sandbox = facts->kind == ContainerKind::kPodSandbox;
    if (!pod_.guest()) {
      if (facts->kind == ContainerKind::kPodContainer || !first)
        return Err("sandbox.gone", request.id(), "the sandbox of this pod has ended; it must be made anew");
      RETURN_IF_ERROR(pod_.Begin(*facts, *spec_json, request.id(), request.bundle(),
                                 {[this](const auto& r) { OnExited(r); },
                                  [this](const auto& r) {
                                    if (pod_.events())
                                      pod_.events()->Write(r.component(), r.code(), r.message(), r.subject());
                                  },
                                  [this](int status) { OnGuestGone(status); }}));
      launched_here = true;
    }
    auto guest = pod_.guest();
    if (!guest) return Err("sandbox.gone", request.id(), "the sandbox ended while it was being made");
    if (sandbox) return guest->pid();
    return CreateInGuest(request, *facts, *spec_json, stdio);
  };
  auto pid = make();
  std::unique_lock lock(mutex_);
  if (!pid.ok()) {
    containers_.erase(request.id());
    lock.unlock();
    if (launched_here) pod_.End(kEndTimeout);
    return Reply::Fail(Code::kUnknown, pid.error());
  }
  Container& container = containers_[request.id()];
  container.init.pid = *pid;
  container.init.stdio = std::move(stdio);
  container.init.state = ProcessState::kCreated;
  WatchOom(container);
  containerd::TaskCreate event;
  event.set_container_id(request.id());
  event.set_bundle(request.bundle());
  *event.mutable_rootfs() = request.rootfs();
  event.mutable_io()->set_stdin(request.stdin());
  event.mutable_io()->set_stdout(request.stdout());
  event.mutable_io()->set_stderr(request.stderr());
  event.mutable_io()->set_terminal(request.terminal());
  event.set_pid(static_cast<uint32_t>(*pid));
  publisher_.Publish("/tasks/create", "containerd.events.TaskCreate", event);
  if (container.init.exit_pending) TellExit(container, container.init);
  containerd::CreateTaskResponse response;
  response.set_pid(static_cast<uint32_t>(*pid));
  return OkReply(response);
}

Result<pid_t> TaskService::CreateInGuest(const containerd::CreateTaskRequest& request, const SpecFacts& facts,
                                         const std::string& spec_json, HostStdio& stdio) {
  auto guest = pod_.guest();
  auto tell = [&](Error error) -> Error {
    if (pod_.events()) pod_.events()->Write(error);
    return error;
  };
  auto options = ReadOptions(request.options());
  if (!options.ok()) return tell(options.error());
  auto gpus = pod_.GpusOf(facts);
  if (!gpus.ok()) return tell(gpus.error());
  StdioPaths paths{request.terminal(), request.stdin(), request.stdout(), request.stderr()};
  ASSIGN_OR_RETURN(stdio, HostStdio::Open(paths, request.id(), namespace_));
  RETURN_IF_ERROR(pod_.WriteBundleState(request.bundle(), facts.cgroups_path));

  v1::CreateContainerRequest ask;
  ask.set_id(request.id());
  ask.set_oci_spec_json(spec_json);
  ask.set_bundle(request.bundle());
  for (const auto& mount : request.rootfs()) {
    auto* entry = ask.add_rootfs();
    entry->set_type(mount.type());
    entry->set_source(mount.source());
    for (const auto& option : mount.options()) entry->add_options(option);
  }
  for (const auto& uuid : *gpus) ask.add_gpu_uuids(uuid);
  ASSIGN_OR_RETURN(uint64_t streams, guest->SendStreams(stdio.ForGuest(*ask.mutable_stdio())));
  ask.mutable_stdio()->set_token(streams);
  stdio.Sent();
  ask.set_token(guest->NewToken());
  const std::string& binary = options->runc.binary_name();
  ask.mutable_runtime()->set_binary(binary.empty() ? pod_.config().runc : binary);
  ask.mutable_runtime()->set_no_pivot_root(options->runc.no_pivot_root());
  ask.mutable_runtime()->set_no_new_keyring(options->runc.no_new_keyring());
  ask.mutable_runtime()->set_systemd_cgroup(options->runc.systemd_cgroup());
  ttrpc::Reply reply = guest->Call("CreateContainer", ask, kGuestTimeout);
  if (!reply.ok()) return GuestFailure(reply).ToError(request.id());
  return guest->TakePid(ask.token());
}

ttrpc::Reply TaskService::Start(const containerd::StartRequest& request) {
  if (!request.exec_id().empty()) return StartExec(request);
  bool sandbox;
  {
    std::lock_guard lock(mutex_);
    Reply why;
    Process* process = FindLocked(request.id(), "", why);
    if (!process) return why;
    if (!Allows(process->state, ProcessCall::kStart))
      return Reply::Fail(Code::kFailedPrecondition, "cannot start a process that is not in state created");
    process->state = ProcessState::kStarting;
    sandbox = containers_[request.id()].facts.kind == ContainerKind::kPodSandbox;
  }
  ttrpc::Reply reply = sandbox ? Reply::Ok() : StartInGuest(request.id());
  std::lock_guard lock(mutex_);
  Container& container = containers_[request.id()];
  Process& process = container.init;
  if (process.state == ProcessState::kStarting)
    process.state = reply.ok() ? ProcessState::kRunning : ProcessState::kCreated;
  if (reply.ok()) {
    containerd::TaskStart event;
    event.set_container_id(request.id());
    event.set_pid(static_cast<uint32_t>(process.pid));
    publisher_.Publish("/tasks/start", "containerd.events.TaskStart", event);
  }
  if (process.exit_pending) TellExit(container, process);
  if (!reply.ok()) return GuestFailure(reply);
  containerd::StartResponse response;
  response.set_pid(static_cast<uint32_t>(process.pid));
  return OkReply(response);
}

ttrpc::Reply TaskService::StartInGuest(const std::string& id) {
  auto guest = pod_.guest();
  if (!guest) return Reply::Fail(Code::kUnavailable, "the sandbox has ended");
  v1::StartRequest ask;
  ask.set_id(id);
  {
    std::lock_guard lock(mutex_);
    HostStdio& stdio = containers_[id].init.stdio;
    Status opened = stdio.OpenStdin();
    if (!opened.ok()) return Reply::Fail(Code::kUnknown, opened.error());
    auto token = stdio.SendStdin([&](const std::vector<int>& fds) { return guest->SendStreams(fds); });
    if (!token.ok()) return Reply::Fail(Code::kUnknown, token.error());
    ask.mutable_stdin()->set_token(*token);
    ask.mutable_stdin()->set_has_stdin(*token != 0);
  }
  return guest->Call("Start", ask, kShortTimeout);
}

ttrpc::Reply TaskService::Exec(const containerd::ExecProcessRequest& request) {
  std::lock_guard lock(mutex_);
  Reply why;
  Process* init = FindLocked(request.id(), "", why);
  if (!init) return why;
  Container& container = containers_[request.id()];
  if (container.facts.kind == ContainerKind::kPodSandbox)
    return Reply::Fail(Code::kFailedPrecondition, "the sandbox itself runs no processes of others");
  if (!Allows(init->state, ProcessCall::kExec) && init->state != ProcessState::kCreated)
    return Reply::Fail(Code::kFailedPrecondition, "cannot exec in a container that is not running");
  if (container.execs.count(request.exec_id())) return Reply::Fail(Code::kAlreadyExists, "id " + request.exec_id());
  Process exec;
  exec.id = request.id();
  exec.exec_id = request.exec_id();
  exec.state = ProcessState::kCreated;
  exec.paths = {request.terminal(), request.stdin(), request.stdout(), request.stderr()};
  exec.spec_json = request.spec().value();
  container.execs[request.exec_id()] = std::move(exec);
  containerd::TaskExecAdded event;
  event.set_container_id(request.id());
  event.set_exec_id(request.exec_id());
  publisher_.Publish("/tasks/exec-added", "containerd.events.TaskExecAdded", event);
  return Reply::Ok();
}

ttrpc::Reply TaskService::StartExec(const containerd::StartRequest& request) {
  v1::ExecRequest ask;
  StdioPaths paths;
  {
    std::lock_guard lock(mutex_);
    Reply why;
    Process* process = FindLocked(request.id(), request.exec_id(), why);
    if (!process) return why;
    if (!Allows(process->state, ProcessCall::kStart))
      return Reply::Fail(Code::kFailedPrecondition, "cannot start a process that is not in state created");
    const Container& container = containers_[request.id()];
    if (!Allows(container.init.state, ProcessCall::kExec) || container.init_exit_held)
      return Reply::Fail(Code::kFailedPrecondition, "cannot exec in a container that is not running");
    process->state = ProcessState::kStarting;
    ask.set_id(request.id());
    ask.set_exec_id(request.exec_id());
    ask.set_process_json(process->spec_json);
    paths = process->paths;
  }
  HostStdio stdio;
  auto guest = pod_.guest();
  pid_t pid = 0;
  auto run = [&]() -> ttrpc::Reply {
    if (!guest) return Reply::Fail(Code::kUnavailable, "the sandbox has ended");
    auto opened = HostStdio::Open(paths, request.exec_id(), namespace_);
    if (!opened.ok()) return Reply::Fail(Code::kUnknown, opened.error());
    stdio = std::move(*opened);
    if (Status input = stdio.OpenStdin(); !input.ok()) return Reply::Fail(Code::kUnknown, input.error());
    auto token = guest->SendStreams(stdio.ForGuest(*ask.mutable_stdio()));
    if (!token.ok()) return Reply::Fail(Code::kUnknown, token.error());
    ask.mutable_stdio()->set_token(*token);
    stdio.Sent();
    ask.set_token(guest->NewToken());
    ttrpc::Reply reply = guest->Call("Exec", ask, kShortTimeout);
    if (reply.ok()) pid = guest->TakePid(ask.token());
    return reply;
  };
  ttrpc::Reply reply = run();
  std::lock_guard lock(mutex_);
  Reply why;
  Process* process = FindLocked(request.id(), request.exec_id(), why);
  if (!process) return why;
  if (!reply.ok()) {
    // It never ran: whoever waits for it must hear so, and Delete must work.
    process->state = ProcessState::kCreated;
    SetExit(*process, 255, Now());
    process->state = ProcessState::kStopped;
    return GuestFailure(reply);
  }
  process->pid = pid;
  process->stdio = std::move(stdio);
  if (process->state == ProcessState::kStarting) process->state = ProcessState::kRunning;
  containerd::TaskExecStarted event;
  event.set_container_id(request.id());
  event.set_exec_id(request.exec_id());
  event.set_pid(static_cast<uint32_t>(pid));
  publisher_.Publish("/tasks/exec-started", "containerd.events.TaskExecStarted", event);
  Container& container = containers_[request.id()];
  if (process->exit_pending) TellExit(container, *process);
  TellHeldInit(container);
  containerd::StartResponse response;
  response.set_pid(static_cast<uint32_t>(pid));
  return OkReply(response);
}

}  // namespace ccgpu::shim
