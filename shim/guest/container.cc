#include "shim/guest/container.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "base/file.h"
#include "base/ttrpc/socket.h"
#include "shim/api/names.h"
#include "shim/channel/fd_socket.h"
#include "shim/guest/sandbox_mounts.h"
#include "shim/guest/spec_rewrite.h"
#include "shim/oci/mounts.h"
#include "shim/oci/spec.h"
#include "trust/policy/rootfs_digest.h"

namespace ccgpu::shim {
namespace {

constexpr auto kDrain = std::chrono::seconds(2);

// Ids come from the host and become folder names.
Status CheckId(const std::string& id) {
  if (id.empty() || id.size() > 200 || id.front() == '.' || id.find('/') != std::string::npos)
    return Err("oci.bad-id", id, "expected an id of 1 to 200 characters without '/'");
  return Ok();
}

}  // namespace

Result<std::shared_ptr<Containers::Container>> Containers::Find(const std::string& id) {
  std::lock_guard lock(mutex_);
  auto it = containers_.find(id);
  if (it == containers_.end()) return Err("container.unknown", id, "no such container in this sandbox");
  return it->second;
}

Status Containers::Create(const v1::CreateContainerRequest& request) {
  RETURN_IF_ERROR(CheckId(request.id()));
  auto container = std::make_shared<Container>();
  container->id = request.id();
  container->folder = std::string(kGuestDir) + "/c/" + request.id();
  {
    std::lock_guard lock(mutex_);
    if (!containers_.emplace(request.id(), container).second)
      return Err("container.exists", request.id(), "a container of this id is already in this sandbox");
  }
  std::lock_guard operation(container->operation);
  Status status = CreateIn(*container, request);
  if (status.ok()) status = WatchExit(container, "", container->init.pid);
  if (status.ok()) return status;
  CleanUp(*container);
  std::lock_guard lock(mutex_);
  containers_.erase(request.id());
  return status;
}

Status Containers::CheckPolicy(const v1::CreateContainerRequest& request, const SpecFacts& facts,
                               const Container& container) {
  if (!sandbox_.policy()) {
    if (request.gpu_uuids_size() > 0)
      return Err("policy.missing", container.id, "a container that gets a confidential GPU needs a pod policy");
    return Ok();
  }
  policy::ContainerRequest asked;
  asked.name = container.policy_name;
  asked.image_name = facts.Annotation(kCriImageName);
  asked.oci_spec_json = request.oci_spec_json();
  asked.gpus = static_cast<uint32_t>(request.gpu_uuids_size());
  std::lock_guard lock(mutex_);
  return policy::CheckCreateSpec(*sandbox_.policy(), asked, created_);
}

Status Containers::CreateIn(Container& container, const v1::CreateContainerRequest& request) {
  ASSIGN_OR_RETURN(HostStreams streams, host_.TakeStreams(request.stdio()));
  ASSIGN_OR_RETURN(SpecFacts facts, ReadSpec(request.oci_spec_json(), container.id));
  container.policy_name = facts.Annotation(kCriContainerName);
  container.private_pid = facts.private_pid();
  container.poststop_hooks = facts.has_poststop_hooks;
  RETURN_IF_ERROR(CheckPolicy(request, facts, container));

  RETURN_IF_ERROR(MakeDirs(container.folder, 0711));
  SpecChanges changes;
  changes.in_pod = facts.kind == ContainerKind::kPodContainer;
  if (request.rootfs_size() > 0) {
    changes.rootfs = container.folder + "/rootfs";
    RETURN_IF_ERROR(MakeDirs(changes.rootfs, 0711));
    std::vector<MountEntry> mounts;
    for (const auto& mount : request.rootfs())
      mounts.push_back({mount.type(), mount.source(), {mount.options().begin(), mount.options().end()}});
    RETURN_IF_ERROR(MountAll(mounts, changes.rootfs));
    container.rootfs_mounted = true;
  } else {
    changes.rootfs = facts.root_path.rfind('/', 0) == 0 ? facts.root_path : request.bundle() + "/" + facts.root_path;
  }
  if (sandbox_.policy()) {
    ASSIGN_OR_RETURN(std::string digest, policy::DigestDirectory(changes.rootfs));
    RETURN_IF_ERROR(policy::CheckRootfs(*sandbox_.policy(), container.policy_name, digest));
  }
  if (request.gpu_uuids_size() > 0) {
    changes.gpu_folder = container.folder + "/gpu";
    changes.library_folder = std::string(kGuestDir) + "/lib";
    RETURN_IF_ERROR(MakeDirs(changes.gpu_folder + "/lib", 0755));
    RETURN_IF_ERROR(sandbox_.gpus().Lend(container.id, {request.gpu_uuids().begin(), request.gpu_uuids().end()},
                                         changes.gpu_folder + "/driver.sock", sandbox_.policy()->gpus.allow_set_ready));
    container.has_gpu = true;
  }
  changes.own_cgroups = !request.runtime().systemd_cgroup();
  ASSIGN_OR_RETURN(std::string config, RewriteSpec(request.oci_spec_json(), changes));
  RETURN_IF_ERROR(WriteFileAtomic(container.folder + "/config.json", config, 0600));

  RuncOptions options;
  if (!request.runtime().binary().empty()) options.binary = request.runtime().binary();
  options.root = std::string(kGuestDir) + "/runc";
  options.systemd_cgroup = request.runtime().systemd_cgroup();
  options.no_pivot_root = request.runtime().no_pivot_root();
  options.no_new_keyring = request.runtime().no_new_keyring();
  container.runc = std::make_unique<Runc>(reaper_, options);

  container.init.stdio = std::make_unique<Stdio>(loop_);
  bool terminal = request.stdio().terminal();
  std::vector<int> fds = {-1, -1, -1};
  std::string console_path;
  Fd console;
  if (terminal) {
    console_path = container.folder + "/console.sock";
    ASSIGN_OR_RETURN(console, ttrpc::ListenUnix(console_path));
  } else {
    ASSIGN_OR_RETURN(fds, container.init.stdio->MakePipes(std::move(streams), request.stdio().stdin_later()));
  }
  ASSIGN_OR_RETURN(pid_t pid, container.runc->Create(container.id, container.folder, console_path, fds));
  RETURN_IF_ERROR(Attach(container.init, pid, terminal, std::move(console), std::move(streams)));
  RETURN_IF_ERROR(host_.TellPid(request.token(), pid));
  std::lock_guard lock(mutex_);
  ++created_.created[container.policy_name];
  return Ok();
}

Status Containers::Attach(Process& process, pid_t pid, bool terminal, Fd console, HostStreams streams) {
  process.pid = pid;
  if (!terminal) {
    process.stdio->StartPipes();
    return Ok();
  }
  ASSIGN_OR_RETURN(Fd master, ReceiveMaster(console));
  process.stdio->StartTerminal(std::move(master), std::move(streams));
  return Ok();
}

Result<Fd> Containers::ReceiveMaster(const Fd& listener) {
  // The runtime has already connected and sent when it ends, so nothing here waits for long.
  pollfd ready{listener.get(), POLLIN, 0};
  if (::poll(&ready, 1, 1000) != 1) return Err("runc.failed", "console", "the OCI runtime sent no terminal");
  Fd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection.valid()) return ErrnoError("runc.failed", "accept", "the console socket");
  ASSIGN_OR_RETURN(FdMessage message, ReceiveFdMessage(connection.get(), 4096, true));
  if (message.fds.size() != 1) return Err("runc.failed", "console", "expected one terminal from the OCI runtime");
  return std::move(message.fds.front());
}

