// A pod's life up to the moment where its outcome is decided.
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "node/cri/refusal.h"
#include "node/pods/pod.h"
#include "node/pods/volumes.h"

namespace ccgpu::node {

using runtime::v1::CONTAINER_CREATED;
using runtime::v1::CONTAINER_EXITED;
using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

void Pod::ThreadBody() {
  if (spec_.active_deadline_seconds > 0)
    deadline_ = Steady::now() + std::chrono::seconds(spec_.active_deadline_seconds);
  Ending ending{record_.outcome, record_.failure};
  if (ending.outcome == PodOutcome::kUndecided) ending = Live();
  {
    std::lock_guard lock(mutex_);
    if (detached_) return;  // the pod lives on; the next ccgpu-node picks it up
  }
  TakeDown(ending);
}

bool Pod::Stopping() {
  std::lock_guard lock(mutex_);
  return stop_requested_ || detached_;
}

Pod::Ending Pod::StopEnding() {
  std::lock_guard lock(mutex_);
  if (stop_requested_ && stop_why_ == Stop::kTimeout)
    return {PodOutcome::kTimedOut, Err("node.timeout", spec_.name, "was not finished in the time given")};
  return {PodOutcome::kRemoved, {}};
}

Pod::Ending Pod::FromError(const Error& error) const {
  return {IsRefusal(error.code) ? PodOutcome::kRefused : PodOutcome::kFailed, error};
}

void Pod::Pause(milliseconds time) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, time, [this] { return stop_requested_ || detached_; });
}

// A runtime that restarts is not the pod's fault.
Status Pod::RetryWhileUnavailable(const std::function<Status()>& call) {
  for (milliseconds pause{50};; pause = std::min(pause * 2, milliseconds(2000))) {
    Status status = call();
    if (status.ok() || status.error().code != "cri.unavailable" || Stopping()) return status;
    Pause(pause);
  }
}

Pod::Ending Pod::Live() {
  auto volumes = PrepareVolumes(spec_, env_.work_dir + "/" + identity_.uid + ".volumes");
  if (!volumes.ok()) return FromError(volumes.error());
  volumes_ = std::move(*volumes);
  for (const auto& name : ContainerNames()) {
    if (auto made = MakeDirs(identity_.log_dir + "/" + name, 0750); !made.ok()) return FromError(made.error());
  }
  auto sandbox = EnsureSandbox();
  if (Stopping()) return StopEnding();
  if (!sandbox.ok()) return FromError(sandbox.error());
  if (auto adopted = Adopt(); !adopted.ok()) return Stopping() ? StopEnding() : FromError(adopted.error());
  for (size_t i = 0; i < record_.containers.size(); ++i) {
    if (!record_.containers[i].init) continue;
    auto ending = RunInit(i);
    if (!ending.ok()) return Stopping() ? StopEnding() : FromError(ending.error());
    if (ending->outcome != PodOutcome::kUndecided) return *ending;
  }
  return Watch();
}

