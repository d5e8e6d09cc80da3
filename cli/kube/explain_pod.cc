#include "cli/kube/explain_pod.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "cli/evidence/failure_class.h"
#include "kube/names.h"
#include "node/cri/refusal.h"

namespace ccgpu::cli {
namespace {

// What Kubernetes says without a reason code of ours.
struct Saying {
  const char* reason;  // of an Event or status; "" any
  const char* words;   // that the message holds
  const char* code;
};
constexpr Saying kSayings[] = {
    {"FailedScheduling", "Insufficient ccgpu.dev/cc-gpu", "kubernetes.no-gpu-free"},
    {"FailedScheduling", kube::kSwitchTaint, "kubernetes.mode-switching"},
    {"FailedScheduling", "node affinity/selector", "kubernetes.no-fitting-node"},
    {"FailedScheduling", "node selector", "kubernetes.no-fitting-node"},
    {"FailedScheduling", "", "kubernetes.not-scheduled"},
    {"UnexpectedAdmissionError", "", "kubernetes.device-allocation"},
    {"FailedCreatePodSandBox", "no runtime for \"ccgpu\"", "kubernetes.no-handler"},
    {"FailedCreatePodSandBox", "", "kubernetes.sandbox"},
    {"ErrImageNeverPull", "", "kubernetes.image"},
    {"ImagePullBackOff", "", "kubernetes.image"},
    {"ErrImagePull", "", "kubernetes.image"},
    {"FailedMount", "", "kubernetes.volume"},
    {"Evicted", "", "kubernetes.evicted"},
    {"NodeAffinity", "", "kubernetes.no-fitting-node"},
    {"Unhealthy", "", "kubernetes.probe"},
    {"CreateContainerError", "", "kubernetes.container"},
    {"RunContainerError", "", "kubernetes.container"},
    {"StartError", "", "kubernetes.container"},
};

class Story {
 public:
  // A message with "[area.reason]" in it, as shims and agents write them; true when it had one.
  bool Coded(const std::string& message) {
    auto reason = node::FindReason(message);
    if (!reason) return false;
    Add(reason->code, reason->subject, reason->text);
    return true;
  }
  void Said(const std::string& reason, const std::string& message) {
    if (Coded(message)) return;
    for (const Saying& one : kSayings) {
      if (reason != one.reason || message.find(one.words) == std::string::npos) continue;
      return Add(one.code, reason, message);
    }
  }
  void Add(const std::string& code, const std::string& subject, const std::string& found) {
    // Kubelet and the node manager may tell the same; one of them without the subject.
    if (subject.empty() && codes_.contains(code)) return;
    codes_.insert(code);
    if (!seen_.insert(code + "\n" + subject).second) return;
    const ReasonText text = TextOf(code);
    causes_.push_back({code, subject, found.substr(0, 1000), text.meaning, text.remedy});
  }
  // What our own parts decided says more than what Kubernetes made of it.
  std::vector<Cause> Take() {
    std::stable_partition(causes_.begin(), causes_.end(),
                          [](const Cause& one) { return !one.code.starts_with("kubernetes."); });
    return std::move(causes_);
  }

