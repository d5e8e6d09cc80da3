// The time in which a pod's containers run: watched, restarted, until none is left to run.
#include <algorithm>

#include "node/cri/refusal.h"
#include "node/pods/backoff.h"
#include "node/pods/pod.h"

namespace ccgpu::node {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

// Between two looks at the runtime: as soon as a container of the node has ended, else less and less often.
class Pace {
 public:
  explicit Pace(ExitNotice& exits) : exits_(exits), seen_(exits.count()) {}
  void Reset() { pause_ = milliseconds(2); }
  void Wait() {
    const uint64_t now = exits_.Wait(seen_, exits_.connected() ? pause_ * 4 : std::min(pause_, milliseconds(50)));
    pause_ = now != seen_ ? milliseconds(1) : std::min(pause_ * 2, milliseconds(250));
    seen_ = now;
  }

 private:
  ExitNotice& exits_;
  uint64_t seen_;
  milliseconds pause_{2};
};

}  // namespace

bool Pod::MayRestart(const ContainerRecord& container) const {
  if (spec_.restart_policy == RestartPolicy::kNever) return false;
  // Init containers are done when they end well, whatever the policy says.
  if (spec_.restart_policy == RestartPolicy::kAlways && !container.init) return true;
  return container.exit_code != 0;
}

bool Pod::IsDone(const ContainerRecord& container) const {
  return container.state == "exited" && !MayRestart(container);
}

milliseconds Pod::PauseBefore(const ContainerRecord& container) const {
  return Backoff(env_.restart_backoff, container.ends_in_a_row);
}

// Undecided: the init container is done, go on.
Result<Pod::Ending> Pod::RunInit(size_t index) {
  for (;;) {
    if (Stopping()) return StopEnding();
    if (record_.containers[index].state == "waiting" || record_.containers[index].state == "created")
      RETURN_IF_ERROR(StartContainer(index));
    for (Pace pace(env_.exits); record_.containers[index].state == "running" && !Poll(index); pace.Wait()) {
      if (Stopping()) return StopEnding();
    }
    const ContainerRecord container = record_.containers[index];
    if (container.exit_code == 0 && container.state == "exited") return Decide(PodOutcome::kUndecided, {});
    if (!MayRestart(container)) {
      return Decide(PodOutcome::kFailed, Err("node.init-container-failed", container.name,
                                             "exited with " + std::to_string(container.exit_code)));
    }
    Pause(PauseBefore(container));
    std::lock_guard lock(mutex_);
    record_.containers[index].state = "waiting";
  }
}

bool Pod::Poll(size_t index) {
  const ContainerRecord before = record_.containers[index];
  auto status = env_.cri.ContainerStatus(before.id);
  if (!status.ok() && status.error().code != "cri.not-found") return false;  // the runtime will be back
  const bool gone = !status.ok() || status->state() == runtime::v1::CONTAINER_UNKNOWN;
  if (!gone && status->state() != runtime::v1::CONTAINER_EXITED) return false;
  {
    std::lock_guard lock(mutex_);
    auto& container = record_.containers[index];
    container.state = "exited";
    const int64_t ran = gone ? 0 : status->finished_at() - status->started_at();
    container.ends_in_a_row = EndsInARow(container.ends_in_a_row, std::chrono::nanoseconds(ran));
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

// Takes note of the container's end, and starts it when it is to run. An ending when the pod cannot go on.
std::optional<Pod::Ending> Pod::Tend(size_t index, Round& round) {
  if (record_.containers[index].state == "running" && Poll(index)) {
    round.changed = true;
    not_before_[index] = Steady::now() + PauseBefore(record_.containers[index]);
  }
  const ContainerRecord container = record_.containers[index];
  if (IsDone(container)) return std::nullopt;
  round.left = true;
  if (container.state == "running" || Steady::now() < not_before_[index]) return std::nullopt;
  if (container.state == "exited")
    Event("container-restarting", container.name, "restart " + std::to_string(container.restarts + 1));
  const Status started = StartContainer(index);
  round.changed = true;
  if (started.ok()) return std::nullopt;
  if (Stopping()) return StopEnding();
  // A decision does not change by asking again, and a failed first start explains the pod better than its consequences.
  if (IsRefusal(started.error().code) || spec_.restart_policy == RestartPolicy::kNever)
    return FromError(started.error());
  not_before_[index] = Steady::now() + PauseBefore(container);
  return std::nullopt;
}

std::optional<Pod::Ending> Pod::TendAll(Round& round) {
  for (size_t i = 0; i < record_.containers.size(); ++i) {
    if (record_.containers[i].init) continue;
    if (auto ending = Tend(i, round)) return ending;
  }
  return std::nullopt;
}

// True when the sandbox ended by itself although containers were to run in it.
bool Pod::SandboxLost() {
  const auto known = env_.cri.ListSandboxes({{"io.kubernetes.pod.uid", identity_.uid}});
  if (!known.ok()) return false;  // the runtime will be back
  for (const auto& one : *known) {
    if (one.id() == record_.sandbox_id && one.state() == runtime::v1::SANDBOX_READY) return false;
  }
  // Its containers ended with it, or the runtime is about to say so.
  bool running = false;
  for (size_t i = 0; i < record_.containers.size(); ++i)
    running |= record_.containers[i].state == "running" && !Poll(i);
  return !running && !std::all_of(record_.containers.begin(), record_.containers.end(),
                                  [this](const auto& one) { return IsDone(one); });
}

// What the pod as a whole came to, when all containers are done.
Pod::Ending Pod::Outcome() const {
  for (const auto& container : record_.containers) {
    if (container.exit_code != 0) {
      return Decide(PodOutcome::kFailed,
                    Err("node.container-failed", container.name, "exited with " + std::to_string(container.exit_code)));
    }
  }
  return Decide(PodOutcome::kSucceeded, {});
}

// Starts the containers and keeps them as the restart policy wants them, until none is left to run.
Pod::Ending Pod::Watch() {
  not_before_.assign(record_.containers.size(), {});
  for (Pace pace(env_.exits);;) {
    if (Stopping()) return StopEnding();
    if (deadline_ != Steady::time_point() && Steady::now() >= deadline_) {
      return Decide(PodOutcome::kFailed, Err("node.deadline-exceeded", spec_.name,
                                             "was active longer than activeDeadlineSeconds (" +
                                                 std::to_string(spec_.active_deadline_seconds) + ")"));
    }
    Round round;
    if (auto ending = TendAll(round)) return *ending;
    if (!round.left) return Outcome();
    WatchHealth();
    if (round.changed) {
      pace.Reset();
      continue;
    }
    if (SandboxLost())
      return Decide(PodOutcome::kFailed,
                    Err("node.sandbox-lost", record_.sandbox_id, "the pod's sandbox ended by itself"));
    pace.Wait();
  }
}

}  // namespace ccgpu::node