// The id of a sandbox that is ready: the one of before, or a new one.
Result<std::string> Pod::EnsureSandbox() {
  std::vector<runtime::v1::PodSandbox> known;
  RETURN_IF_ERROR(RetryWhileUnavailable([&]() -> Status {
    ASSIGN_OR_RETURN(known, env_.cri.ListSandboxes({{"io.kubernetes.pod.uid", identity_.uid}}));
    return Ok();
  }));
  for (const auto& one : known) {
    identity_.attempt = std::max(identity_.attempt, one.metadata().attempt() + 1);
    if (one.state() != runtime::v1::SANDBOX_READY) continue;
    std::lock_guard lock(mutex_);
    record_.sandbox_id = one.id();
    record_.attempt = one.metadata().attempt();
    identity_.attempt = one.metadata().attempt();
    sandbox_config_ = SandboxConfig(spec_, identity_);
    return one.id();
  }
  if (record_.containers_ran)
    return Err("node.sandbox-lost", record_.sandbox_id, "the pod's sandbox ended while nobody watched");

  sandbox_config_ = SandboxConfig(spec_, identity_);
  Event("sandbox-starting", spec_.runtime_class, "starting the sandbox");
  std::set<std::string> before;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(env_.events_dir, ignored))
    before.insert(entry.path().filename());
  auto id = env_.cri.RunSandbox(sandbox_config_, spec_.runtime_class, &gate_);
  std::string events_of = id.ok() ? *id : "";
  if (!id.ok()) {
    // The runtime does not tell the id of a sandbox that failed, but its shim wrote under it: the folder that is new.
    // Two of them mean that another pod starts too; then nobody can tell, and the error itself has to do.
    std::vector<std::string> fresh;
    for (const auto& entry : std::filesystem::directory_iterator(env_.events_dir, ignored)) {
      if (before.count(entry.path().filename()) == 0) fresh.push_back(entry.path().filename());
    }
    if (fresh.size() == 1) events_of = fresh.front();
  }
  {
    std::lock_guard lock(mutex_);
    record_.sandbox_id = events_of;
    record_.attempt = identity_.attempt;
    if (!events_of.empty()) events_.FollowSandbox(env_.events_dir + "/" + events_of + "/events.jsonl");
  }
  Save();
  if (!id.ok()) return id.error();
  Event("sandbox-started", *id, "the sandbox runs");
  return id;
}

// What is known about the containers from an earlier life of this program, and the pod's address.
Status Pod::Adopt() {
  return RetryWhileUnavailable([&]() -> Status {
    ASSIGN_OR_RETURN(const SandboxInfo info, env_.cri.SandboxStatus(record_.sandbox_id));
    ASSIGN_OR_RETURN(const auto containers, env_.cri.ListContainers(record_.sandbox_id));
    std::lock_guard lock(mutex_);
    pod_ip_ = info.status.network().ip();
    for (const auto& one : containers) {
      for (auto& container : record_.containers) {
        if (container.name != one.metadata().name() ||
            (!container.id.empty() && container.id != one.id() && one.metadata().attempt() < container.attempt))
          continue;
        const bool known_end = container.id == one.id() && container.state == "exited";
        container.id = one.id();
        container.attempt = one.metadata().attempt();
        // One that ended while nobody watched counts as running until Poll has read how it ended.
        container.state = one.state() == CONTAINER_CREATED ? "created" : known_end ? "exited" : "running";
      }
    }
    events_.FollowSandbox(env_.events_dir + "/" + record_.sandbox_id + "/events.jsonl");
    Changed();
    return Ok();
  });
}

bool Pod::MayRestart(const ContainerRecord& container) const {
  if (spec_.restart_policy == RestartPolicy::kNever) return false;
  // Init containers are done when they end well, whatever the policy says.
  if (spec_.restart_policy == RestartPolicy::kAlways && !container.init) return true;
  return container.exit_code != 0;
}

// Undecided: the init container is done, go on.
Result<Pod::Ending> Pod::RunInit(size_t index) {
  for (;;) {
    if (Stopping()) return StopEnding();
    if (record_.containers[index].state == "waiting" || record_.containers[index].state == "created")
      RETURN_IF_ERROR(StartContainer(index));
    uint64_t seen = env_.exits.count();
    for (milliseconds pause{2}; record_.containers[index].state == "running";
         pause = std::min(pause * 2, milliseconds(250))) {
      if (Poll(index)) continue;
      if (Stopping()) return StopEnding();
      const uint64_t now =
          env_.exits.Wait(seen, env_.exits.connected() ? pause * 4 : std::min(pause, milliseconds(50)));
      if (now != seen) pause = milliseconds(1);
      seen = now;
    }
    const ContainerRecord container = record_.containers[index];
    if (container.exit_code == 0 && container.state == "exited") return Decide(PodOutcome::kUndecided, {});
    if (!MayRestart(container)) {
      return Decide(PodOutcome::kFailed, Err("node.init-container-failed", container.name,
                                             "exited with " + std::to_string(container.exit_code)));
    }
    const int shift = static_cast<int>(std::min<uint32_t>(container.restarts, 16));
    Pause(std::min(env_.restart_backoff * (1 << shift), milliseconds(300000)));
    std::lock_guard lock(mutex_);
    record_.containers[index].state = "waiting";
  }
}

