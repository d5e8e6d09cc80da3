#include "shim/guest/guest_service.h"

#include <signal.h>
#include <unistd.h>

#include <future>

#include "base/log.h"
#include "shim/api/names.h"
#include "shim/guest/sandbox_mounts.h"

namespace ccgpu::shim {
namespace {

constexpr size_t kWorkers = 32;  // as many runc calls at the same time

ttrpc::Code CodeOf(const Error& error) {
  if (error.code.rfind("policy.", 0) == 0 || error.code.rfind("initdata.", 0) == 0)
    return ttrpc::Code::kPermissionDenied;
  if (error.code == "process.gone" || error.code == "container.unknown") return ttrpc::Code::kNotFound;
  if (error.code == "container.exists") return ttrpc::Code::kAlreadyExists;
  if (error.code == "sandbox.not-ready") return ttrpc::Code::kFailedPrecondition;
  return ttrpc::Code::kUnknown;
}

}  // namespace

template <class Request, class F>
void GuestService::On(const char* method, F handler) {
  server_.Register(kGuestService, method, [this, handler](std::string_view payload, const ttrpc::CallContext&) {
    Request request;
    if (!request.ParseFromArray(payload.data(), static_cast<int>(payload.size())))
      return ttrpc::Reply::Fail(ttrpc::Code::kInternal, "not a valid message");
    Status status = handler(request);
    if (status.ok()) return ttrpc::Reply::Ok();
    // The host half makes the event of it: an event sent from here could come too late to be read.
    return ttrpc::Reply::Fail(CodeOf(status.error()), status.error());
  });
}

GuestService::GuestService(ttrpc::Server& server, Sandbox& sandbox, HostLink& host, Reaper& reaper)
    : server_(server), sandbox_(sandbox), host_(host), containers_(sandbox, host, reaper, server.loop()) {
  On<v1::CreateSandboxRequest>("CreateSandbox", [this](const auto& request) -> Status {
    std::lock_guard lock(mutex_);
    if (state_ != State::kNew)
      return Err("sandbox.not-ready", "", "the sandbox was already created or refused; it takes one document, once");
    state_ = State::kRefused;
    RETURN_IF_ERROR(sandbox_.Create(request));
    state_ = State::kReady;
    return Ok();
  });
  auto ready = [this](auto&& call) -> Status {
    {
      std::lock_guard lock(mutex_);
      if (state_ != State::kReady)
        return Err("sandbox.not-ready", "", "nothing runs before CreateSandbox was accepted");
    }
    return call();
  };
  On<v1::CreateContainerRequest>("CreateContainer",
                                 [=, this](const auto& r) { return ready([&] { return containers_.Create(r); }); });
  On<v1::StartRequest>("Start", [=, this](const auto& r) { return ready([&] { return containers_.Start(r); }); });
  On<v1::ExecRequest>("Exec", [=, this](const auto& r) { return ready([&] { return containers_.Exec(r); }); });
  On<v1::SignalRequest>("Signal", [=, this](const auto& r) { return ready([&] { return containers_.Signal(r); }); });
  On<v1::ResizeRequest>("ResizePty", [=, this](const auto& r) { return ready([&] { return containers_.Resize(r); }); });
  On<v1::UpdateRequest>("Update", [=, this](const auto& r) { return ready([&] { return containers_.Update(r); }); });
  On<v1::ProcessRef>("Pause",
                     [=, this](const auto& r) { return ready([&] { return containers_.Command("pause", r); }); });
  On<v1::ProcessRef>("Resume",
                     [=, this](const auto& r) { return ready([&] { return containers_.Command("resume", r); }); });
  On<v1::DeleteRequest>("Delete", [=, this](const auto& r) { return ready([&] { return containers_.Delete(r); }); });
}

Status GuestService::Serve(Fd task_channel) {
  std::promise<void> gone;
  RETURN_IF_ERROR(server_.ServeFd(std::move(task_channel), [&gone] { gone.set_value(); }));
  gone.get_future().wait();
  return Ok();
}

Status RunGuest() {
  ::signal(SIGPIPE, SIG_IGN);
  Reaper::BlockSignals();
  PlatformLink platform{Fd(kPlatformFd)};
  ASSIGN_OR_RETURN(Launch launch, platform.Begin());
  log::AddContext("sandbox", launch.sandbox_id);
  auto take = [&launch](const char* name) -> Result<Fd> {
    auto it = launch.channels.find(name);
    if (it == launch.channels.end())
      return Err("platform.bad-params", name, "the sandbox was launched without this channel");
    return std::move(it->second);
  };
  ASSIGN_OR_RETURN(Fd log_channel, take(kChannelLog));
  ::dup2(log_channel.get(), 2);
  log_channel.Close();
  RETURN_IF_ERROR(MountOwnFilesystems());
  ASSIGN_OR_RETURN(Fd task, take(kChannelTask));
  ASSIGN_OR_RETURN(Fd host_channel, take(kChannelHost));
  ASSIGN_OR_RETURN(Fd pids, take(kChannelPids));
  ttrpc::Server server({.max_workers = kWorkers});
  Reaper reaper(server.loop());
  HostLink host(std::move(host_channel), std::move(pids));
  Sandbox sandbox(std::move(launch), platform, host, reaper, server.loop());
  GuestService service(server, sandbox, host, reaper);
  Status status = service.Serve(std::move(task));
  // Threads that live as long as the sandbox still use what is on this stack: end at once, the kernel ends the rest.
  ::_exit(status.ok() ? 0 : 1);
}

}  // namespace ccgpu::shim
