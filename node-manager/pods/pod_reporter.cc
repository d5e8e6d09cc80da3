#include "node-manager/pods/pod_reporter.h"

#include <algorithm>
#include <filesystem>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/file.h"
#include "base/log.h"
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

std::string KeyOf(const PodEvent& event) {
  const std::string all = event.component + "\n" + event.code + "\n" + event.subject + "\n" + event.message;
  const Bytes hash = crypto::Sha256(AsBytes(all));
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
  sandbox_count_ = sandboxes_.size();
  if (changed_) Save();
  return all;
}

bool PodReporter::ReadSandbox(const std::string& id, Sandbox& sandbox) {
  bool done = ReadLines(options_.events_dir + "/" + id + "/events.jsonl", sandbox.position, kMostLinesAtOnce,
                        [&](std::string_view line) {
                          changed_ = true;
                          const auto event = ParsePodEvent(line);
                          if (!event) {
                            bad_lines_++;
                            return true;
                          }
                          if (Tell(id, sandbox, *event) == Told::kLater) return false;
                          Judge(sandbox, *event);
                          return true;
                        });
  for (auto& [key, series] : sandbox.series) {
    if (!done || series.told >= series.count || series.told == 0 || !TakeToken(sandbox)) continue;
    done &= TellSeries(sandbox, series) != Told::kLater;
  }
  if (done && !sandbox.condition_told) {
    const Told told = TellCondition(sandbox);
    sandbox.condition_told = told != Told::kLater;
    done = sandbox.condition_told;
    changed_ = true;
  }
  return done;
}

PodReporter::Told PodReporter::Tell(const std::string& id, Sandbox& sandbox, const PodEvent& event) {
  const std::string key = KeyOf(event);
  auto found = sandbox.series.find(key);
  if (found != sandbox.series.end()) {
    found->second.count++;
    found->second.last = MicroTime(event.time, clock_.Now());
    return Told::kYes;  // ReadSandbox tells the count
  }
  if (sandbox.series.size() >= kMostSeries || !TakeToken(sandbox)) {
    suppressed_++;
    return Told::kNever;
  }
  LearnUid(sandbox);
  const Outcome outcome = OutcomeOf(event.code);
  Series series;
  series.name = EventName(sandbox.pod->name, sandbox.pod->uid + "/" + id + "/" + key);
  series.count = 1;
  series.last = MicroTime(event.time, clock_.Now());
  const Json regarding = {{"apiVersion", "v1"},
                          {"kind", "Pod"},
                          {"namespace", sandbox.pod->ns},
                          {"name", sandbox.pod->name},
                          {"uid", sandbox.api_uid.empty() ? sandbox.pod->uid : sandbox.api_uid}};
  const EventSpec spec{outcome.warning, outcome.reason, ActionOf(event), NoteOf(event)};
  auto made =
      client_.Create(kube::Group("events.k8s.io/v1", sandbox.pod->ns, "events"),
                     MakeEvent(sandbox.pod->ns, series.name, regarding, spec, options_.node, series.last), Once());
  Told told = Told::kYes;
  if (!made.ok() && made.error().code != "kube.exists") told = ToldBy(made.error());
  if (told == Told::kLater) {
    sandbox.tokens += 1;
    return told;
  }
  if (told == Told::kYes) reported_++;
  series.told = 1;
  sandbox.series[key] = series;
  (outcome.warning ? log::Warning : log::Info)(event.message, {{"code", event.code},
                                                               {"subject", event.subject},
                                                               {"namespace", sandbox.pod->ns},
                                                               {"pod", sandbox.pod->name},
                                                               {"pod_uid", sandbox.pod->uid},
                                                               {"sandbox", id}});
  return told;
}

PodReporter::Told PodReporter::TellSeries(Sandbox& sandbox, Series& series) {
  const Json patch = {{"series", {{"count", series.count}, {"lastObservedTime", series.last}}}};
  auto patched = client_.Patch(kube::Group("events.k8s.io/v1", sandbox.pod->ns, "events", series.name),
                               kube::PatchType::kMerge, patch, Once());
  const Told told = patched.ok() ? Told::kYes : ToldBy(patched.error());
  if (told == Told::kLater) return told;
  if (told == Told::kYes) reported_++;
  series.told = series.count;
  changed_ = true;
  return told;
}

void PodReporter::Judge(Sandbox& sandbox, const PodEvent& event) {
  const Outcome outcome = OutcomeOf(event.code);
  if (outcome.attested == Attested::kUnchanged) return;
  const bool is_true = sandbox.condition && sandbox.condition->is_true;
  if (outcome.attested == Attested::kFalseUnlessTrue && is_true) return;
  Condition next{kPodCondition, outcome.attested == Attested::kTrue, outcome.reason, Cut(NoteOf(event), kMostNote)};
  if (sandbox.condition && sandbox.condition->is_true == next.is_true && next.is_true) return;  // the first says enough
  if (sandbox.condition && sandbox.condition->reason == next.reason && sandbox.condition->message == next.message)
    return;
  sandbox.condition = next;
  sandbox.condition_told = false;
}

// Reads the pod first: another pod of the same name gets nothing, and an equal condition is left alone.
PodReporter::Told PodReporter::TellCondition(Sandbox& sandbox) {
  const std::string path = kube::Core(sandbox.pod->ns, "pods", sandbox.pod->name);
  auto pod = client_.Get(path, Once());
  if (!pod.ok()) return ToldBy(pod.error());
  const std::string uid = (*pod)["metadata"].value("uid", "");
  if (!IsSamePod(*pod, *sandbox.pod)) return Told::kNever;
  if (HasCondition(*pod, *sandbox.condition)) return Told::kYes;
  Json patch = ConditionPatch(*pod, *sandbox.condition, clock_.Now(), false);
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

void PodReporter::LearnUid(Sandbox& sandbox) {
  if (!sandbox.api_uid.empty()) return;
  auto pod = client_.Get(kube::Core(sandbox.pod->ns, "pods", sandbox.pod->name), Once());
  if (pod.ok() && IsSamePod(*pod, *sandbox.pod)) sandbox.api_uid = (*pod)["metadata"].value("uid", "");
}

bool PodReporter::TakeToken(Sandbox& sandbox) {
  const TimePoint now = clock_.Now();
  if (sandbox.refilled == TimePoint{}) sandbox.refilled = now;
  const double passed = static_cast<double>((now - sandbox.refilled).count());
  if (passed > 0) {
    sandbox.tokens = std::min(kBurst, sandbox.tokens + passed / kRefillSeconds);
    sandbox.refilled = now;
  }
  if (sandbox.tokens < 1) return false;
  sandbox.tokens -= 1;
  return true;
}

}  // namespace ccgpu::nodemanager