// Creates and starts one instance. A refusal or a failure of the runtime's is an error; the container then counts as
// exited.
Status Pod::StartContainer(size_t index) {
  const ContainerRecord before = record_.containers[index];
  const auto& list = before.init ? spec_.init_containers : spec_.containers;
  const auto spec =
      std::find_if(list.begin(), list.end(), [&](const ContainerSpec& one) { return one.name == before.name; });
  Status status = [&]() -> Status {
    std::string id = before.id;
    if (before.state != "created") {
      ContainerInputs inputs;
      inputs.attempt = before.id.empty() ? 0 : before.attempt + 1;
      inputs.pod_ip = pod_ip_;
      inputs.volumes = volumes_;
      inputs.node_memory = static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
      ASSIGN_OR_RETURN(inputs.devices, env_.devices.Answer(identity_.uid, before.name));
      ASSIGN_OR_RETURN(
          id, env_.cri.CreateContainer(record_.sandbox_id, MakeContainerConfig(spec_, identity_, *spec, inputs),
                                       sandbox_config_, &gate_));
      if (!before.id.empty())
        (void)env_.cri.RemoveContainer(before.id);  // logs stay; a failure is repeated when the pod ends
      std::lock_guard lock(mutex_);
      auto& container = record_.containers[index];
      container.id = id;
      container.attempt = inputs.attempt;
      container.restarts += !before.id.empty();
      container.state = "created";
    }
    RETURN_IF_ERROR(env_.devices.PreStart(identity_.uid, before.name));
    RETURN_IF_ERROR(env_.cri.StartContainer(id, &gate_));
    std::lock_guard lock(mutex_);
    auto& container = record_.containers[index];
    container.state = "running";
    container.reason.clear();
    container.message.clear();
    record_.containers_ran = true;
    return Ok();
  }();
  started_[index] = Steady::now();
  if (!status.ok()) {
    std::lock_guard lock(mutex_);
    auto& container = record_.containers[index];
    container.state = "exited";
    container.exit_code = 128;
    container.reason = "StartError";
    container.message = status.error().ToString();
  }
  Save();
  if (status.ok()) {
    Event("container-started", before.name, before.init ? "init container started" : "container started");
  } else if (!Stopping()) {
    Event(status.error().code, status.error().subject.empty() ? before.name : status.error().subject,
          "container " + before.name + " did not start: " + status.error().text);
  }
  return status;
}

bool Pod::Poll(size_t index) {
  const ContainerRecord before = record_.containers[index];
  auto status = env_.cri.ContainerStatus(before.id);
  if (!status.ok() && status.error().code != "cri.not-found") return false;  // the runtime will be back
  const bool gone = !status.ok() || status->state() == runtime::v1::CONTAINER_UNKNOWN;
  if (!gone && status->state() != CONTAINER_EXITED) return false;
  {
    std::lock_guard lock(mutex_);
    auto& container = record_.containers[index];
    container.state = "exited";
    container.exit_code = gone ? 255 : status->exit_code();
    container.reason = gone ? "Lost" : status->reason();
    container.message = gone ? "the runtime does not know the container any more" : status->message();
  }
  Save();
  Event("container-exited", before.name,
        "exited with " + std::to_string(record_.containers[index].exit_code) +
            (record_.containers[index].reason.empty() ? "" : " (" + record_.containers[index].reason + ")"));
  return true;
}

void Pod::WatchHealth() {
  const auto unhealthy = env_.devices.UnhealthyHeld();
  std::set<std::string> now;
  for (const auto& [uid, id] : unhealthy) {
    if (uid == identity_.uid) now.insert(id);
  }
  for (const auto& id : now) {
    if (sick_.count(id) == 0) Event("device-unhealthy", id, "a device of this pod is unhealthy");
  }
  for (const auto& id : sick_) {
    if (now.count(id) == 0) Event("device-healthy", id, "the device is healthy again");
  }
  sick_ = std::move(now);
}

