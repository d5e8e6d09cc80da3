#include "node-manager/pods/pod_reporter.h"

#include <algorithm>
#include <filesystem>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/file.h"
#include "base/log.h"
#include "kube/names.h"
#include "kube/paths.h"
#include "node-manager/cluster/event_queue.h"
#include "node-manager/cluster/names.h"

namespace ccgpu::nodemanager {
namespace {

constexpr double kBurst = 25, kRefillSeconds = 5;
constexpr size_t kMostSeries = 64;        // different Events of one pod
constexpr size_t kMostLinesAtOnce = 200;  // of one sandbox, before the others have their turn

kube::CallOptions Once() {
  kube::CallOptions once;
  once.retry_for = std::chrono::milliseconds(0);
  return once;
}

std::string KeyOf(const PodEvent& event, const std::string& sandbox) {
  std::string all = event.component + "\n" + event.code + "\n" + event.subject + "\n" + event.message;
  // The next sandbox of the pod, refused for the same reason, says the same but for its own name.
  std::string same;
  for (size_t from = 0, at; from <= all.size(); from = at + sandbox.size()) {
    at = sandbox.empty() ? std::string::npos : all.find(sandbox, from);
    same.append(all, from, at - from);
    if (at == std::string::npos) break;
    same.push_back('*');
  }
  const Bytes hash = crypto::Sha256(AsBytes(same));
  return HexEncode(ByteView(hash).first(8));
}

// "message [code] (component: subject)"
std::string NoteOf(const PodEvent& event) {
  std::string note = event.message + " [" + event.code + "]";
  if (!event.subject.empty()) note += " (" + event.component + ": " + event.subject + ")";
  else if (!event.component.empty()) note += " (" + event.component + ")";
  return note;
}

std::string ActionOf(const PodEvent& event) {
  return CamelCase(std::string_view(event.code).substr(0, event.code.find('.')));
}

}  // namespace

PodReporter::PodReporter(PodReporterOptions options, kube::Client& client, const Clock& clock)
    : options_(std::move(options)), client_(client), clock_(clock) {
  Load();
}

bool PodReporter::Step() {
  std::error_code error;
  bool all = true;
  for (const auto& entry : std::filesystem::directory_iterator(options_.events_dir, error)) {
    if (!entry.is_directory(error)) continue;
    const std::string id = entry.path().filename().string();
    Sandbox& sandbox = sandboxes_[id];
    if (!sandbox.pod) {
      auto text = ReadFile(entry.path().string() + "/pod.json", 4096);
      if (text.ok()) sandbox.pod = ParsePodRef(*text);
      if (!sandbox.pod) continue;  // not written yet, or no pod's
    }
    all &= ReadSandbox(id, sandbox);
  }
  for (auto& [key, pod] : pods_) all &= TellRest(pod);
  sandbox_count_ = sandboxes_.size();
  if (changed_) Save();
  return all;
}

PodReporter::Pod& PodReporter::PodOf(const PodRef& ref) {
  Pod& pod = pods_[ref.ns + "/" + ref.name + "/" + ref.uid];
  pod.ref = ref;
  return pod;
}

bool PodReporter::ReadSandbox(const std::string& id, Sandbox& sandbox) {
  Pod& pod = PodOf(*sandbox.pod);
  return ReadLines(options_.events_dir + "/" + id + "/events.jsonl", sandbox.position, kMostLinesAtOnce,
                   [&](std::string_view line) {
                     changed_ = true;
                     const auto event = ParsePodEvent(line);
                     if (!event) {
                       bad_lines_++;
                       return true;
                     }
                     if (Tell(id, pod, *event) == Told::kLater) return false;
                     Judge(pod, *event);
                     return true;
                   });
}

// Counts and condition, once for all lines that were read.
bool PodReporter::TellRest(Pod& pod) {
  bool done = true;
  for (auto& [key, series] : pod.series) {
    if (!done || series.told >= series.count || !TakeToken(pod)) continue;
    done = TellSeries(pod, series) != Told::kLater;
  }
  if (done && !pod.condition_told) {
    pod.condition_told = TellCondition(pod) != Told::kLater;
    done = pod.condition_told;
    changed_ = true;
  }
  return done;
}

PodReporter::Told PodReporter::Tell(const std::string& sandbox, Pod& pod, const PodEvent& event) {
  const std::string key = KeyOf(event, sandbox);
  auto found = pod.series.find(key);
  if (found != pod.series.end()) {
    found->second.count++;
    found->second.last = MicroTime(event.time, clock_.Now());
    return Told::kYes;  // TellRest tells the count
  }
  if (pod.series.size() >= kMostSeries || !TakeToken(pod)) {
    suppressed_++;
    return Told::kNever;
  }
  LearnUid(pod);
  const Outcome outcome = OutcomeOf(event.code);
  Series series;
  series.name = EventName(pod.ref.name, pod.ref.uid + "/" + key);
  series.count = 1;
  series.last = MicroTime(event.time, clock_.Now());
  const Json regarding = {{"apiVersion", "v1"},
                          {"kind", "Pod"},
                          {"namespace", pod.ref.ns},
                          {"name", pod.ref.name},
                          {"uid", pod.api_uid.empty() ? pod.ref.uid : pod.api_uid}};
  const EventSpec spec{outcome.warning, outcome.reason, ActionOf(event), NoteOf(event)};
  auto made = client_.Create(kube::Group("events.k8s.io/v1", pod.ref.ns, "events"),
                             MakeEvent(pod.ref.ns, series.name, regarding, spec, options_.node, series.last), Once());
  Told told = Told::kYes;
  if (!made.ok() && made.error().code != "kube.exists") told = ToldBy(made.error());
  if (told == Told::kLater) {
    pod.tokens += 1;
    return told;
  }
  if (told == Told::kYes) reported_++;
  series.told = 1;
  pod.series[key] = series;
  (outcome.warning ? log::Warning : log::Info)(event.message, {{"code", event.code},
                                                               {"subject", event.subject},
                                                               {"namespace", pod.ref.ns},
                                                               {"pod", pod.ref.name},
                                                               {"pod_uid", pod.ref.uid},
                                                               {"sandbox", sandbox}});
  return told;
}

PodReporter::Told PodReporter::TellSeries(Pod& pod, Series& series) {
  const Json patch = {{"series", {{"count", series.count}, {"lastObservedTime", series.last}}}};
  auto patched = client_.Patch(kube::Group("events.k8s.io/v1", pod.ref.ns, "events", series.name),
                               kube::PatchType::kMerge, patch, Once());
  const Told told = patched.ok() ? Told::kYes : ToldBy(patched.error());
  if (told == Told::kLater) return told;
  if (told == Told::kYes) reported_++;
  series.told = series.count;
  changed_ = true;
  return told;
}

void PodReporter::Judge(Pod& pod, const PodEvent& event) {
  const Outcome outcome = OutcomeOf(event.code);
  if (outcome.attested == Attested::kUnchanged) return;
  const bool is_true = pod.condition && pod.condition->is_true;
  if (outcome.attested == Attested::kFalseUnlessTrue && is_true) return;
  Condition next{kube::kPodCondition, outcome.attested == Attested::kTrue, outcome.reason,
                 Cut(NoteOf(event), kMostNote)};
  if (pod.condition && pod.condition->is_true == next.is_true && next.is_true) return;  // the first says enough
  if (pod.condition && pod.condition->reason == next.reason && pod.condition->message == next.message) return;
  pod.condition = next;
  pod.condition_told = false;
}

// Reads the pod first: another pod of the same name gets nothing, and an equal condition is left alone.
PodReporter::Told PodReporter::TellCondition(Pod& pod) {
  const std::string path = kube::Core(pod.ref.ns, "pods", pod.ref.name);
  auto there = client_.Get(path, Once());
  if (!there.ok()) return ToldBy(there.error());
  const std::string uid = (*there)["metadata"].value("uid", "");
  if (!IsSamePod(*there, pod.ref)) return Told::kNever;
  if (HasCondition(*there, *pod.condition)) return Told::kYes;
  Json patch = ConditionPatch(*there, *pod.condition, clock_.Now(), false);
  patch["metadata"]["uid"] = uid;  // a pod that took the name since is not patched
  auto patched = client_.Patch(path + "/status", kube::PatchType::kStrategic, patch, Once());
  return patched.ok() ? Told::kYes : ToldBy(patched.error());
}

PodReporter::Told PodReporter::ToldBy(const Status& status) {
  const std::string& code = status.error().code;
  for (const char* later : {"kube.unavailable", "kube.throttled", "kube.unauthorized", "kube.tls-refused",
                            "kube.no-credentials", "kube.bad-answer", "kube.stopped"}) {
    if (code == later) return Told::kLater;
  }
  if (code == "kube.not-found" || code == "kube.conflict") return Told::kNever;  // the pod or its namespace is gone
  failed_++;
  log::Warning("the API server does not take what a pod's events say", {{"why", status.error().ToString()}});
  return Told::kNever;
}

void PodReporter::LearnUid(Pod& pod) {
  if (!pod.api_uid.empty()) return;
  auto there = client_.Get(kube::Core(pod.ref.ns, "pods", pod.ref.name), Once());
  if (there.ok() && IsSamePod(*there, pod.ref)) pod.api_uid = (*there)["metadata"].value("uid", "");
}

bool PodReporter::TakeToken(Pod& pod) {
  const TimePoint now = clock_.Now();
  // Also when the node's clock was set back: a pod does not wait for yesterday to end.
  if (pod.refilled == TimePoint{} || now < pod.refilled) pod.refilled = now;
  const double passed = static_cast<double>((now - pod.refilled).count());
  if (passed > 0) {
    pod.tokens = std::min(kBurst, pod.tokens + passed / kRefillSeconds);
    pod.refilled = now;
  }
  if (pod.tokens < 1) return false;
  pod.tokens -= 1;
  return true;
}

}  // namespace ccgpu::nodemanager
