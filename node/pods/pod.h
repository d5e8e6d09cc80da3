// One pod from admission to the last trace of it. A thread of its own takes it through its life:
//
//   volumes -> sandbox -> init containers, one after another -> containers -> watch and restart -> take everything down
//
// Each step asks the runtime what is there already, so the same thread body also picks a pod up after a restart of
// ccgpu-node or of the runtime.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "node/cri/client.h"
#include "node/cri/exit_notice.h"
#include "node/devices/device_manager.h"
#include "node/manifest/pod_spec.h"
#include "node/pods/change_waiter.h"
#include "node/pods/cri_config.h"
#include "node/pods/pod_events.h"
#include "node/pods/pod_record.h"

namespace ccgpu::node {

// What all pods share. Must outlive them.
struct PodEnvironment {
  CriClient& cri;
  DeviceManager& devices;
  ExitNotice& exits;
  const Clock& clock;
  std::string work_dir;                             // records, own events, volumes
  std::string logs_dir;                             // container logs
  std::string events_dir;                           // where shims write (events_dir/<sandbox id>/events.jsonl)
  std::string cgroup_parent;                        // "/ccgpu"; empty: the runtime's own choice
  std::chrono::milliseconds restart_backoff{1000};  // after the first end (backoff.h)
};

// A copy of everything that others may see.
struct PodView {
  PodRecord record;
  std::string phase;  // Pending | Running | Succeeded | Failed; the last two once nothing of the pod is left
  std::string pod_ip;
  std::vector<PodEvent> events;
  bool all_running = false;
};

class Pod {
 public:
  enum class Stop { kRemove, kTimeout };

  Pod(PodEnvironment& environment, PodSpec spec, PodRecord record);
  ~Pod();  // Detach and join

  void Start();
  // Ends the pod: containers get SIGTERM and the pod's grace period, or SIGKILL at once with `force`. Does not wait.
  void RequestStop(Stop why, bool force);
  // SIGKILL for what runs, e.g. when a grace period is to be cut short. Any thread.
  void KillContainers();
  // Lets go of the pod without ending it (ccgpu-node stops); joins the thread.
  void Detach();
  // Returns true when the pod is finished within the time.
  bool WaitFinished(std::chrono::milliseconds timeout);

  const PodSpec& spec() const { return spec_; }
  const std::string& uid() const { return identity_.uid; }
  PodView View();
  std::string LogDir() const { return identity_.log_dir; }
  std::vector<std::string> ContainerNames() const;
  Result<std::string> ContainerId(
      const std::string& container);  // of the running instance; empty name: the first container
  // File of the network namespace that the pod's agent lives in.
  Result<std::string> NetworkNamespace();
  // Woken at every change until it dies.
  void AddWaiter(const std::shared_ptr<ChangeWaiter>& waiter);
  // Deletes what is left on disk. Only when finished.
  Status RemoveFiles();

 private:
  struct Ending {
    PodOutcome outcome;
    Error failure;
  };
  struct Round {  // of looks at all containers
    bool changed = false;
    bool left = false;  // one runs or is to run
  };

  // pod_life.cc
  void ThreadBody();
  Ending Live();
  Result<std::string> EnsureSandbox();
  std::optional<std::string> TakeReadySandbox(const std::vector<runtime::v1::PodSandbox>& known);
  Result<std::string> StartSandbox();
  Status Adopt();
  Status StartContainer(size_t index);
  Ending Decide(PodOutcome outcome, Error failure) const { return {outcome, std::move(failure)}; }
  Ending FromError(const Error& error) const;
  bool Stopping();  // a stop or a detach was asked for
  Ending StopEnding();
  void Pause(std::chrono::milliseconds time);  // wakes for a stop
  Status RetryWhileUnavailable(const std::function<Status()>& call);

  // pod_watch.cc
  Result<Ending> RunInit(size_t index);
  Ending Watch();
  std::optional<Ending> TendAll(Round& round);
  std::optional<Ending> Tend(size_t index, Round& round);
  bool Poll(size_t index);  // true when the state changed
  bool SandboxLost();
  Ending Outcome() const;
  void WatchHealth();
  bool MayRestart(const ContainerRecord& container) const;
  bool IsDone(const ContainerRecord& container) const;
  std::chrono::milliseconds PauseBefore(const ContainerRecord& container) const;  // its next start

  // pod_end.cc
  void TakeDown(Ending& ending);
  void Explain(Ending& ending);  // a failed container whose GPU or key was refused is a refused pod
  Status StopAll();

  void Event(const std::string& code, const std::string& subject, const std::string& message);
  void Save();
  void Changed();
  std::string RecordPath() const;

  PodEnvironment& env_;
  const PodSpec spec_;
  PodIdentity identity_;
  std::map<std::string, std::string> volumes_;
  runtime::v1::PodSandboxConfig sandbox_config_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  PodRecord record_;
  PodEvents events_;
  std::string pod_ip_;
  std::vector<std::weak_ptr<ChangeWaiter>> waiters_;
  bool stop_requested_ = false, stop_force_ = false, detached_ = false;
  Stop stop_why_ = Stop::kRemove;

  CallGate gate_;
  std::vector<std::chrono::steady_clock::time_point> started_;     // of each container, by index; worker only
  std::vector<std::chrono::steady_clock::time_point> not_before_;  // may each be started again; worker only
  std::chrono::steady_clock::time_point deadline_;
  std::set<std::string> sick_;  // devices that were reported unhealthy; worker only
  std::mutex join_;             // several may wait for the end at once
  std::thread thread_;
};

}  // namespace ccgpu::node
