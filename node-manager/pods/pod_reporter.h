// Makes what happens in sandboxes visible on their pods: Events, and the condition ccgpu.dev/Attested.
//
// Each line of <events_dir>/<sandbox>/events.jsonl is told once, over restarts too: how far each file was told stands
// in a file of our own, and an Event's name follows from what it says, so that the API server refuses a second one.
// Lines that say the same become one Event with a count, over all sandboxes of a pod: kubelet makes one after another
// when they are refused. A pod gets 25 Events at once and one more every five seconds;
// what is over is counted only. Conditions are set to the latest state, however many lines there were.
#pragma once

#include <atomic>
#include <map>
#include <set>
#include <string>

#include "base/clock.h"
#include "kube/client.h"
#include "node-manager/cluster/node_api.h"
#include "node-manager/pods/event_file.h"
#include "node-manager/pods/outcome.h"

namespace ccgpu::nodemanager {

// Whether the API server's pod is the one that a sandbox was made for.
bool IsSamePod(const Json& pod, const PodRef& ref);

struct PodReporterOptions {
  std::string events_dir = "/run/ccgpu/pods";
  std::string state_file = "/run/ccgpu/node-manager/positions.json";
  std::string node;
  std::chrono::seconds keep{60};  // files of pods that are gone, after their last line
};

// One thread calls Step(); counters may be read from any.
class PodReporter {
 public:
  PodReporter(PodReporterOptions options, kube::Client& client, const Clock& clock);  // both must outlive it
  // Tells what is new; false: the API server could not take all of it now, call again soon.
  bool Step();
  // Removes the files of pods that are gone. Asks the API server once.
  void RemoveGone();
  // Removes the state file: the node is left as it was found. Step() begins anew, and no Event is made twice.
  void Forget();

  uint64_t reported() const { return reported_; }      // Events and counts of Events that the API server took
  uint64_t failed() const { return failed_; }          // that it will never take
  uint64_t suppressed() const { return suppressed_; }  // over a pod's rate
  uint64_t bad_lines() const { return bad_lines_; }
  size_t sandboxes() const { return sandbox_count_; }

 private:
  struct Series {
    std::string name;    // of the Event
    uint64_t count = 0;  // lines
    uint64_t told = 0;   // of them the API server knows; 0: the Event is not made yet
    std::string last;    // time of the last line
  };
  // One pod; kubelet may make many sandboxes for it, one after another, when the first are refused.
  struct Pod {
    PodRef ref;
    std::string api_uid;  // as the API server calls it (a static pod's differs); "": not asked yet
    std::map<std::string, Series> series;
    std::optional<Condition> condition;  // the latest
    bool condition_told = true;
    double tokens = 25;
    TimePoint refilled{};
  };
  struct Sandbox {
    FilePosition position;
    std::optional<PodRef> pod;
  };
  enum class Told { kYes, kNever, kLater };

  void Load();
  void Restore(const Json& all);
  void Save();
  bool ReadSandbox(const std::string& id, Sandbox& sandbox);
  Pod& PodOf(const PodRef& ref);
  bool TellRest(Pod& pod);
  Told Tell(const std::string& sandbox, Pod& pod, const PodEvent& event);
  Told TellSeries(Pod& pod, Series& series);
  Told TellCondition(Pod& pod);
  void Judge(Pod& pod, const PodEvent& event);
  bool TakeToken(Pod& pod);
  Told ToldBy(const Status& status);
  void LearnUid(Pod& pod);
  std::vector<std::string> SettledSandboxes() const;
  bool HasNewer(const std::string& id) const;

  const PodReporterOptions options_;
  kube::Client& client_;
  const Clock& clock_;
  std::map<std::string, Sandbox> sandboxes_;
  std::map<std::string, Pod> pods_;  // by namespace/name/uid
  bool changed_ = false;
  std::atomic<uint64_t> reported_{0}, failed_{0}, suppressed_{0}, bad_lines_{0};
  std::atomic<size_t> sandbox_count_{0};
};

}  // namespace ccgpu::nodemanager
