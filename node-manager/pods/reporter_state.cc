// What the reporter keeps on disk, and what it removes from there.
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "kube/names.h"
#include "kube/paths.h"
#include "node-manager/pods/pod_reporter.h"

namespace ccgpu::nodemanager {
namespace {

constexpr int64_t kVersion = 2;

}  // namespace

bool IsSamePod(const Json& pod, const PodRef& ref) {
  if (ref.uid.empty() || pod["metadata"].value("uid", "") == ref.uid) return true;
  // A static pod's sandbox carries the hash of its manifest; the API server has a mirror with a uid of its own.
  return AnnotationOf(pod, "kubernetes.io/config.hash") == ref.uid ||
         AnnotationOf(pod, "kubernetes.io/config.mirror") == ref.uid;
}

void PodReporter::Load() {
  auto text = ReadFile(options_.state_file, 64 << 20);
  if (!text.ok()) return;
  auto json = ParseJson(*text, options_.state_file, 8);
  try {
    if (json.ok() && json->at("version") == kVersion) return Restore(*json);
  } catch (const Json::exception&) {
    sandboxes_.clear();
    pods_.clear();
  }
  // Events have names that follow from what they say, so that telling again makes no second one.
  log::Warning("how far pods' events were told is not known; they are told again", {{"file", options_.state_file}});
}

// Throws on what Save() did not write.
void PodReporter::Restore(const Json& all) {
  for (const auto& [id, saved] : all.at("sandboxes").items())
    sandboxes_[id].position = {saved.at("inode"), saved.at("offset")};
  for (const auto& saved : all.at("pods")) {
    Pod& pod = PodOf({saved.at("name"), saved.at("namespace"), saved.at("uid")});
    for (const auto& [key, one] : saved.at("series").items())
      pod.series[key] = {one.at("name"), one.at("count"), one.at("told"), one.at("last")};
    if (!saved.contains("condition")) continue;
    const Json& condition = saved["condition"];
    pod.condition =
        Condition{kube::kPodCondition, condition.at("true"), condition.at("reason"), condition.at("message")};
    pod.condition_told = condition.at("told");
  }
}

void PodReporter::Save() {
  Json sandboxes = Json::object(), pods = Json::array();
  for (const auto& [id, sandbox] : sandboxes_)
    sandboxes[id] = {{"inode", sandbox.position.inode}, {"offset", sandbox.position.offset}};
  for (const auto& [key, pod] : pods_) {
    Json series = Json::object();
    for (const auto& [name, one] : pod.series)
      series[name] = {{"name", one.name}, {"count", one.count}, {"told", one.told}, {"last", one.last}};
    Json saved = {{"name", pod.ref.name}, {"namespace", pod.ref.ns}, {"uid", pod.ref.uid}, {"series", series}};
    if (pod.condition)
      saved["condition"] = {{"true", pod.condition->is_true},
                            {"reason", pod.condition->reason},
                            {"message", pod.condition->message},
                            {"told", pod.condition_told}};
    pods.push_back(saved);
  }
  const Json all = {{"version", kVersion}, {"sandboxes", sandboxes}, {"pods", pods}};
  Status written = MakeDirs(options_.state_file.substr(0, options_.state_file.rfind('/')), 0700);
  if (written.ok())
    written = WriteFileAtomic(options_.state_file, all.dump(-1, ' ', false, Json::error_handler_t::replace), 0600);
  if (!written.ok()) return log::Warning("cannot keep how far events were told", {{"why", written.error().ToString()}});
  changed_ = false;
}

void PodReporter::Forget() {
  std::error_code error;
  std::filesystem::remove(options_.state_file, error);
  std::filesystem::remove(std::filesystem::path(options_.state_file).parent_path(), error);  // when it is empty
  sandboxes_.clear();
  pods_.clear();
  sandbox_count_ = 0;
  changed_ = false;
}

// Sandboxes of which everything was told, and that have been quiet for a while.
std::vector<std::string> PodReporter::SettledSandboxes() const {
  std::vector<std::string> settled;
  for (const auto& [id, sandbox] : sandboxes_) {
    struct stat info {};
    const std::string folder = options_.events_dir + "/" + id;
    if (::stat((folder + "/events.jsonl").c_str(), &info) != 0 && ::stat((folder + "/pod.json").c_str(), &info) != 0) {
      settled.push_back(id);  // somebody else removed it
      continue;
    }
    const bool told = sandbox.position.offset >= static_cast<uint64_t>(info.st_size);
    if (sandbox.pod && told && ::time(nullptr) - info.st_mtime > options_.keep.count()) settled.push_back(id);
  }
  return settled;
}

// Whether the pod got another sandbox after this one.
bool PodReporter::HasNewer(const std::string& id) const {
  const auto made = [this](const std::string& sandbox) {
    struct stat info {};
    const std::string file = options_.events_dir + "/" + sandbox + "/pod.json";
    return ::stat(file.c_str(), &info) == 0 ? std::pair(info.st_mtim.tv_sec, info.st_mtim.tv_nsec) : std::pair(0L, 0L);
  };
  const PodRef& ref = *sandboxes_.at(id).pod;
  return std::any_of(sandboxes_.begin(), sandboxes_.end(), [&](const auto& other) {
    const auto& pod = other.second.pod;
    return other.first != id && pod && pod->ns == ref.ns && pod->name == ref.name && pod->uid == ref.uid &&
           made(other.first) > made(id);
  });
}

void PodReporter::RemoveGone() {
  // What was ready to go before we ask: a pod that is made meanwhile is not among it.
  const std::vector<std::string> settled = SettledSandboxes();
  if (settled.empty()) return;
  kube::CallOptions call;
  call.retry_for = std::chrono::milliseconds(0);
  call.query = "fieldSelector=spec.nodeName%3D" + kube::Escape(options_.node);
  auto pods = client_.List(kube::Core("", "pods"), call);
  if (!pods.ok()) return;
  const auto is_there = [&](const PodRef& ref) {
    return std::any_of(pods->begin(), pods->end(), [&](const Json& pod) {
      return pod["metadata"].value("name", "") == ref.name && pod["metadata"].value("namespace", "") == ref.ns &&
             IsSamePod(pod, ref);
    });
  };
  std::error_code error;
  for (const auto& id : settled) {
    const auto& pod = sandboxes_[id].pod;
    const std::string folder = options_.events_dir + "/" + id;
    if (pod && std::filesystem::exists(folder, error) && is_there(*pod) && !HasNewer(id)) continue;
    std::filesystem::remove_all(folder, error);
    sandboxes_.erase(id);
    changed_ = true;
  }
  std::erase_if(pods_, [&](const auto& one) {
    const bool followed = std::any_of(sandboxes_.begin(), sandboxes_.end(), [&](const auto& sandbox) {
      const auto& pod = sandbox.second.pod;
      return pod && pod->ns == one.second.ref.ns && pod->name == one.second.ref.name && pod->uid == one.second.ref.uid;
    });
    return !followed && !is_there(one.second.ref);
  });
  sandbox_count_ = sandboxes_.size();
  if (changed_) Save();
}

}  // namespace ccgpu::nodemanager
