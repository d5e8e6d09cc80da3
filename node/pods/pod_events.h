// What happened to one pod, in the order in which the node learnt it: the node's own events, and those that shim,
// guestd and agent write to <events dir>/<sandbox id>/events.jsonl.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "node/pods/line_file.h"

namespace ccgpu::node {

struct PodEvent {
  std::string time;       // RFC 3339
  std::string component;  // ccgpu-node, containerd-shim-ccgpu-v2, ccgpu-guestd, ccgpu-agent
  std::string code;       // a reason code, or a word of the pod's life ("container-started")
  std::string message, subject;
};

std::string EventToJson(const PodEvent& event);  // one line without newline
// Tolerant: what a sandbox writes is untrusted; a line that is no event becomes one with code "node.bad-event".
PodEvent EventFromJson(const std::string& line);

// The caller locks.
class PodEvents {
 public:
  // Own events are appended to `own_file` as well, so that they survive the node's restart; those in it are read.
  explicit PodEvents(std::string own_file);
  void Add(PodEvent event);
  void FollowSandbox(const std::string& file);
  // Reads what has been written meanwhile; true when there was anything.
  bool Pull();
  const std::vector<PodEvent>& all() const { return events_; }

 private:
  std::string own_file_;
  std::vector<std::unique_ptr<LineFile>> followed_;
  std::vector<PodEvent> events_;
};

// The refusal that explains why the pod failed, out of the sandbox's events: the first one after the last acceptance;
// null when there is none.
const PodEvent* FindRefusal(const std::vector<PodEvent>& events);

}  // namespace ccgpu::node
