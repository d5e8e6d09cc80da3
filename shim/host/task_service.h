// containerd's task service, v2: the states of a pod's processes, and what containerd may do with them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/ttrpc/server.h"
#include "shim/host/host_stdio.h"
#include "shim/host/oom_watch.h"
#include "shim/host/pod.h"
#include "shim/host/process_state.h"
#include "shim/host/publisher.h"

namespace ccgpu::shim {

// Registers itself with the server. No call holds the lock while it waits for the guest, so State, Wait and Connect
// answer at any time.
class TaskService {
 public:
  TaskService(ttrpc::Server& server, Pod& pod, Publisher& publisher, std::string ns, std::function<void()> on_shutdown);

  // The guest's callbacks.
  void OnExited(const v1::ExitedRequest& request);
  void OnGuestGone(int status);

 private:
  struct Process {
    std::string id, exec_id, spec_json;
    ProcessState state = ProcessState::kCreating;
    pid_t pid = 0;
    uint32_t exit_status = 0;
    containerd::Timestamp exited_at;
    StdioPaths paths;
    HostStdio stdio;
    std::vector<ttrpc::Completion> waiters;
    bool exit_pending = false;  // it has ended, but its start has not been told yet
  };
  struct Container {
    Process init;
    std::map<std::string, Process> execs;
    std::string bundle;
    SpecFacts facts;
    Cgroup cgroup;
    std::unique_ptr<OomWatch> oom;
    bool init_exit_held = false;  // execs are told first
  };
  using Reply = ttrpc::Reply;

  template <class Request, class F>
  void On(const char* method, F handler);
  Reply Create(const containerd::CreateTaskRequest& request);
  Result<pid_t> CreateInGuest(const containerd::CreateTaskRequest& request, const SpecFacts& facts,
                              const std::string& spec_json, HostStdio& stdio);
  Reply Start(const containerd::StartRequest& request);
  Reply StartInGuest(const std::string& id);
  Reply StartExec(const containerd::StartRequest& request);
  Reply Exec(const containerd::ExecProcessRequest& request);
  Reply Kill(const containerd::KillRequest& request);
  Reply Delete(const containerd::DeleteRequest& request);
  Reply State(const containerd::StateRequest& request);
  Reply Pids(const containerd::PidsRequest& request);
  Reply Stats(const containerd::ContainerRequest& request);
  Reply Connect(const containerd::ContainerRequest& request);
  Reply PauseOrResume(const containerd::ContainerRequest& request, bool pause);
  Reply Update(const containerd::UpdateTaskRequest& request);
  Reply ResizePty(const containerd::ResizePtyRequest& request);
  Reply CloseIO(const containerd::CloseIORequest& request);
  Reply Shutdown();
  void Wait(std::string_view payload, ttrpc::Completion done);

  // With the lock held.
  Process* FindLocked(const std::string& id, const std::string& exec_id, Reply& why_not);
  void SetExit(Process& process, uint32_t status, const containerd::Timestamp& when);
  void TellExit(Container& container, Process& process);
  void TellHeldInit(Container& container);
  void WatchOom(Container& container);
  Reply GuestFailure(const ttrpc::Reply& reply);

  ttrpc::Server& server_;
  Pod& pod_;
  Publisher& publisher_;
  const std::string namespace_;
  std::function<void()> on_shutdown_;
  std::mutex mutex_;
  std::map<std::string, Container> containers_;
};

}  // namespace ccgpu::shim
