// Events about our Node (events.k8s.io/v1), kept in order until the API server takes them.
#pragma once

#include <atomic>
#include <deque>
#include <string>

#include "base/clock.h"
#include "kube/client.h"

namespace ccgpu::nodemanager {

struct EventSpec {
  bool warning = false;
  std::string reason;  // CamelCase, what kubectl shows
  std::string action;  // CamelCase, what was being done
  std::string note;
};

inline constexpr size_t kMostNote = 1024;  // the API's limit of a note, in bytes

// "2026-11-22T06:30:00Z" or with a fraction -> with six digits, as the API wants it; anything else: `fallback`.
std::string MicroTime(const std::string& time, TimePoint fallback);
// At most `size` bytes, cut between characters and marked when cut.
std::string Cut(std::string text, size_t size);
// "<about>.<16 hex digits of id's hash>": the same id gives the same name, so that an Event is never made twice.
std::string EventName(const std::string& about, const std::string& id);
// A whole Event. `regarding` is {apiVersion, kind, namespace, name, uid}.
Json MakeEvent(const std::string& ns, const std::string& name, const Json& regarding, const EventSpec& spec,
               const std::string& instance, const std::string& micro_time);

// One thread.
class NodeEvents {
 public:
  NodeEvents(kube::Client& client, std::string node, const Clock& clock)
      : client_(client), node_(std::move(node)), clock_(clock) {}
  // The same spec as the one before it, within ten minutes, is left out.
  void Add(EventSpec spec);
  // Sends what waits. False: the API server cannot take it now, call again later.
  bool Flush();
  uint64_t reported() const { return reported_; }
  uint64_t failed() const { return failed_; }

 private:
  struct Waiting {
    Json event;
  };
  kube::Client& client_;
  const std::string node_;
  const Clock& clock_;
  std::deque<Waiting> waiting_;
  EventSpec last_;
  TimePoint last_time_{};
  std::atomic<uint64_t> reported_{0}, failed_{0};
  uint64_t next_ = 0;
};

}  // namespace ccgpu::nodemanager