Status Containers::WatchExit(const std::shared_ptr<Container>& container, const std::string& exec_id, pid_t pid) {
  return reaper_.Watch(pid, [this, container, exec_id](int status) {
    bool leftovers = false;
    {
      std::lock_guard lock(container->state);
      Process* process = &container->init;
      if (!exec_id.empty()) {
        auto it = container->execs.find(exec_id);
        process = it == container->execs.end() ? nullptr : &it->second;
      }
      if (process) process->exited = true;
      leftovers = exec_id.empty() && !container->private_pid;
      // Without a pid namespace of its own nobody else ends what the container's first process leaves behind.
      if (leftovers) {
        for (auto& [name, exec] : container->execs)
          if (!exec.exited) (void)reaper_.Signal(exec.pid, SIGKILL);
      }
    }
    if (leftovers)
      std::thread([container] {
        (void)container->runc->Kill(container->id, container->folder, SIGKILL, true);
      }).detach();
    host_.Exited(container->id, exec_id, status);
  });
}

Status Containers::Start(const v1::StartRequest& request) {
  ASSIGN_OR_RETURN(auto container, Find(request.id()));
  std::lock_guard operation(container->operation);
  ASSIGN_OR_RETURN(HostStreams streams, host_.TakeStreams(request.stdin()));
  if (streams.in.valid()) {
    std::lock_guard lock(container->state);
    container->init.stdio->AttachInput(std::move(streams.in));
  }
  return container->runc->Start(container->id, container->folder);
}