// Starts the containers and keeps them as the restart policy wants them, until none is left to run.
Pod::Ending Pod::Watch() {
  std::vector<Steady::time_point> not_before(record_.containers.size());
  milliseconds pause{2};
  uint64_t seen = env_.exits.count();
  for (;;) {
    if (Stopping()) return StopEnding();
    if (deadline_ != Steady::time_point() && Steady::now() >= deadline_) {
      return Decide(PodOutcome::kFailed, Err("node.deadline-exceeded", spec_.name,
                                             "was active longer than activeDeadlineSeconds (" +
                                                 std::to_string(spec_.active_deadline_seconds) + ")"));
    }
    bool changed = false, left = false;
    for (size_t i = 0; i < record_.containers.size(); ++i) {
      if (record_.containers[i].init) continue;
      if (record_.containers[i].state == "running" && Poll(i)) {
        changed = true;
        if (Steady::now() - started_[i] > std::chrono::minutes(10)) not_before[i] = {};
        const auto& container = record_.containers[i];
        if (MayRestart(container)) {
          const int shift = static_cast<int>(std::min<uint32_t>(container.restarts, 16));
          not_before[i] = Steady::now() + std::min(env_.restart_backoff * (1 << shift), milliseconds(300000));
        }
      }
      const ContainerRecord container = record_.containers[i];
      if (container.state == "exited" && !MayRestart(container)) continue;
      left = true;
      if (container.state == "running" || Steady::now() < not_before[i]) continue;
      if (container.state == "exited")
        Event("container-restarting", container.name, "restart " + std::to_string(container.restarts + 1));
      auto started = StartContainer(i);
      changed = true;
      if (started.ok()) continue;
      if (Stopping()) return StopEnding();
      // A decision does not change by asking again, and a failed first start explains the pod better than its
      // consequences.
      if (IsRefusal(started.error().code) || spec_.restart_policy == RestartPolicy::kNever)
        return FromError(started.error());
      const int shift = static_cast<int>(std::min<uint32_t>(container.restarts, 16));
      not_before[i] = Steady::now() + std::min(env_.restart_backoff * (1 << shift), milliseconds(300000));
    }
    if (!left) break;
    WatchHealth();
    if (changed) {
      pause = milliseconds(2);
      continue;
    }
    auto info = env_.cri.ListSandboxes({{"io.kubernetes.pod.uid", identity_.uid}});
    if (info.ok()) {
      const bool ready = std::any_of(info->begin(), info->end(), [&](const auto& one) {
        return one.id() == record_.sandbox_id && one.state() == runtime::v1::SANDBOX_READY;
      });
      if (!ready) {
        // Its containers ended with it, or the runtime is about to say so.
        bool running = false;
        for (size_t i = 0; i < record_.containers.size(); ++i)
          running |= record_.containers[i].state == "running" && !Poll(i);
        const bool all_done = std::all_of(record_.containers.begin(), record_.containers.end(),
                                          [&](const auto& one) { return one.state == "exited" && !MayRestart(one); });
        if (!running && !all_done)
          return Decide(PodOutcome::kFailed,
                        Err("node.sandbox-lost", record_.sandbox_id, "the pod's sandbox ended by itself"));
      }
    }
    const uint64_t now = env_.exits.Wait(seen, env_.exits.connected() ? pause * 4 : std::min(pause, milliseconds(50)));
    pause = now != seen ? milliseconds(1) : std::min(pause * 2, milliseconds(250));
    seen = now;
  }
  for (const auto& container : record_.containers) {
    if (container.exit_code != 0) {
      return Decide(PodOutcome::kFailed,
                    Err("node.container-failed", container.name, "exited with " + std::to_string(container.exit_code)));
    }
  }
  return Decide(PodOutcome::kSucceeded, {});
}

}  // namespace ccgpu::node
