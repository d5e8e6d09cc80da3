#include "node/pods/pod.h"

#include <filesystem>

#include "base/file.h"
#include "base/log.h"

namespace ccgpu::node {

Pod::Pod(PodEnvironment& environment, PodSpec spec, PodRecord record)
    : env_(environment),
      spec_(std::move(spec)),
      record_(std::move(record)),
      events_(environment.work_dir + "/" + record_.uid + ".events.jsonl") {
  identity_.uid = record_.uid;
  identity_.attempt = record_.attempt;
  identity_.log_dir = env_.logs_dir + "/" + spec_.pod_namespace + "_" + spec_.name + "_" + record_.uid;
  if (!env_.cgroup_parent.empty()) identity_.cgroup_parent = env_.cgroup_parent + "/pod" + record_.uid;
  sandbox_config_ = SandboxConfig(spec_, identity_);
  if (record_.containers.empty()) {
    for (const auto* list : {&spec_.init_containers, &spec_.containers}) {
      for (const auto& container : *list) {
        ContainerRecord one;
        one.name = container.name;
        one.image = container.image;
        one.init = list == &spec_.init_containers;
        record_.containers.push_back(std::move(one));
      }
    }
  }
  started_.resize(record_.containers.size());
  if (!record_.sandbox_id.empty()) events_.FollowSandbox(env_.events_dir + "/" + record_.sandbox_id + "/events.jsonl");
}

Pod::~Pod() { Detach(); }

void Pod::Start() {
  Save();
  thread_ = std::thread([this] { ThreadBody(); });
}

void Pod::RequestStop(Stop why, bool force) {
  std::lock_guard lock(mutex_);
  if (!stop_requested_) stop_why_ = why;
  stop_requested_ = true;
  stop_force_ = stop_force_ || force;
  gate_.Close();
  changed_.notify_all();
  env_.exits.Nudge();
}

void Pod::Detach() {
  {
    std::lock_guard lock(mutex_);
    detached_ = true;
    gate_.Close();
    changed_.notify_all();
  }
  env_.exits.Nudge();
  std::lock_guard lock(join_);
  if (thread_.joinable()) thread_.join();
}

bool Pod::WaitFinished(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, timeout, [this] { return record_.finished; });
}

PodView Pod::View() {
  std::lock_guard lock(mutex_);
  events_.Pull();
  PodView out{record_, "Pending", pod_ip_, events_.all(), true};
  size_t running = 0;
  for (const auto& container : record_.containers) {
    if (container.init) continue;
    running += container.state == "running";
    out.all_running = out.all_running && (container.state == "running" || container.state == "exited");
  }
  // As kubelet: over is a pod that holds nothing any more, so that whoever sees it may count on its devices.
  if (record_.finished) {
    out.phase = record_.outcome == PodOutcome::kSucceeded ? "Succeeded" : "Failed";
  } else if (running > 0 || out.all_running) {
    out.phase = "Running";
  }
  return out;
}

std::vector<std::string> Pod::ContainerNames() const {
  std::vector<std::string> out;
  for (const auto& container : spec_.init_containers) out.push_back(container.name);
  for (const auto& container : spec_.containers) out.push_back(container.name);
  return out;
}

Result<std::string> Pod::ContainerId(const std::string& container) {
  std::lock_guard lock(mutex_);
  for (const auto& one : record_.containers) {
    if (container.empty() ? one.init : one.name != container) continue;
    if (one.state != "running") return Err("node.container-not-running", one.name, "is " + one.state);
    return one.id;
  }
  return Err("node.unknown-container", container, "is not a container of pod " + spec_.name);
}

Result<std::string> Pod::NetworkNamespace() {
  std::string sandbox;
  {
    std::lock_guard lock(mutex_);
    if (record_.finished || record_.sandbox_id.empty())
      return Err("node.pod-not-running", spec_.name, "has no sandbox now");
    sandbox = record_.sandbox_id;
  }
  ASSIGN_OR_RETURN(const SandboxInfo info, env_.cri.SandboxStatus(sandbox));
  if (!info.netns_path.empty() && Exists(info.netns_path)) return info.netns_path;
  if (info.pid > 0) return "/proc/" + std::to_string(info.pid) + "/ns/net";
  return Err("node.pod-not-running", spec_.name, "the runtime does not say where its network is");
}

void Pod::AddWaiter(const std::shared_ptr<ChangeWaiter>& waiter) {
  std::lock_guard lock(mutex_);
  std::erase_if(waiters_, [](const std::weak_ptr<ChangeWaiter>& one) { return one.expired(); });
  waiters_.push_back(waiter);
}

std::string Pod::RecordPath() const { return env_.work_dir + "/" + identity_.uid + ".json"; }

// With mutex_ held.
void Pod::Changed() {
  changed_.notify_all();
  for (auto& weak : waiters_) {
    if (auto waiter = weak.lock()) waiter->Wake();
  }
}

void Pod::Save() {
  std::lock_guard lock(mutex_);
  if (auto saved = WriteFileAtomic(RecordPath(), RecordToJson(record_), 0600); !saved.ok()) {
    log::Error("cannot save a pod's record", {{"pod", spec_.name}, {"why", saved.error().ToString()}});
  }
  Changed();
}

void Pod::Event(const std::string& code, const std::string& subject, const std::string& message) {
  std::lock_guard lock(mutex_);
  log::Info(message, {{"sandbox", record_.sandbox_id},
                      {"pod", spec_.pod_namespace + "/" + spec_.name},
                      {"pod_uid", identity_.uid},
                      {"code", code},
                      {"subject", subject}});
  events_.Pull();  // what shim and agent wrote happened before this
  events_.Add({FormatTime(env_.clock.Now()), "ccgpu-node", code, message, subject});
  Changed();
}

Status Pod::RemoveFiles() {
  // A sandbox that failed to start may have been taken for one of another pod (EnsureSandbox); that one's events are
  // not ours.
  bool ours = !record_.sandbox_id.empty();
  if (auto known = env_.cri.ListSandboxes({}); known.ok()) {
    for (const auto& one : *known) ours = ours && one.id() != record_.sandbox_id;
  }
  std::lock_guard lock(mutex_);
  if (!record_.finished) return Err("node.pod-running", spec_.name, "is not finished yet");
  std::error_code error;
  std::filesystem::remove_all(identity_.log_dir, error);
  if (ours) std::filesystem::remove_all(env_.events_dir + "/" + record_.sandbox_id, error);
  std::filesystem::remove(env_.work_dir + "/" + identity_.uid + ".events.jsonl", error);
  std::filesystem::remove(RecordPath(), error);
  if (error) return Err("node.cleanup-failed", RecordPath(), error.message());
  return Ok();
}

}  // namespace ccgpu::node