Status Containers::Exec(const v1::ExecRequest& request) {
  RETURN_IF_ERROR(CheckId(request.exec_id()));
  ASSIGN_OR_RETURN(auto container, Find(request.id()));
  ASSIGN_OR_RETURN(HostStreams streams, host_.TakeStreams(request.stdio()));
  if (sandbox_.policy())
    RETURN_IF_ERROR(policy::CheckExec(*sandbox_.policy(), container->policy_name, request.process_json()));
  bool terminal = request.stdio().terminal();
  ASSIGN_OR_RETURN(std::string process_json, RewriteProcess(request.process_json(), terminal, container->has_gpu));
  // Not under the container's operation lock: an exec may hang (a frozen container) and a kill must still come through.
  std::string folder = container->folder + "/exec-" + request.exec_id();
  RETURN_IF_ERROR(MakeDirs(folder, 0700));
  struct Remover {
    std::string path;
    ~Remover() { RemoveTree(path); }
  } remover{folder};
  RETURN_IF_ERROR(WriteFileAtomic(folder + "/process.json", process_json, 0600));
  Process process;
  process.stdio = std::make_unique<Stdio>(loop_);
  std::vector<int> fds = {-1, -1, -1};
  std::string console_path;
  Fd console;
  if (terminal) {
    console_path = folder + "/console.sock";
    ASSIGN_OR_RETURN(console, ttrpc::ListenUnix(console_path));
  } else {
    ASSIGN_OR_RETURN(fds, process.stdio->MakePipes(std::move(streams), false));
  }
  ASSIGN_OR_RETURN(pid_t pid,
                   container->runc->Exec(container->id, folder, folder + "/process.json", console_path, fds));
  RETURN_IF_ERROR(Attach(process, pid, terminal, std::move(console), std::move(streams)));
  RETURN_IF_ERROR(host_.TellPid(request.token(), pid));
  {
    std::lock_guard lock(container->state);
    container->execs[request.exec_id()] = std::move(process);
  }
  return WatchExit(container, request.exec_id(), pid);
}

Status Containers::Signal(const v1::SignalRequest& request) {
  ASSIGN_OR_RETURN(auto container, Find(request.id()));
  if (request.all())
    return container->runc->Kill(container->id, container->folder, static_cast<int>(request.signal()), true);
  pid_t pid = 0;
  {
    std::lock_guard lock(container->state);
    Process* process = &container->init;
    if (!request.exec_id().empty()) {
      auto it = container->execs.find(request.exec_id());
      process = it == container->execs.end() ? nullptr : &it->second;
    }
    if (!process || process->exited) return Err("process.gone", request.id(), "the process already finished");
    pid = process->pid;
  }
  return reaper_.Signal(pid, static_cast<int>(request.signal()));
}

Status Containers::Resize(const v1::ResizeRequest& request) {
  ASSIGN_OR_RETURN(auto container, Find(request.id()));
  std::lock_guard lock(container->state);
  if (request.exec_id().empty()) return container->init.stdio->Resize(request.width(), request.height());
  auto it = container->execs.find(request.exec_id());
  if (it == container->execs.end()) return Ok();
  return it->second.stdio->Resize(request.width(), request.height());
}

Status Containers::Update(const v1::UpdateRequest& request) {
  ASSIGN_OR_RETURN(auto container, Find(request.id()));
  std::lock_guard operation(container->operation);
  return container->runc->Command("update", container->id, container->folder, {"--resources", "-"},
                                  request.resources_json());
}

Status Containers::Command(const std::string& verb, const v1::ProcessRef& request) {
  ASSIGN_OR_RETURN(auto container, Find(request.id()));
  std::lock_guard operation(container->operation);
  return container->runc->Command(verb, container->id, container->folder);
}

Status Containers::Delete(const v1::DeleteRequest& request) {
  ASSIGN_OR_RETURN(auto container, Find(request.id()));
  if (!request.exec_id().empty()) {
    Process process;
    {
      std::lock_guard lock(container->state);
      auto it = container->execs.find(request.exec_id());
      if (it == container->execs.end()) return Ok();
      process = std::move(it->second);
      container->execs.erase(it);
    }
    process.stdio->WaitDrained(kDrain);
    return Ok();
  }
  std::lock_guard operation(container->operation);
  container->init.stdio->WaitDrained(kDrain);
  if (request.sandbox_ends() && !container->poststop_hooks) return Ok();
  CleanUp(*container);
  std::lock_guard lock(mutex_);
  containers_.erase(request.id());
  return Ok();
}

void Containers::CleanUp(Container& container) {
  if (container.runc) (void)container.runc->Delete(container.id, container.folder, true);
  if (container.has_gpu) sandbox_.gpus().TakeBack(container.id);
  if (container.init.stdio) container.init.stdio->Close();
  if (container.rootfs_mounted) (void)UnmountAll(container.folder + "/rootfs");
  RemoveTree(container.folder);
}

}  // namespace ccgpu::shim
