// A pod's life up to the moment where its outcome is decided.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "base/file.h"
#include "base/log.h"
#include "node/cri/refusal.h"
#include "node/pods/pod.h"
#include "node/pods/volumes.h"

namespace ccgpu::node {
namespace {

using runtime::v1::CONTAINER_CREATED;
using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

std::set<std::string> NamesIn(const std::string& folder) {
  std::set<std::string> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) out.insert(entry.path().filename());
  return out;
}

// The runtime does not tell the id of a sandbox that failed, but its shim wrote under it: the folder that is new. Two
// of them mean that another pod starts too; then nobody can tell (""), and the error itself has to do.
std::string OnlyNewName(const std::set<std::string>& before, const std::set<std::string>& after) {
  std::vector<std::string> fresh;
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(fresh));
  return fresh.size() == 1 ? fresh.front() : "";
}

}  // namespace

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
  if (const auto ready = TakeReadySandbox(known)) return *ready;
  if (record_.containers_ran)
    return Err("node.sandbox-lost", record_.sandbox_id, "the pod's sandbox ended while nobody watched");
  return StartSandbox();
}

// Nothing when none is ready; a new one then has a higher attempt than all of these.
std::optional<std::string> Pod::TakeReadySandbox(const std::vector<runtime::v1::PodSandbox>& known) {
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
  return std::nullopt;
}

Result<std::string> Pod::StartSandbox() {
  sandbox_config_ = SandboxConfig(spec_, identity_);
  Event("sandbox-starting", spec_.runtime_class, "starting the sandbox");
  const std::set<std::string> before = NamesIn(env_.events_dir);
  auto id = env_.cri.RunSandbox(sandbox_config_, spec_.runtime_class, &gate_);
  const std::string events_of = id.ok() ? *id : OnlyNewName(before, NamesIn(env_.events_dir));
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

}  // namespace ccgpu::node
