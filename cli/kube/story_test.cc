// What is told about nodes and pods, from objects as API servers answer them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/kube/explain_pod.h"
#include "cli/kube/status.h"

namespace ccgpu::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Json Items(std::vector<Json> items) { return {{"kind", "List"}, {"items", items}}; }

Json Node(const std::map<std::string, std::string>& labels, int gpus = 4) {
  return {{"metadata", {{"name", "n1"}, {"labels", labels}}},
          {"status",
           {{"allocatable", {{"ccgpu.dev/cc-gpu", std::to_string(gpus)}}},
            {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
}
const std::map<std::string, std::string> kGood = {{"ccgpu.dev/enabled", "true"},
                                                  {"ccgpu.dev/installed", "0.1.0"},
                                                  {"ccgpu.dev/ready", "true"},
                                                  {"ccgpu.dev/gpu.count", "4"},
                                                  {"ccgpu.dev/cc.mode.state", "hopper-cc"},
                                                  {"ccgpu.dev/cc.ready.state", "true"},
                                                  {"ccgpu.dev/gpu.model", "H100"},
                                                  {"ccgpu.dev/tee", "snp"}};

Json Parts() {
  std::vector<Json> out;
  for (const char* part : {"emulator", "device-plugin", "node-installer", "node-manager"})
    out.push_back(
        {{"kind", "DaemonSet"},
         {"metadata", {{"name", std::string("ccgpu-") + part}, {"labels", {{"app.kubernetes.io/version", "0.1.0"}}}}},
         {"status", {{"desiredNumberScheduled", 1}, {"numberReady", 1}}}});
  out.push_back(
      {{"kind", "Deployment"},
       {"metadata", {{"name", "ccgpu-broker"}}},
       {"spec",
        {{"replicas", 1}, {"template", {{"spec", {{"containers", {{{"image", "r.example/ccgpu/broker:0.2"}}}}}}}}}},
       {"status", {{"readyReplicas", 1}}}});
  return Items(out);
}

std::vector<std::string> Codes(const ClusterStatus& status) {
  std::vector<std::string> out;
  for (const Problem& one : status.problems) out.push_back(one.code);
  return out;
}
std::vector<std::string> NodeProblems(std::map<std::string, std::string> labels, int gpus = 4) {
  return Codes(Summarize(Items({Node(labels, gpus)}), Parts(), Items({})));
}

TEST(Summarize, AHealthyClusterHasNoProblem) {
  const ClusterStatus status = Summarize(Items({Node(kGood), Node({})}), Parts(), Items({}));
  EXPECT_THAT(Codes(status), IsEmpty());
  ASSERT_EQ(status.nodes.size(), 1u);  // the other is none of ours
  EXPECT_EQ(status.nodes[0].gpus, 4);
  EXPECT_EQ(status.parts.back().version, "0.2");
}

TEST(Summarize, NamesWhatIsWrongWithNodes) {
  const auto with = [](const std::string& label, const std::string& value) {
    auto labels = kGood;
    labels[label] = value;
    return labels;
  };
  EXPECT_THAT(NodeProblems({}), ElementsAre("status.no-node"));
  EXPECT_THAT(NodeProblems(with("ccgpu.dev/ready", "")), ElementsAre("status.not-installed"));
  EXPECT_THAT(NodeProblems(kGood, 0), ElementsAre("status.no-gpus"));
  EXPECT_THAT(NodeProblems(kGood, 3), ElementsAre("status.unhealthy-gpus"));
  EXPECT_THAT(NodeProblems(with("ccgpu.dev/cc.mode.state", "failed")), ElementsAre("status.mode-failed"));
  EXPECT_THAT(NodeProblems(with("ccgpu.dev/cc.mode", "off")), ElementsAre("status.mode-pending"));
  EXPECT_THAT(NodeProblems(with("ccgpu.dev/cc.ready.state", "false")), ElementsAre("status.mode-not-ready"));
  EXPECT_THAT(NodeProblems(with("ccgpu.dev/enabled", "false")), ElementsAre("status.not-removed", "status.no-node"));
  Json node = Node(kGood);
  node["status"]["conditions"] = {{{"type", "Ready"}, {"status", "Unknown"}},
                                  {{"type", "ccgpu.dev/CCGPUReady"}, {"status", "False"}, {"message", "1 of 4"}}};
  EXPECT_THAT(Codes(Summarize(Items({node}), Parts(), Items({}))),
              ElementsAre("status.node-not-ready", "status.node-unhealthy"));
}

TEST(Summarize, NamesPartsAndPods) {
  EXPECT_EQ(Codes(Summarize(Items({Node(kGood)}), Items({}), Items({}))),
            std::vector<std::string>(5, "status.part-missing"));
  Json parts = Parts();
  parts["items"][0]["status"]["numberReady"] = 0;
  EXPECT_THAT(Codes(Summarize(Items({Node(kGood)}), parts, Items({}))), ElementsAre("status.part-not-ready"));
  Json pod = {{"metadata", {{"name", "p"}, {"namespace", "d"}}},
              {"spec", {{"containers", {{{"resources", {{"limits", {{"ccgpu.dev/cc-gpu", "2"}}}}}}}}}},
              {"status", {{"phase", "Running"}}}};
  ClusterStatus status = Summarize(Items({Node(kGood)}), Parts(), Items({pod, Json::object()}));
  ASSERT_EQ(status.pods.size(), 1u);
  EXPECT_EQ(status.pods[0].gpus, 2);
  EXPECT_THAT(Codes(status), ElementsAre("status.pod-not-protected"));
  pod["spec"]["runtimeClassName"] = "ccgpu";
  EXPECT_THAT(Codes(Summarize(Items({Node(kGood)}), Parts(), Items({pod}))), IsEmpty());
  pod["status"]["containerStatuses"] = {{{"name", "a"}, {"state", {{"waiting", {{"reason", "CrashLoopBackOff"}}}}}}};
  EXPECT_THAT(Codes(Summarize(Items({Node(kGood)}), Parts(), Items({pod}))), ElementsAre("status.pod-not-running"));
  pod["status"].erase("containerStatuses");
  pod["status"]["conditions"] = {{{"type", "ccgpu.dev/Attested"}, {"status", "False"}, {"reason", "PolicyDenied"}}};
  EXPECT_THAT(Codes(Summarize(Items({Node(kGood)}), Parts(), Items({pod}))), ElementsAre("status.pod-not-attested"));
}

TEST(Summarize, TakesAnyAnswerWithoutFalling) {
  for (const Json& odd : {Json(), Json("x"), Json(1), Json::array(), Json{{"items", "x"}}, Items({Json(1), Json("x")}),
                          Items({{{"metadata", 1}, {"spec", {{"containers", 5}}}, {"status", "x"}}})}) {
    (void)Summarize(odd, odd, odd);
    (void)TellPod(odd, odd, odd);
  }
}

Json Pod(const std::string& phase, bool gpu = true) {
  Json container = {{"name", "app"}};
  if (gpu) container["resources"]["limits"]["ccgpu.dev/cc-gpu"] = "1";
  return {{"metadata", {{"name", "p"}, {"namespace", "d"}}},
          {"spec", {{"runtimeClassName", "ccgpu"}, {"nodeName", "n1"}, {"containers", {container}}}},
          {"status", {{"phase", phase}, {"conditions", Json::array()}}}};
}
Json Event(const std::string& reason, const std::string& message, const std::string& time = "2026-11-22T00:00:00Z") {
  return {{"type", "Warning"}, {"reason", reason}, {"message", message}, {"lastTimestamp", time}};
}
std::string First(const Json& pod, const Json& events, const Json& nodes = {}) {
  const PodStory story = TellPod(pod, events, nodes);
  return story.causes.empty() ? "none" : story.causes[0].code;
}

TEST(TellPod, APodThatIsWell) {
  Json pod = Pod("Running");
  pod["status"]["conditions"] = {{{"type", "Ready"}, {"status", "True"}},
                                 {{"type", "ccgpu.dev/Attested"}, {"status", "True"}, {"reason", "Attested"}}};
  const PodStory story = TellPod(pod, Items({Event("FailedScheduling", "0/1 nodes are available")}), {});
  EXPECT_FALSE(story.trouble);
  EXPECT_THAT(story.causes, IsEmpty());
  EXPECT_EQ(story.summary, "Pod d/p is Running on node n1; its GPUs and sandbox were attested. Nothing is wrong.");
  // Its keys may still be refused.
  EXPECT_EQ(First(pod, Items({Event("KeyRefused", "default/a/b: another pod [release.host-data]")})),
            "release.host-data");
}

TEST(TellPod, ReasonCodesOutOfKubeletsWords) {
  const Json refused = Items(
      {Event("FailedCreatePodSandBox",
             "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox container task "
             "\"4f\": pod.gpus.count: expected 1, found 2 [policy.gpu-count]")});
  const PodStory story = TellPod(Pod("Pending"), refused, {});
  ASSERT_EQ(story.causes.size(), 1u);
  EXPECT_EQ(story.causes[0].code, "policy.gpu-count");
  EXPECT_EQ(story.causes[0].subject, "pod.gpus.count");
  EXPECT_EQ(story.causes[0].found, "expected 1, found 2");
  EXPECT_THAT(story.causes[0].meaning, HasSubstr("more or fewer GPUs"));
  EXPECT_THAT(story.causes[0].remedy, HasSubstr("resources.limits"));
  Json pod = Pod("Pending");
  pod["status"]["containerStatuses"] = {
      {{"state",
        {{"waiting", {{"reason", "CreateContainerError"}, {"message", "x: y: expected a, found b [policy.env]"}}}}}}};
  EXPECT_EQ(First(pod, Items({})), "policy.env");
  pod = Pod("Running");
  pod["status"]["conditions"] = {{{"type", "ccgpu.dev/Attested"},
                                  {"status", "False"},
                                  {"reason", "AttestationFailed"},
                                  {"message", "GPU-1: firmware differs [gpu.measurement-mismatch]"}}};
  EXPECT_EQ(First(pod, Items({})), "gpu.measurement-mismatch");
  pod["status"]["conditions"][0]["message"] = "words only";
  EXPECT_EQ(First(pod, Items({})), "kubernetes.not-attested");
}

TEST(TellPod, WhatOnlyKubernetesSays) {
  Json pending = Pod("Pending");
  pending["spec"].erase("nodeName");
  const auto scheduling = [](const char* message) { return Items({Event("FailedScheduling", message)}); };
  EXPECT_EQ(First(pending, scheduling("0/1 nodes are available: 1 Insufficient ccgpu.dev/cc-gpu. preemption: ...")),
            "kubernetes.no-gpu-free");
  EXPECT_EQ(First(pending, scheduling("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")),
            "kubernetes.no-fitting-node");
  EXPECT_EQ(First(pending,
                  scheduling("0/1 nodes are available: 1 node(s) had untolerated taint {ccgpu.dev/cc-mode-switch: x}")),
            "kubernetes.mode-switching");
  EXPECT_EQ(First(pending, scheduling("something new")), "kubernetes.not-scheduled");
  EXPECT_EQ(First(pending, Items({}), Items({Node({})})), "kubernetes.no-node-enabled");
  EXPECT_EQ(First(pending, Items({}), Items({Node({{"ccgpu.dev/enabled", "true"}})})), "kubernetes.no-node-ready");
  pending["spec"]["containers"][0]["resources"]["limits"]["ccgpu.dev/cc-gpu"] = "9";
  EXPECT_EQ(First(pending, Items({}), Items({Node(kGood)})), "kubernetes.too-many-gpus");

  Json failed = Pod("Failed");
  EXPECT_EQ(First(failed, Items({})), "kubernetes.failed");
  failed["status"]["reason"] = "UnexpectedAdmissionError";
  failed["status"]["message"] =
      "Pod was rejected: Allocate failed due to device plugin GetPreferredAllocation rpc failed";
  EXPECT_EQ(First(failed, Items({})), "kubernetes.device-allocation");
  EXPECT_EQ(First(Pod("Pending"), Items({Event("FailedCreatePodSandBox", "no runtime for \"ccgpu\" is configured")})),
            "kubernetes.no-handler");
  Json plain = Pod("Running");
  plain["spec"].erase("runtimeClassName");
  EXPECT_EQ(First(plain, Items({})), "kubernetes.not-protected");
  EXPECT_EQ(First(Pod("Succeeded"), Items({Event("FailedMount", "x")})), "none");
}

TEST(TellPod, OurOwnWordsComeFirstAndNewestFirst) {
  const PodStory story =
      TellPod(Pod("Pending"),
              Items({Event("FailedMount", "m", "2026-11-22T00:00:09Z"),
                     Event("X", "a: old [policy.env]", "2026-11-22T00:00:01Z"),
                     Event("X", "b: new [policy.cwd]", "2026-11-22T00:00:02Z"), Event("X", "b: new [policy.cwd]")}),
              {});
  std::vector<std::string> codes;
  for (const Cause& one : story.causes) codes.push_back(one.code);
  EXPECT_THAT(codes, ElementsAre("policy.cwd", "policy.env", "kubernetes.volume"));
}

// Every code that explain and status can make has its row, with something to do.
TEST(TellPod, EachSayingIsDocumented) {
  for (const auto& [reason, words] : std::map<std::string, std::string>{{"ErrImagePull", ""},
                                                                        {"Evicted", ""},
                                                                        {"NodeAffinity", ""},
                                                                        {"Unhealthy", ""},
                                                                        {"RunContainerError", ""},
                                                                        {"FailedMount", ""}}) {
    const PodStory story = TellPod(Pod("Pending"), Items({Event(reason, words)}), {});
    ASSERT_EQ(story.causes.size(), 1u) << reason;
    EXPECT_NE(story.causes[0].meaning, "") << story.causes[0].code;
    EXPECT_NE(story.causes[0].remedy, "") << story.causes[0].code;
  }
}

}  // namespace
}  // namespace ccgpu::cli
