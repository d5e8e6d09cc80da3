#include "node/pods/pod_manager.h"

#include <algorithm>
#include <filesystem>
#include <random>

#include "base/file.h"
#include "base/log.h"
#include "node/pods/cgroups.h"
#include "node/pods/volumes.h"

namespace ccgpu::node {
namespace {

std::string RandomUid() {
  std::random_device random;
  uint32_t r[4] = {random(), random(), random(), random()};
  char out[40];
  std::snprintf(out, sizeof out, "%08x-%04x-4%03x-%04x-%04x%08x", r[0], r[1] >> 16, r[1] & 0xfff, 0x8000 | (r[2] >> 18),
                r[2] & 0xffff, r[3]);
  return out;
}

}  // namespace

std::vector<ContainerDemand> Demands(const PodSpec& spec) {
  std::vector<ContainerDemand> out;
  for (const auto& one : spec.init_containers) out.push_back({one.name, true, one.resources.extended});
  for (const auto& one : spec.containers) out.push_back({one.name, false, one.resources.extended});
  return out;
}

Result<std::unique_ptr<PodManager>> PodManager::Open(PodEnvironment environment) {
  std::unique_ptr<PodManager> manager(new PodManager(std::move(environment)));
  PodEnvironment& env = manager->env_;
  for (const auto& dir : {env.work_dir, env.logs_dir, env.events_dir}) RETURN_IF_ERROR(MakeDirs(dir, 0750));
  std::map<std::string, PodName> alive;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(env.work_dir, error)) {
    if (entry.path().extension() != ".json") continue;
    const std::string path = entry.path().string();
    ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
    ASSIGN_OR_RETURN(PodRecord record, RecordFromJson(text, path));
    ASSIGN_OR_RETURN(PodSpec spec, ParsePod(record.manifest, record.file_name));
    if (!record.finished) alive[record.uid] = {spec.pod_namespace, spec.name};
    manager->pods_.push_back(std::make_shared<Pod>(env, std::move(spec), std::move(record)));
  }
  RETURN_IF_ERROR(env.devices.RestorePods(alive));
  return manager;
}

PodManager::~PodManager() { Detach(); }

void PodManager::Start() {
  for (auto& pod : List()) {
    if (!pod->View().record.finished) pod->Start();
  }
  sweeper_ = std::thread([this] { Sweep(); });
}

void PodManager::Detach() {
  {
    std::lock_guard lock(mutex_);
    detached_ = true;
    stop_.notify_all();
  }
  if (sweeper_.joinable()) sweeper_.join();
  for (auto& pod : List()) pod->Detach();
  if (List().empty() && !env_.cgroup_parent.empty()) RemoveCgroup(env_.cgroup_parent);
}

// Events of sandboxes that failed to start and that no pod could claim. Before the first pod: nobody starts one
// meanwhile.
void PodManager::SweepEvents() {
  std::lock_guard running(running_);
  auto sandboxes = env_.cri.ListSandboxes({});
  if (!sandboxes.ok()) return;
  std::set<std::string> known;
  for (const auto& one : *sandboxes) known.insert(one.id());
  for (const auto& pod : List()) {
    const PodView view = pod->View();
    if (known.count(view.record.sandbox_id) == 0 && !view.record.finished) return;  // it may be starting one
    known.insert(view.record.sandbox_id);
  }
  std::error_code error;
  std::vector<std::filesystem::path> gone;
  for (const auto& entry : std::filesystem::directory_iterator(env_.events_dir, error)) {
    if (known.count(entry.path().filename()) == 0) gone.push_back(entry.path());
  }
  for (const auto& path : gone) std::filesystem::remove_all(path, error);
}

// Removes what the runtime has of pods that we do not know. False when the runtime did not answer.
bool PodManager::SweepSandboxes() {
  auto all = env_.cri.ListSandboxes(
      {{kManagedByLabel, "true"}});  // listed first: a pod that is taken in meanwhile is known below
  if (!all.ok()) return false;
  std::set<std::string> known;
  for (const auto& pod : List()) known.insert(pod->uid());
  for (const auto& one : *all) {
    const std::string& uid = one.metadata().uid();
    if (known.count(uid) != 0) continue;
    log::Warning("removing a sandbox that belongs to no pod", {{"sandbox", one.id()}, {"pod", one.metadata().name()}});
    for (const auto& status : {env_.cri.StopSandbox(one.id()), env_.cri.RemoveSandbox(one.id())}) {
      if (!status.ok()) log::Warning("cannot remove it", {{"why", status.error().ToString()}});
    }
    if (!env_.cgroup_parent.empty()) RemoveCgroup(env_.cgroup_parent + "/pod" + uid);
  }
  return true;
}

