#include "cli/kube/status.h"

#include <algorithm>
#include <cstdlib>

#include "cli/evidence/failure_class.h"
#include "cli/table.h"
#include "kube/names.h"

namespace ccgpu::cli {
namespace {

constexpr const char* kParts[] = {"emulator", "device-plugin", "node-installer", "node-manager", "broker"};

int64_t NumberAt(const Json& object, const char* pointer) { return std::atoll(TextAt(object, pointer).c_str()); }

void AddNode(const Json& node, ClusterStatus& out) {
  NodeRow row;
  row.name = TextAt(node, "/metadata/name");
  row.enabled = LabelOf(node, kube::kEnabledLabel);
  row.installed = LabelOf(node, kube::kInstalledLabel);
  row.ready = LabelOf(node, kube::kReadyLabel) == "true";
  if (row.enabled.empty() && row.installed.empty()) return;
  row.model = LabelOf(node, kube::kModelLabel);
  row.tee = LabelOf(node, kube::kTeeLabel);
  row.mode = LabelOf(node, kube::kModeStateLabel);
  row.wanted_mode = LabelOf(node, kube::kModeLabel);
  row.gpus = std::atoll(LabelOf(node, kube::kCountLabel).c_str());
  row.allocatable = AllocatableGpusOf(node);
  const Json& health = ConditionOf(node, kube::kNodeCondition);
  row.health = TextAt(health, "/reason");
  const auto add = [&](const char* code, const std::string& text) {
    out.problems.push_back({code, "node " + row.name, text});
  };
  if (row.enabled == "true") {
    if (TextAt(ConditionOf(node, "Ready"), "/status") != "True")
      add("status.node-not-ready", "kubelet does not report it as Ready");
    if (!row.ready || row.installed.empty())
      add("status.not-installed", "shim and runtime handler are not installed: look at the node-installer's pod there");
    if (row.allocatable == 0)
      add("status.no-gpus", "offers no ccgpu.dev/cc-gpu: look at the emulator's and the device plugin's pods there");
    else if (row.gpus > 0 && row.allocatable < row.gpus)
      add("status.unhealthy-gpus",
          std::to_string(row.gpus - row.allocatable) + " of " + std::to_string(row.gpus) + " GPUs are not allocatable");
    if (health.is_object() && TextAt(health, "/status") != "True")
      add("status.node-unhealthy", TextAt(health, "/message"));
    const std::string failure = AnnotationOf(node, kube::kFailureAnnotation);
    if (row.mode == "failed") add("status.mode-failed", failure.empty() ? "the mode switch failed" : failure);
    else if (!row.wanted_mode.empty() && row.wanted_mode != row.mode)
      add("status.mode-pending",
          "is in mode " + (row.mode.empty() ? "?" : row.mode) + ", not yet in " + row.wanted_mode);
    else if (LabelOf(node, kube::kReadyStateLabel) == "false")
      add("status.mode-not-ready", "its GPUs are not ready for confidential pods");
  } else if (!row.installed.empty()) {
    add("status.not-removed", "is no longer enabled, but still carries what the installer put there");
  }
  out.nodes.push_back(std::move(row));
}

// "localhost/ccgpu/emulator:0.1.0" -> "0.1.0"
std::string VersionOf(const Json& workload) {
  const std::string label = LabelOf(workload, "app.kubernetes.io/version");
  if (!label.empty()) return label;
  const Json& containers = ListAt(workload, "/spec/template/spec/containers");
  const std::string image = containers.empty() ? "" : TextAt(containers[0], "/image");
  const size_t colon = image.rfind(':');
  return colon == std::string::npos ? "" : image.substr(colon + 1);
}

void AddPart(const Json& workload, ClusterStatus& out) {
  PartRow row;
  row.kind = TextAt(workload, "/kind");
  row.name = TextAt(workload, "/metadata/name");
  row.version = VersionOf(workload);
  const bool daemons = row.kind == "DaemonSet";
  row.desired = NumberAt(workload, daemons ? "/status/desiredNumberScheduled" : "/spec/replicas");
  row.ready = NumberAt(workload, daemons ? "/status/numberReady" : "/status/readyReplicas");
  if (row.ready < row.desired) {
    out.problems.push_back({"status.part-not-ready", row.kind + " " + row.name,
                            std::to_string(row.ready) + " of " + std::to_string(row.desired) + " pods are ready"});
  }
  out.parts.push_back(std::move(row));
}

void AddPod(const Json& pod, ClusterStatus& out) {
  PodRow row;
  row.gpus = GpusOf(pod);
  if (row.gpus == 0 && TextAt(pod, "/spec/runtimeClassName") != "ccgpu") return;
  row.pod_namespace = TextAt(pod, "/metadata/namespace");
  row.name = TextAt(pod, "/metadata/name");
  row.node = TextAt(pod, "/spec/nodeName");
  row.phase = TextAt(pod, "/status/phase");
  const Json& attested = ConditionOf(pod, kube::kPodCondition);
  row.attested = TextAt(attested, "/status");
  row.reason = TextAt(attested, "/reason");
  const std::string subject = "pod " + row.pod_namespace + "/" + row.name;
  if (row.attested == "False" && row.reason != "AttestationNotApplicable") {
    out.problems.push_back({"status.pod-not-attested", subject,
                            TextAt(attested, "/message").substr(0, 300) + " (`kubectl ccgpu explain " +
                                row.pod_namespace + "/" + row.name + "`)"});
  } else if (row.gpus > 0 && TextAt(pod, "/spec/runtimeClassName") != "ccgpu") {
    out.problems.push_back(
        {"status.pod-not-protected", subject, "asks for GPUs but not for runtimeClassName ccgpu: nothing protects it"});
  }
  for (const Json& container : ListAt(pod, "/status/containerStatuses")) {
    const std::string waiting = TextAt(container, "/state/waiting/reason");
    if (waiting.empty() || waiting == "ContainerCreating" || waiting == "PodInitializing") continue;
    out.problems.push_back({"status.pod-not-running", subject,
                            "container " + TextAt(container, "/name") + " waits: " + waiting +
                                " (`kubectl ccgpu explain " + row.pod_namespace + "/" + row.name + "`)"});
  }
  out.pods.push_back(std::move(row));
}

bool IsPart(const Json& workload) {
  const std::string name = TextAt(workload, "/metadata/name");
  return LabelOf(workload, "app.kubernetes.io/name") == "ccgpu" || name.starts_with("ccgpu-");
}

Json ToJson(const ClusterStatus& status) {
  Json out = {{"healthy", status.problems.empty()},
              {"nodes", Json::array()},
              {"components", Json::array()},
              {"pods", Json::array()},
              {"problems", Json::array()}};
  for (const NodeRow& one : status.nodes) {
    out["nodes"].push_back({{"name", one.name},
                            {"enabled", one.enabled == "true"},
                            {"installed", one.installed},
                            {"ready", one.ready},
                            {"model", one.model},
                            {"tee", one.tee},
                            {"gpus", one.gpus},
                            {"allocatable", one.allocatable},
                            {"mode", one.mode},
                            {"wanted_mode", one.wanted_mode},
                            {"health", one.health}});
  }
  for (const PartRow& one : status.parts) {
    out["components"].push_back({{"kind", one.kind},
                                 {"name", one.name},
                                 {"version", one.version},
                                 {"desired", one.desired},
                                 {"ready", one.ready}});
  }
  for (const PodRow& one : status.pods) {
    out["pods"].push_back({{"namespace", one.pod_namespace},
                           {"name", one.name},
                           {"node", one.node},
                           {"phase", one.phase},
                           {"gpus", one.gpus},
                           {"attested", one.attested},
                           {"reason", one.reason}});
  }
  for (const Problem& one : status.problems)
    out["problems"].push_back({{"code", one.code}, {"subject", one.subject}, {"text", one.text}});
  return out;
}

std::string Or(const std::string& text, const char* otherwise) { return text.empty() ? otherwise : text; }

void Print(std::ostream& out, const ClusterStatus& status) {
  Table nodes({"NODE", "INSTALLED", "READY", "GPUS", "MODEL", "MODE", "TEE", "HEALTH"});
  for (const NodeRow& one : status.nodes) {
    nodes.Add({one.name, Or(one.installed, "-"), one.ready ? "yes" : "no",
               std::to_string(one.allocatable) + "/" + std::to_string(one.gpus), Or(one.model, "-"), Or(one.mode, "-"),
               Or(one.tee, "-"), Or(one.health, "-")});
  }
  nodes.Print(out);
  out << "\n";
  Table parts({"COMPONENT", "KIND", "READY", "VERSION"});
  for (const PartRow& one : status.parts)
    parts.Add(
        {one.name, one.kind, std::to_string(one.ready) + "/" + std::to_string(one.desired), Or(one.version, "-")});
  parts.Print(out);
  out << "\n";
  Table pods({"POD", "NODE", "GPUS", "PHASE", "ATTESTED", "REASON"});
  for (const PodRow& one : status.pods)
    pods.Add({one.pod_namespace + "/" + one.name, Or(one.node, "-"), std::to_string(one.gpus), one.phase,
              Or(one.attested, "-"), Or(one.reason, "-")});
  pods.Print(out);
  out << "\n";
  for (const Problem& one : status.problems) {
    out << "problem: " << one.subject << ": " << one.text << " [" << one.code << "]\n";
  }
  if (status.problems.empty()) out << "nothing is wrong\n";
}

}  // namespace

ClusterStatus Summarize(const Json& nodes, const Json& workloads, const Json& pods) {
  ClusterStatus out;
  for (const Json& node : ListAt(nodes, "/items")) AddNode(node, out);
  if (std::none_of(out.nodes.begin(), out.nodes.end(), [](const NodeRow& one) { return one.enabled == "true"; }))
    out.problems.push_back(
        {"status.no-node", "cluster", "no node is enabled: kubectl label node NODE ccgpu.dev/enabled=true"});
  for (const Json& workload : ListAt(workloads, "/items")) {
    if (IsPart(workload)) AddPart(workload, out);
  }
  for (const char* part : kParts) {
    const bool found =
        std::any_of(out.parts.begin(), out.parts.end(), [&](const PartRow& one) { return one.name.ends_with(part); });
    if (!found)
      out.problems.push_back({"status.part-missing", part, "is not installed in this namespace (--system-namespace?)"});
  }
  for (const Json& pod : ListAt(pods, "/items")) AddPod(pod, out);
  return out;
}

int ShowStatus(Context& context, const Cluster& cluster) {
  auto nodes = cluster.kubectl.Get({"nodes"});
  if (!nodes.ok()) return Report(context, nodes.error());
  auto workloads = cluster.kubectl.Get({"daemonsets,deployments", "-n", cluster.system_namespace});
  if (!workloads.ok()) return Report(context, workloads.error());
  auto pods = cluster.kubectl.Get({"pods", "-A"});
  std::string note;
  if (!pods.ok() && pods.error().code == "cli.forbidden") {  // of other namespaces: then of this one
    note = "pods of other namespaces may not be listed";
    pods = cluster.kubectl.Get({"pods"});
  }
  if (!pods.ok()) return Report(context, pods.error());
  const ClusterStatus status = Summarize(*nodes, *workloads, *pods);
  if (context.json) context.out << ToJson(status).dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
  else Print(context.out, status);
  if (!note.empty()) context.err << "kubectl ccgpu: note: " << note << "\n";
  return status.problems.empty() ? kOk : kFailed;
}

}  // namespace ccgpu::cli
