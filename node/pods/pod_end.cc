// A pod's end: why, and then everything away.
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "node/cri/refusal.h"
#include "node/pods/agent_client.h"
#include "node/pods/cgroups.h"
#include "node/pods/pod.h"
#include "node/pods/volumes.h"

namespace ccgpu::node {

using std::chrono::milliseconds;

void Pod::Explain(Ending& ending) {
  if (spec_.runtime_class.empty() || record_.sandbox_id.empty()) return;
  std::string status;
  if (ending.outcome == PodOutcome::kFailed || ending.outcome == PodOutcome::kSucceeded ||
      ending.outcome == PodOutcome::kTimedOut) {
    if (auto netns = NetworkNamespace(); netns.ok() && !spec_.host_network) {
      auto answer = AskAgent(*netns, "/attest/status", milliseconds(1000));
      if (answer.ok() && answer->status == 200) status = answer->body;
    }
  }
  std::lock_guard lock(mutex_);
  events_.Pull();
  if (!status.empty()) record_.attestation_status = status;
  if (ending.outcome != PodOutcome::kFailed || ending.failure.code != "node.container-failed") return;
  if (const PodEvent* refusal = FindRefusal(events_.all()); refusal != nullptr) {
    ending.outcome = PodOutcome::kRefused;
    ending.failure = Error::FromWire(refusal->code, refusal->subject, refusal->message);
  }
}

void Pod::KillContainers() {
  std::vector<std::string> ids;
  {
    std::lock_guard lock(mutex_);
    for (const auto& container : record_.containers) {
      if (container.state == "running") ids.push_back(container.id);
    }
  }
  for (const auto& id : ids) (void)env_.cri.StopContainer(id, std::chrono::seconds(0));
}

// Containers first, so that they see SIGTERM; the sandbox then. All of it may be gone already.
Status Pod::StopAll() {
  bool force;
  std::vector<std::string> running, all;
  std::vector<runtime::v1::PodSandbox> sandboxes;
  ASSIGN_OR_RETURN(sandboxes, env_.cri.ListSandboxes({{"io.kubernetes.pod.uid", identity_.uid}}));
  for (const auto& sandbox : sandboxes) {
    ASSIGN_OR_RETURN(const auto containers, env_.cri.ListContainers(sandbox.id()));
    for (const auto& one : containers) {
      all.push_back(one.id());
      if (one.state() == runtime::v1::CONTAINER_RUNNING) running.push_back(one.id());
    }
  }
  {
    std::lock_guard lock(mutex_);
    force = stop_force_ || (stop_requested_ && stop_why_ == Stop::kTimeout);
  }
  if (!force) {
    std::vector<std::thread> stops;
    for (const auto& id : running) {
      stops.emplace_back(
          [this, id] { (void)env_.cri.StopContainer(id, std::chrono::seconds(spec_.termination_grace_seconds)); });
    }
    for (auto& stop : stops) stop.join();
  }
  for (const auto& sandbox : sandboxes) RETURN_IF_ERROR(env_.cri.StopSandbox(sandbox.id()));
  for (const auto& id : all) {
    // What it ended with is worth keeping for `describe`.
    auto status = env_.cri.ContainerStatus(id);
    std::lock_guard lock(mutex_);
    for (auto& container : record_.containers) {
      if (container.id != id || !status.ok() || container.state != "running") continue;
      container.state = "exited";
      container.exit_code = status->exit_code();
      container.reason = status->reason();
    }
  }
  for (const auto& id : all) RETURN_IF_ERROR(env_.cri.RemoveContainer(id));
  for (const auto& sandbox : sandboxes) RETURN_IF_ERROR(env_.cri.RemoveSandbox(sandbox.id()));
  return Ok();
}

void Pod::TakeDown(Ending& ending) {
  Explain(ending);
  {
    std::lock_guard lock(mutex_);
    record_.outcome = ending.outcome;
    record_.failure = ending.failure;
  }
  Save();
  Event("stopping", ending.failure.subject,
        ending.failure.code.empty() ? "taking the pod down"
                                    : "taking the pod down: " + ending.failure.text + " [" + ending.failure.code + "]");
  bool said = false;
  for (milliseconds pause{100};; pause = std::min(pause * 2, milliseconds(5000))) {
    Status status = StopAll();
    if (status.ok()) status = RemoveVolumes(env_.work_dir + "/" + identity_.uid + ".volumes");
    if (status.ok()) break;
    if (!said)
      Event("node.cleanup-failed", status.error().subject, "cannot take the pod down yet: " + status.error().text);
    said = true;
    // Repeated for ever: a pod whose remains are unknown must not give its devices to another one.
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, pause, [this] { return detached_; });
    if (detached_) return;
  }
  env_.devices.Release(identity_.uid);
  if (!identity_.cgroup_parent.empty()) RemoveCgroup(identity_.cgroup_parent);
  {
    std::lock_guard lock(mutex_);
    events_.Pull();
    for (auto& container : record_.containers) {
      if (container.state == "running" || container.state == "created") container.state = "exited";
    }
  }
  Event("finished", spec_.name,
        "the pod " + std::string(OutcomeName(ending.outcome)) + "; nothing of it runs any more");
  {
    std::lock_guard lock(mutex_);
    record_.finished = true;
  }
  Save();
}

}  // namespace ccgpu::node