// For as long as we run, as the kubelet does: a sandbox that the runtime was still starting for us when we were killed
// shows up only later, perhaps after its pod was removed.
void PodManager::Sweep() {
  constexpr std::chrono::milliseconds kSteady{2000};
  for (std::chrono::milliseconds pause{100};;) {
    if (pause < kSteady) SweepEvents();
    pause = SweepSandboxes() ? kSteady : std::min(pause * 2, kSteady);
    std::unique_lock lock(mutex_);
    if (stop_.wait_for(lock, pause, [this] { return detached_; })) return;
  }
}

Status PodManager::CheckImages(const PodSpec& spec) {
  for (const auto* list : {&spec.init_containers, &spec.containers}) {
    for (const auto& container : *list) {
      auto image = env_.cri.ImageStatus(container.image);
      if (!image.ok() && image.error().code == "cri.not-found") {
        return Err(
            "node.image-missing", container.image,
            "container " + container.name + ": the image is not on this node; import it (ccgpu up --image FILE)");
      }
      if (!image.ok()) return image.error();
      if (!container.security.run_as_non_root || container.security.run_as_user) continue;
      if (!image->image().username().empty()) {
        return Err("node.run-as-root", container.name,
                   "runAsNonRoot is true and the image's user is a name (" + image->image().username() +
                       "); say runAsUser as a number");
      }
      if (image->image().uid().value() == 0)
        return Err("node.run-as-root", container.name, "runAsNonRoot is true, but the image runs as root");
    }
  }
  return Ok();
}

Result<std::shared_ptr<Pod>> PodManager::Run(const std::string& manifest, const std::string& file_name) {
  std::vector<Error> all;
  auto spec = ParsePod(manifest, file_name, &all);
  if (!spec.ok()) {
    Error error = spec.error();
    for (size_t i = 1; i < all.size(); ++i) error.text += "\n" + all[i].ToString();
    return error;
  }
  std::lock_guard running(running_);
  if (auto old = Find(spec->pod_namespace, spec->name); old != nullptr) {
    if (!old->WaitFinished(std::chrono::milliseconds(0))) {
      return Err("node.pod-exists", spec->pod_namespace + "/" + spec->name,
                 "a pod of this name runs; remove it first (ccgpu rm " + spec->name + ")");
    }
    RETURN_IF_ERROR(Remove(old, false));
  }
  RETURN_IF_ERROR(CheckImages(*spec));
  PodRecord record;
  record.uid = RandomUid();
  record.manifest = manifest;
  record.file_name = file_name;
  record.created_at = FormatTime(env_.clock.Now());
  RETURN_IF_ERROR(env_.devices.Admit(record.uid, {spec->pod_namespace, spec->name}, Demands(*spec)));
  auto pod = std::make_shared<Pod>(env_, std::move(*spec), std::move(record));
  std::lock_guard lock(mutex_);
  if (detached_) {
    env_.devices.Release(pod->uid());
    return Err("node.stopping", "ccgpu-node", "is being stopped");
  }
  pods_.push_back(pod);
  pod->Start();
  return pod;
}

std::shared_ptr<Pod> PodManager::Find(const std::string& pod_namespace, const std::string& name) const {
  std::lock_guard lock(mutex_);
  for (const auto& pod : pods_) {
    if (pod->spec().name == name && pod->spec().pod_namespace == (pod_namespace.empty() ? "default" : pod_namespace))
      return pod;
  }
  return nullptr;
}

std::vector<std::shared_ptr<Pod>> PodManager::List() const {
  std::lock_guard lock(mutex_);
  return pods_;
}

Status PodManager::Remove(const std::string& pod_namespace, const std::string& name, bool force) {
  auto pod = Find(pod_namespace, name);
  if (pod == nullptr)
    return Err("node.unknown-pod", (pod_namespace.empty() ? "default" : pod_namespace) + "/" + name,
               "there is no such pod");
  return Remove(pod, force);
}

Status PodManager::Remove(const std::shared_ptr<Pod>& pod, bool force) {
  pod->RequestStop(Pod::Stop::kRemove, force);
  if (force) pod->KillContainers();
  const auto limit = std::chrono::seconds(pod->spec().termination_grace_seconds + 120);
  if (!pod->WaitFinished(limit)) {
    return Err("node.cleanup-failed", pod->spec().name,
               "is not down after " + std::to_string(limit.count()) + " s; see its events");
  }
  pod->Detach();
  RETURN_IF_ERROR(pod->RemoveFiles());
  std::lock_guard lock(mutex_);
  std::erase(pods_, pod);
  return Ok();
}

}  // namespace ccgpu::node
