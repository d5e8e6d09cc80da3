// The containers of a sandbox: made, started, signalled and removed through runc, after the policy has agreed.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/ttrpc/loop.h"
#include "shim/api/guest.pb.h"
#include "shim/guest/runc.h"
#include "shim/guest/sandbox.h"
#include "shim/guest/stdio.h"
#include "shim/oci/spec.h"

namespace ccgpu::shim {

// Thread-safe; calls about one container run one after the other, calls about different ones at the same time.
class Containers {
 public:
  Containers(Sandbox& sandbox, HostLink& host, Reaper& reaper, ttrpc::Loop& loop)
      : sandbox_(sandbox), host_(host), reaper_(reaper), loop_(loop) {}

  Status Create(const v1::CreateContainerRequest& request);
  Status Start(const v1::StartRequest& request);
  Status Exec(const v1::ExecRequest& request);
  Status Signal(const v1::SignalRequest& request);
  Status Resize(const v1::ResizeRequest& request);
  Status Update(const v1::UpdateRequest& request);
  Status Command(const std::string& verb, const v1::ProcessRef& request);  // pause, resume
  Status Delete(const v1::DeleteRequest& request);                         // of a container or of one exec

 private:
  struct Process {
    pid_t pid = 0;
    bool exited = false;
    std::unique_ptr<Stdio> stdio;
  };
  struct Container {
    std::mutex operation;  // held for a whole call
    std::string id, folder, policy_name;
    std::unique_ptr<Runc> runc;
    bool rootfs_mounted = false;
    bool has_gpu = false;
    bool private_pid = true;
    bool poststop_hooks = false;
    std::mutex state;  // guards what follows
    Process init;
    std::map<std::string, Process> execs;
  };

  Result<std::shared_ptr<Container>> Find(const std::string& id);
  Status CheckPolicy(const v1::CreateContainerRequest& request, const SpecFacts& facts, const Container& container);
  Status CreateIn(Container& container, const v1::CreateContainerRequest& request);
  // Puts away all that Create made.
  void CleanUp(Container& container);
  Result<Fd> ReceiveMaster(const Fd& listener);
  Status Attach(Process& process, pid_t pid, bool terminal, Fd console, HostStreams streams);
  Status WatchExit(const std::shared_ptr<Container>& container, const std::string& exec_id, pid_t pid);

  Sandbox& sandbox_;
  HostLink& host_;
  Reaper& reaper_;
  ttrpc::Loop& loop_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Container>> containers_;
  policy::PodState created_;
};

}  // namespace ccgpu::shim