 private:
  std::set<std::string> seen_, codes_;
  std::vector<Cause> causes_;
};

// Newest first: what is true now.
std::vector<const Json*> Newest(const Json& events) {
  std::vector<const Json*> out;
  for (const Json& one : ListAt(events, "/items")) out.push_back(&one);
  const auto time = [](const Json* event) {
    for (const char* at : {"/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/metadata/creationTimestamp"}) {
      if (std::string text = TextAt(*event, at); !text.empty()) return text;
    }
    return std::string();
  };
  std::stable_sort(out.begin(), out.end(), [&](const Json* a, const Json* b) { return time(a) > time(b); });
  return out;
}

// What containers say of themselves while they wait or after they ended.
void ReadContainers(const Json& pod, Story& story) {
  for (const char* list : {"/status/initContainerStatuses", "/status/containerStatuses"}) {
    for (const Json& one : ListAt(pod, list)) {
      for (const char* state : {"/state/waiting", "/state/terminated", "/lastState/terminated"}) {
        const std::string at(state);
        story.Said(TextAt(one, (at + "/reason").c_str()), TextAt(one, (at + "/message").c_str()));
      }
    }
  }
}

void ReadNodes(const Json& nodes, int64_t gpus, Story& story) {
  if (!nodes.is_object()) return;
  int64_t enabled = 0, ready = 0, most = 0;
  for (const Json& node : ListAt(nodes, "/items")) {
    enabled += LabelOf(node, kube::kEnabledLabel) == "true" ? 1 : 0;
    if (LabelOf(node, kube::kReadyLabel) != "true") continue;
    ++ready;
    most = std::max(most, AllocatableGpusOf(node));
  }
  if (enabled == 0) story.Add("kubernetes.no-node-enabled", "nodes", "no node has the label ccgpu.dev/enabled=true");
  else if (ready == 0)
    story.Add("kubernetes.no-node-ready", "nodes", "no enabled node has the label ccgpu.dev/ready=true");
  else if (gpus > most)
    story.Add("kubernetes.too-many-gpus", "resources.limits",
              "the pod asks for " + std::to_string(gpus) + " GPUs, the largest node offers " + std::to_string(most));
}

std::string Summary(const Json& pod, bool trouble) {
  const std::string name = TextAt(pod, "/metadata/namespace") + "/" + TextAt(pod, "/metadata/name");
  const std::string phase = TextAt(pod, "/status/phase"), node = TextAt(pod, "/spec/nodeName");
  const Json& attested = ConditionOf(pod, kube::kPodCondition);
  std::string out = "Pod " + name + " is " + (phase.empty() ? "in an unknown phase" : phase) +
                    (node.empty() ? " and on no node" : " on node " + node);
  if (TextAt(attested, "/status") == "True") out += "; its GPUs and sandbox were attested";
  else if (TextAt(attested, "/reason") == "AttestationNotApplicable") out += "; it holds no GPU to attest";
  else if (attested.is_object()) out += "; it is not attested (" + TextAt(attested, "/reason") + ")";
  else if (TextAt(pod, "/spec/runtimeClassName") != "ccgpu") out += "; it does not run under ccgpu";
  else out += "; nothing was said about its attestation yet";
  return out + (trouble ? "." : ". Nothing is wrong.");
}

}  // namespace

PodStory TellPod(const Json& pod, const Json& events, const Json& nodes) {
  Story story;
  const Json& attested = ConditionOf(pod, kube::kPodCondition);
  const std::string reason = TextAt(attested, "/reason"), phase = TextAt(pod, "/status/phase");
  const bool refused = TextAt(attested, "/status") == "False" && reason != "AttestationNotApplicable";
  const bool done = phase == "Succeeded";
  if (refused && !story.Coded(TextAt(attested, "/message")))
    story.Add("kubernetes.not-attested", reason, TextAt(attested, "/message"));
  if (!done) {
    story.Said(TextAt(pod, "/status/reason"), TextAt(pod, "/status/message"));
    ReadContainers(pod, story);
    const Json& ready = ConditionOf(pod, "Ready");
    const bool well = phase == "Running" && TextAt(ready, "/status") == "True" && !refused;
    for (const Json* event : Newest(events)) {
      // Of a pod that runs, old troubles of its start are over; what happened to its keys is not.
      const std::string message = TextAt(*event, "/message");
      if (TextAt(*event, "/type") != "Warning") continue;
      if (!well) story.Said(TextAt(*event, "/reason"), message);
      else if (TextAt(*event, "/reason") == "KeyRefused") story.Coded(message);
    }
    if (TextAt(pod, "/spec/nodeName").empty()) ReadNodes(nodes, GpusOf(pod), story);
  }
  const bool plain = TextAt(pod, "/spec/runtimeClassName") != "ccgpu";
  if (plain && GpusOf(pod) > 0)
    story.Add("kubernetes.not-protected", "spec.runtimeClassName",
              "the pod asks for GPUs, but not for runtimeClassName ccgpu");
  PodStory out;
  out.causes = story.Take();
  out.trouble = !out.causes.empty() || refused || phase == "Failed" || phase == "Unknown";
  if (out.trouble && out.causes.empty()) {
    const ReasonText text = TextOf("kubernetes.failed");
    out.causes.push_back({"kubernetes.failed", phase, TextAt(pod, "/status/message"), text.meaning, text.remedy});
  }
  out.summary = Summary(pod, out.trouble);
  return out;
}

int ExplainPod(Context& context, const Cluster& cluster, const std::string& name) {
  auto reference = FindPod(cluster, name);
  if (!reference.ok()) return Report(context, reference.error());
  auto pod = GetPod(cluster, *reference);
  if (!pod.ok())
    return Report(context, pod.error(), pod.error().code == "cli.not-found" ? kUsage : ExitCodeOf(pod.error()));
  auto events = cluster.kubectl.Get({"events", "-n", reference->pod_namespace, "--field-selector",
                                     "involvedObject.kind=Pod,involvedObject.uid=" + TextAt(*pod, "/metadata/uid")});
  if (!events.ok()) return Report(context, events.error());
  Json nodes;
  if (TextAt(*pod, "/spec/nodeName").empty()) {
    if (auto list = cluster.kubectl.Get({"nodes"}); list.ok())
      nodes = std::move(*list);  // who may not see them: less is said
  }
  const PodStory story = TellPod(*pod, *events, nodes);
  if (context.json) {
    Json causes = Json::array();
    for (const Cause& one : story.causes)
      causes.push_back({{"code", one.code},
                        {"subject", one.subject},
                        {"found", one.found},
                        {"meaning", one.meaning},
                        {"remedy", one.remedy}});
    context.out << Json{{"summary", story.summary}, {"trouble", story.trouble}, {"causes", causes}}.dump(
                       2, ' ', false, Json::error_handler_t::replace)
                << "\n";
  } else {
    context.out << story.summary << "\n";
    for (const Cause& one : story.causes) {
      context.out << "\n" << one.code << (one.subject.empty() ? "" : " at " + one.subject) << "\n";
      if (!one.meaning.empty()) context.out << "  means: " << one.meaning << "\n";
      if (!one.found.empty()) context.out << "  found: " << one.found << "\n";
      if (!one.remedy.empty()) context.out << "  do:    " << one.remedy << "\n";
    }
  }
  return story.trouble ? kFailed : kOk;
}

}  // namespace ccgpu::cli
