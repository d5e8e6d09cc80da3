// What the reporter keeps on disk, and what it removes from there.
#include <sys/stat.h>
#include <time.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "kube/paths.h"
#include "node-manager/cluster/names.h"
#include "node-manager/pods/pod_reporter.h"

namespace ccgpu::nodemanager {
namespace {

constexpr int64_t kVersion = 1;

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
    if (json.ok() && json->at("version") == kVersion) return Restore(json->at("sandboxes"));
  } catch (const Json::exception&) {
    sandboxes_.clear();
  }
  // Events have names that follow from what they say, so that telling again makes no second one.
  log::Warning("how far pods' events were told is not known; they are told again", {{"file", options_.state_file}});
}

// Throws on what Save() did not write.
void PodReporter::Restore(const Json& sandboxes) {
  for (const auto& [id, saved] : sandboxes.items()) {
    Sandbox& sandbox = sandboxes_[id];
    sandbox.position = {saved.at("inode"), saved.at("offset")};
    for (const auto& [key, one] : saved.at("series").items())
      sandbox.series[key] = {one.at("name"), one.at("count"), one.at("told"), one.at("last")};
    if (!saved.contains("condition")) continue;
    const Json& condition = saved["condition"];
    sandbox.condition = Condition{kPodCondition, condition.at("true"), condition.at("reason"), condition.at("message")};
    sandbox.condition_told = condition.at("told");
  }
}

void PodReporter::Save() {
  Json sandboxes = Json::object();
  for (const auto& [id, sandbox] : sandboxes_) {
    Json series = Json::object();
    for (const auto& [key, one] : sandbox.series)
      series[key] = {{"name", one.name}, {"count", one.count}, {"told", one.told}, {"last", one.last}};
    Json saved = {{"inode", sandbox.position.inode}, {"offset", sandbox.position.offset}, {"series", series}};
    if (sandbox.condition)
      saved["condition"] = {{"true", sandbox.condition->is_true},
                            {"reason", sandbox.condition->reason},
                            {"message", sandbox.condition->message},
                            {"told", sandbox.condition_told}};
    sandboxes[id] = saved;
  }
  const Json all = {{"version", kVersion}, {"sandboxes", sandboxes}};
  Status written = MakeDirs(options_.state_file.substr(0, options_.state_file.rfind('/')), 0700);
  if (written.ok())
    written = WriteFileAtomic(options_.state_file, all.dump(-1, ' ', false, Json::error_handler_t::replace), 0600);
  if (!written.ok()) return log::Warning("cannot keep how far events were told", {{"why", written.error().ToString()}});
  changed_ = false;
}

void PodReporter::RemoveGone() {
  std::error_code error;
  // What was ready to go before we ask: a pod that is made meanwhile is not among it.
  std::vector<std::string> old;
  for (auto& [id, sandbox] : sandboxes_) {
    struct stat info {};
    const std::string folder = options_.events_dir + "/" + id;
    if (::stat((folder + "/events.jsonl").c_str(), &info) != 0 && ::stat((folder + "/pod.json").c_str(), &info) != 0) {
      old.push_back(id);
      continue;
    }
    const bool told = sandbox.position.offset >= static_cast<uint64_t>(info.st_size) && sandbox.condition_told;
    if (sandbox.pod && told && ::time(nullptr) - info.st_mtime > options_.keep.count()) old.push_back(id);
  }
  if (old.empty()) return;
  kube::CallOptions call;
  call.retry_for = std::chrono::milliseconds(0);
  call.query = "fieldSelector=spec.nodeName%3D" + kube::Escape(options_.node);
  auto pods = client_.List(kube::Core("", "pods"), call);
  if (!pods.ok()) return;
  for (const auto& id : old) {
    const Sandbox& sandbox = sandboxes_[id];
    const bool there = sandbox.pod && std::any_of(pods->begin(), pods->end(), [&](const Json& pod) {
                         return pod["metadata"].value("name", "") == sandbox.pod->name &&
                                pod["metadata"].value("namespace", "") == sandbox.pod->ns &&
                                IsSamePod(pod, *sandbox.pod);
                       });
    if (there && std::filesystem::exists(options_.events_dir + "/" + id, error)) continue;
    std::filesystem::remove_all(options_.events_dir + "/" + id, error);
    sandboxes_.erase(id);
    changed_ = true;
  }
  sandbox_count_ = sandboxes_.size();
  if (changed_) Save();
}

}  // namespace ccgpu::nodemanager
