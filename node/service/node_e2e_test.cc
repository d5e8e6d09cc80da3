// ccgpu-node with a real containerd and runc, and the real device plugin: pods as a user sees them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "node/service/test_lab.h"

namespace ccgpu::node {
namespace {

using ::testing::HasSubstr;

class NodeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (Lab::WhyNot().empty()) lab_ = new Lab;
  }
  static void TearDownTestSuite() {
    delete lab_;
    lab_ = nullptr;
  }
  void SetUp() override {
    if (lab_ == nullptr) GTEST_SKIP() << "NO END-TO-END TEST OF THE NODE: " << Lab::WhyNot();
  }
  static Lab* lab_;
};
Lab* NodeTest::lab_ = nullptr;

// A pod of one container; `more` is put into the container, `spec` into the pod's spec.
std::string Manifest(const std::string& name, const std::string& script, const std::string& more = "",
                     const std::string& spec = "  restartPolicy: Never\n") {
  return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name + "\nspec:\n" + spec +
         "  containers:\n  - name: app\n    image: localhost/lab/busybox:latest\n    command: [\"/bin/sh\", \"-c\", "
         "\"" +
         script + "\"]\n" + more;
}

std::string Gpus(int count) {
  return "    resources:\n      limits:\n        ccgpu.dev/cc-gpu: " + std::to_string(count) + "\n";
}

TEST_F(NodeTest, RunsAPodToItsEndAndLeavesNothing) {
  const auto run = lab_->Run(Manifest("hello", "echo out; echo err >&2; hostname; exit 0"));
  ASSERT_TRUE(run.status.ok()) << run.Describe();
  EXPECT_EQ(run.result.kind(), v1::PodResult::SUCCEEDED) << run.Describe();
  EXPECT_EQ(run.Log("app", "stdout"), "out\nhello") << run.Describe();
  EXPECT_EQ(run.Log("app", "stderr"), "err");
  EXPECT_EQ(run.result.exit_codes().at("app"), 0);
  for (const char* code : {"sandbox-started", "container-started", "container-exited", "finished"})
    EXPECT_TRUE(run.HasEvent(code)) << code << run.Describe();
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, AFailingContainerFailsThePod) {
  const auto run = lab_->Run(Manifest("fails", "exit 7"));
  EXPECT_EQ(run.result.kind(), v1::PodResult::FAILED) << run.Describe();
  EXPECT_EQ(run.result.exit_codes().at("app"), 7);
  EXPECT_EQ(run.result.failure().code(), "node.container-failed");
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, GivesTheContainerItsGpusAndTakesThemBack) {
  for (int i = 0; i < 2; ++i) {  // the second pod gets the same one: the first gave it back
    const auto run = lab_->Run(Manifest("gpu", "env", Gpus(1)));
    EXPECT_EQ(run.result.kind(), v1::PodResult::SUCCEEDED) << run.Describe();
    EXPECT_THAT(run.Log("app"), HasSubstr("CCGPU_VISIBLE_DEVICES=GPU-00000000-0000-0000-0000-000000000000"));
  }
}

TEST_F(NodeTest, RefusesAtAdmission) {
  auto code = [&](const std::string& manifest) {
    const auto run = lab_->Run(manifest);
    return v1::PodResult::Kind_Name(run.result.kind()) + " " + run.result.failure().code();
  };
  EXPECT_EQ(code(Manifest("many", "true", Gpus(3))), "REFUSED node.insufficient-devices");
  // The kubelet would run this pod without its device.
  EXPECT_EQ(code(Manifest("trap", "true", "    resources:\n      limits:\n        unknown.example.com/gpu: 1\n")),
            "REFUSED node.unknown-resource");
  EXPECT_EQ(code(Manifest("probe", "true", "    livenessProbe: {}\n")), "INVALID node.unsupported-field");
  EXPECT_EQ(code("kind: Pod"), "INVALID input.missing-field");
  EXPECT_EQ(code(Manifest("root", "true", "    securityContext:\n      runAsNonRoot: true\n")),
            "REFUSED node.run-as-root");
  auto missing = Manifest("missing", "true");
  missing.replace(missing.find("localhost/lab/busybox"), 21, "localhost/lab/nowhere");
  EXPECT_EQ(code(missing), "FAILED node.image-missing");
  EXPECT_EQ(code(Manifest("handler", "true", "", "  restartPolicy: Never\n  runtimeClassName: nonsense\n")),
            "FAILED cri.call-failed");
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, AllSickDevicesRefuseAndComeBack) {
  auto gpus = lab_->emulator().Get();
  auto sick = gpus;
  for (auto& gpu : sick) gpu.set_healthy(false);
  lab_->emulator().Set(sick);
  ASSERT_TRUE(lab_->WaitAllocatable(0));
  const auto run = lab_->Run(Manifest("sick", "true", Gpus(1)));
  EXPECT_EQ(run.result.kind(), v1::PodResult::REFUSED);
  EXPECT_EQ(run.result.failure().code(), "node.no-healthy-devices");
  lab_->emulator().Set(gpus);
  ASSERT_TRUE(lab_->WaitAllocatable(2));
  EXPECT_EQ(lab_->Run(Manifest("well", "true", Gpus(1))).result.kind(), v1::PodResult::SUCCEEDED);
}

TEST_F(NodeTest, HonoursWhatItAccepts) {
  const std::string manifest = R"(apiVersion: v1
kind: Pod
metadata: {name: fields, labels: {a: b}, annotations: {ccgpu.dev/x: y}}
spec:
  restartPolicy: Never
  hostname: other
  securityContext: {supplementalGroups: [4242], seccompProfile: {type: RuntimeDefault}}
  initContainers:
  - {name: first, image: "localhost/lab/busybox:latest", command: [/bin/sh, -c, "echo from-init > /data/f; mkdir /data/d"], volumeMounts: [{name: data, mountPath: /data}]}
  containers:
  - name: app
    image: localhost/lab/busybox:latest
    command: [/bin/sh, -c]
    args: ["cat /data/f; id -u; id -g; id -G; pwd; hostname; env; touch /x 2>/dev/null || echo readonly; cat /proc/self/status; cat /proc/mounts; cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"]
    workingDir: /tmp
    env:
    - {name: PLAIN, value: "a b"}
    - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: NS, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
    - {name: ADDRESS, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    resources: {limits: {cpu: 500m, memory: 64Mi}}
    volumeMounts:
    - {name: data, mountPath: /data, readOnly: true}
    - {name: ram, mountPath: /ram}
    securityContext: {runAsUser: 1000, runAsGroup: 1000, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
  volumes:
  - {name: data, emptyDir: {}}
  - {name: ram, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
)";
  const auto run = lab_->Run(manifest);
  EXPECT_EQ(run.result.kind(), v1::PodResult::SUCCEEDED) << run.Describe();
  const std::string log = run.Log("app");
  EXPECT_THAT(log, HasSubstr("from-init\n1000\n1000\n1000 4242\n/tmp\nother"));
  for (const char* line : {"PLAIN=a b", "POD=fields", "NS=default", "ADDRESS=10.99.0.", "readonly", "NoNewPrivs:\t1",
                           "Seccomp:\t2", "CapBnd:\t0000000000000000", "67108864", "/ram tmpfs rw,nosuid,nodev"}) {
    EXPECT_THAT(log, HasSubstr(line));
  }
  EXPECT_THAT(log, ::testing::ContainsRegex("/data [a-z0-9]+ ro"));
  EXPECT_EQ(run.result.exit_codes().at("first"), 0);
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, RestartsOnFailureUntilItWorks) {
  const auto run = lab_->Run(Manifest("again",
                                      "echo try; if [ -e /data/2 ]; then exit 0; elif [ -e /data/1 ]; then touch "
                                      "/data/2; else touch /data/1; fi; exit 3",
                                      "    volumeMounts:\n    - {name: data, mountPath: /data}\n",
                                      "  restartPolicy: OnFailure\n  volumes:\n  - {name: data, emptyDir: {}}\n"));
  EXPECT_EQ(run.result.kind(), v1::PodResult::SUCCEEDED) << run.Describe();
  EXPECT_EQ(run.Log("app"), "try\ntry\ntry");
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, AFailingInitContainerEndsThePod) {
  const auto run = lab_->Run(
      "apiVersion: v1\nkind: Pod\nmetadata: {name: init}\nspec:\n  restartPolicy: Never\n  initContainers:\n  - {name: "
      "first, image: 'localhost/lab/busybox:latest', command: [/bin/false]}\n"
      "  containers:\n  - {name: app, image: 'localhost/lab/busybox:latest', command: [/bin/echo, never]}\n");
  EXPECT_EQ(run.result.kind(), v1::PodResult::FAILED) << run.Describe();
  EXPECT_EQ(run.result.failure().code(), "node.init-container-failed");
  EXPECT_EQ(run.Log("app"), "");
}

TEST_F(NodeTest, TimesOut) {
  const auto run = lab_->Run(Manifest("slow", "sleep 1000"), [](auto& request) { request.set_timeout_seconds(1); });
  EXPECT_EQ(run.result.kind(), v1::PodResult::TIMED_OUT) << run.Describe();
  EXPECT_EQ(lab_->LeftOvers(), "");
  const auto deadline = lab_->Run(Manifest("slow", "trap 'exit 9' TERM; sleep 1000 & wait", "",
                                           "  restartPolicy: Always\n  activeDeadlineSeconds: 1\n"));
  EXPECT_EQ(deadline.result.failure().code(), "node.deadline-exceeded") << deadline.Describe();
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, AClientThatLeavesTakesItsPodAlong) {
  lab_->Run(Manifest("left", "echo up; trap 'exit 0' TERM; sleep 1000 & wait"), {},
            [](const v1::RunPodResponse& message, grpc::ClientContext& context) {
              if (message.has_log()) context.TryCancel();
            });
  EXPECT_TRUE(Eventually([&] { return lab_->LeftOvers().empty(); })) << lab_->LeftOvers();
}

TEST_F(NodeTest, DetachDescribeExecLogsRemove) {
  auto detach = [](v1::RunPodRequest& request) { request.set_detach(true); };
  const auto run =
      lab_->Run(Manifest("stay", "echo up; trap 'echo bye; exit 5' TERM; sleep 1000 & wait", Gpus(2)), detach);
  ASSERT_EQ(run.result.kind(), v1::PodResult::RUNNING) << run.Describe();
  v1::Pod pod = lab_->Describe("stay");
  EXPECT_EQ(pod.phase(), "Running");
  EXPECT_EQ(pod.gpus_size(), 2);
  EXPECT_EQ(pod.gpus(0).container(), "app");
  EXPECT_THAT(pod.pod_ip(), HasSubstr("10.99.0."));
  EXPECT_EQ(pod.containers(0).state(), "running");
  // Events are read from a file that the shim has just written: a moment later.
  EXPECT_TRUE(Eventually([&] { return lab_->Describe("stay").events_size() >= 3; }));
  // Its devices are its own: the same name and the same GPUs are taken.
  EXPECT_EQ(lab_->Run(Manifest("stay", "true")).result.failure().code(), "node.pod-exists");
  EXPECT_EQ(lab_->Run(Manifest("second", "true", Gpus(1))).result.failure().code(), "node.insufficient-devices");

  v1::ExecRequest exec;
  exec.mutable_pod()->set_name("stay");
  for (const char* word : {"/bin/sh", "-c", "echo in; echo er >&2; exit 4"}) exec.add_command(word);
  v1::ExecResponse answer;
  grpc::ClientContext context;
  ASSERT_TRUE(lab_->node().Exec(&context, exec, &answer).ok());
  EXPECT_EQ(answer.standard_output(), "in\n");
  EXPECT_EQ(answer.standard_error(), "er\n");
  EXPECT_EQ(answer.exit_code(), 4);

  std::string logs;
  std::thread follower([&] {
    grpc::ClientContext follow;
    v1::PodLogsRequest request;
    request.mutable_pod()->set_name("stay");
    request.set_follow(true);
    auto reader = lab_->node().PodLogs(&follow, request);
    for (v1::LogLine line; reader->Read(&line);) logs += line.text() + ";";
  });
  EXPECT_EQ(lab_->Remove("stay", false), "");
  follower.join();
  EXPECT_THAT(logs, HasSubstr("up;"));
  EXPECT_THAT(lab_->Remove("stay"), HasSubstr("node.unknown-pod"));
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, KeepsAFinishedPodForQuestions) {
  const auto run = lab_->Run(Manifest("kept", "echo words; exit 2"), [](auto& request) { request.set_keep(true); });
  EXPECT_EQ(run.result.kind(), v1::PodResult::FAILED);
  const v1::Pod pod = lab_->Describe("kept");
  EXPECT_EQ(pod.phase(), "Failed");
  EXPECT_EQ(pod.containers(0).exit_code(), 2);
  EXPECT_EQ(pod.failure().code(), "node.container-failed");
  grpc::ClientContext context;
  v1::PodLogsRequest request;
  request.mutable_pod()->set_name("kept");
  auto reader = lab_->node().PodLogs(&context, request);
  v1::LogLine line;
  ASSERT_TRUE(reader->Read(&line));
  EXPECT_EQ(line.text(), "words");
  EXPECT_EQ(lab_->Run(Manifest("kept", "true")).result.kind(),
            v1::PodResult::SUCCEEDED);  // makes room for the next of its name
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, PodsOutliveTheNode) {
  auto detach = [](v1::RunPodRequest& request) { request.set_detach(true); };
  for (int signal : {SIGKILL, SIGTERM}) {
    const std::string name = signal == SIGKILL ? "survivor" : "survivor-two";
    ASSERT_EQ(lab_->Run(Manifest(name, "echo up; sleep 1000", Gpus(1)), detach).result.kind(), v1::PodResult::RUNNING);
    const v1::Pod before = lab_->Describe(name);
    lab_->StopNode(signal);
    lab_->StartNode();
    ASSERT_TRUE(lab_->WaitAllocatable(2));  // the plugin found the new one by itself
    const v1::Pod after = lab_->Describe(name);
    EXPECT_EQ(after.uid(), before.uid());
    EXPECT_EQ(after.sandbox_id(), before.sandbox_id());
    ASSERT_EQ(after.gpus_size(), 1);
    EXPECT_EQ(after.gpus(0).device_id(), before.gpus(0).device_id());
    EXPECT_TRUE(Eventually([&] { return lab_->Describe(name).phase() == "Running"; }));
    EXPECT_EQ(lab_->Run(Manifest("other", "true", Gpus(2))).result.failure().code(), "node.insufficient-devices");
    EXPECT_EQ(lab_->Remove(name), "");
  }
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, AContainerThatEndsWhileTheNodeIsAwayIsNoticed) {
  const std::string mark = "unwatched in " + lab_->dir();  // of this run's container, and of no earlier one's
  const auto lives = [&] {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "cmdline");
      const std::string command((std::istreambuf_iterator<char>(file)), {});
      if (command.find(mark) != std::string::npos) return true;
    }
    return false;
  };
  ASSERT_EQ(lab_->Run(Manifest("ends", ": " + mark + "; while [ ! -e /data/go ]; do sleep 0.05; done; exit 6",
                               "    volumeMounts:\n    - {name: data, mountPath: /data}\n",
                               "  restartPolicy: Never\n  volumes:\n  - {name: data, hostPath: {path: " + lab_->dir() +
                                   ", type: Directory}}\n"),
                      [](auto& request) { request.set_detach(true); })
                .result.kind(),
            v1::PodResult::RUNNING);
  lab_->StopNode(SIGKILL);
  ASSERT_TRUE(Eventually(lives));  // "running" comes before runc has become the container's program
  std::ofstream(lab_->dir() + "/go") << "";
  ASSERT_TRUE(Eventually([&] { return !lives(); }));
  lab_->StartNode();
  EXPECT_TRUE(Eventually([&] { return lab_->Describe("ends").phase() == "Failed"; }));
  EXPECT_TRUE(Eventually([&] { return lab_->Describe("ends").containers(0).exit_code() == 6; }));
  EXPECT_EQ(lab_->Remove("ends"), "");
  std::filesystem::remove(lab_->dir() + "/go");
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, PodsOutliveARestartOfContainerd) {
  ASSERT_EQ(lab_->Run(Manifest("robust", "sleep 1000"), [](auto& request) { request.set_detach(true); }).result.kind(),
            v1::PodResult::RUNNING);
  lab_->containerd().Kill(SIGKILL);
  lab_->containerd().Wait();
  lab_->StartContainerd();
  v1::ExecResponse answer;
  EXPECT_TRUE(Eventually([&] {
    v1::ExecRequest exec;
    exec.mutable_pod()->set_name("robust");
    exec.add_command("/bin/true");
    grpc::ClientContext context;
    return lab_->node().Exec(&context, exec, &answer).ok() && !answer.has_failure();
  })) << answer.ShortDebugString();
  EXPECT_EQ(lab_->Describe("robust").phase(), "Running");
  EXPECT_EQ(lab_->Remove("robust"), "");
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, ADeadPluginLeavesPodsAloneAndComesBack) {
  ASSERT_EQ(
      lab_->Run(Manifest("busy", "sleep 1000", Gpus(1)), [](auto& request) { request.set_detach(true); }).result.kind(),
      v1::PodResult::RUNNING);
  const std::string held = lab_->Describe("busy").gpus(0).device_id();
  lab_->plugin().Kill(SIGKILL);
  lab_->plugin().Wait();
  ASSERT_TRUE(lab_->WaitAllocatable(0));
  EXPECT_EQ(lab_->Describe("busy").phase(), "Running");
  EXPECT_EQ(lab_->Run(Manifest("late", "true", Gpus(1))).result.failure().code(), "node.no-healthy-devices");
  lab_->StartPlugin();
  // A second pod gets the other device.
  const auto run = lab_->Run(Manifest("late", "env", Gpus(1)));
  EXPECT_EQ(run.result.kind(), v1::PodResult::SUCCEEDED) << run.Describe();
  EXPECT_THAT(run.Log("app"), ::testing::Not(HasSubstr(held)));
  EXPECT_EQ(lab_->Remove("busy"), "");
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, AKilledSandboxEndsThePodCleanly) {
  auto run = lab_->Run(Manifest("lost", "echo up; sleep 1000"), {},
                       [&](const v1::RunPodResponse& message, grpc::ClientContext&) {
                         if (!message.has_log()) return;
                         // The shim with everything below it, as a crash of the guest would look.
                         const std::string id = lab_->Describe("lost").sandbox_id();
                         for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
                           std::ifstream file(entry.path() / "cmdline");
                           const std::string line((std::istreambuf_iterator<char>(file)), {});
                           if (line.find("containerd-shim") != std::string::npos && line.find(id) != std::string::npos)
                             ::kill(std::stoi(entry.path().filename()), SIGKILL);
                         }
                       });
  EXPECT_EQ(run.result.kind(), v1::PodResult::FAILED) << run.Describe();
  // containerd cleans up after a dead shim on its own time.
  EXPECT_TRUE(Eventually([&] { return lab_->LeftOvers().empty(); })) << lab_->LeftOvers();
  EXPECT_EQ(lab_->Run(Manifest("next", "true", Gpus(2))).result.kind(), v1::PodResult::SUCCEEDED);
}

TEST_F(NodeTest, AsksTheAgentInThePodsNetwork) {
  const std::string www = lab_->dir() + "/www";
  for (const char* dir : {"/attest", "/ccgpu"}) ASSERT_TRUE(MakeDirs(www + dir).ok());
  std::ofstream(www + "/attest/status") << R"({"state":"accepted"})";
  std::ofstream(www + "/ccgpu/evidence") << R"({"evidence":1})";
  ASSERT_EQ(lab_->Run(Manifest("agent", "httpd -f -p 127.0.0.1:8006 -h /www",
                               "    volumeMounts:\n    - {name: www, mountPath: /www}\n",
                               "  restartPolicy: Never\n  volumes:\n  - {name: www, hostPath: {path: " + www + "}}\n"),
                      [](auto& request) { request.set_detach(true); })
                .result.kind(),
            v1::PodResult::RUNNING);
  v1::CollectEvidenceRequest request;
  request.mutable_pod()->set_name("agent");
  request.set_nonce("0123456789abcdef0123456789abcdef");
  v1::CollectEvidenceResponse response;
  std::string error;
  EXPECT_TRUE(Eventually([&] {
    grpc::ClientContext context;
    const auto status = lab_->node().CollectEvidence(&context, request, &response);
    error = status.error_message();
    return status.ok();
  })) << error;
  EXPECT_EQ(response.evidence_json(), R"({"evidence":1})");
  EXPECT_EQ(lab_->Describe("agent").attestation_status_json(), R"({"state":"accepted"})");
  request.set_nonce("");
  grpc::ClientContext context;
  EXPECT_EQ(lab_->node().CollectEvidence(&context, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(lab_->Remove("agent"), "");
}

TEST_F(NodeTest, EventsOfTheSandboxExplainAFailure) {
  // What guestd and agent would write while the container runs.
  const auto run = lab_->Run(
      Manifest("explained", "echo up; while [ ! -e /data/go2 ]; do sleep 0.05; done; exit 1",
               "    volumeMounts:\n    - {name: data, mountPath: /data}\n",
               "  restartPolicy: Never\n  runtimeClassName: runc\n  volumes:\n  - {name: data, hostPath: {path: " +
                   lab_->dir() + "}}\n"),
      {}, [&](const v1::RunPodResponse& message, grpc::ClientContext&) {
        if (!message.has_log()) return;
        const std::string dir = lab_->dir() + "/pods/" + lab_->Describe("explained").sandbox_id();
        ASSERT_TRUE(MakeDirs(dir).ok());
        std::ofstream(dir + "/events.jsonl")
            << R"({"time":"2026-01-01T00:00:00Z","component":"ccgpu-guestd","code":"gpu.session","message":"open","subject":"GPU-1"})"
            << "\n"
            << R"({"time":"2026-01-01T00:00:01Z","component":"ccgpu-agent","code":"gpu.measurement-mismatch","message":"block 9 differs","subject":"GPU-1"})"
            << "\nnot json\n";
        std::ofstream(lab_->dir() + "/go2") << "";
      });
  EXPECT_EQ(run.result.kind(), v1::PodResult::REFUSED) << run.Describe();
  EXPECT_EQ(run.result.failure().code(), "gpu.measurement-mismatch");
  EXPECT_EQ(run.result.failure().subject(), "GPU-1");
  EXPECT_TRUE(run.HasEvent("gpu.session"));
  EXPECT_TRUE(run.HasEvent("node.bad-event"));
  EXPECT_FALSE(Exists(lab_->dir() + "/pods/" + run.result.pod_id()));
  EXPECT_EQ(lab_->LeftOvers(), "");
}

// The container ends only when its lines have arrived: what still is in the fifo at a container's end containerd 1.6
// may drop, with every shim.
TEST_F(NodeTest, ManyLinesArriveWhole) {
  size_t lines = 0;
  const auto run = lab_->Run(
      Manifest(
          "lines",
          "yes 0123456789 | head -n 20000; head -c 40000 /dev/zero | wc -c; while [ ! -e /data/go3 ]; do sleep 0.05; "
          "done; printf end",
          "    volumeMounts:\n    - {name: data, mountPath: /data}\n",
          "  restartPolicy: Never\n  volumes:\n  - {name: data, hostPath: {path: " + lab_->dir() + "}}\n"),
      {}, [&](const v1::RunPodResponse& message, grpc::ClientContext&) {
        if (message.has_log() && ++lines == 20001) std::ofstream(lab_->dir() + "/go3") << "";
      });
  ASSERT_EQ(run.result.kind(), v1::PodResult::SUCCEEDED) << run.result.ShortDebugString();
  ASSERT_EQ(run.logs.size(), 20002u);
  EXPECT_EQ(run.logs[19999].text(), "0123456789");
  EXPECT_EQ(run.logs.back().text(), "end");
}

TEST_F(NodeTest, TenPodsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 10; ++i) {
    threads.emplace_back([&, i] {
      good += lab_->Run(Manifest("many-" + std::to_string(i), "echo hi")).result.kind() == v1::PodResult::SUCCEEDED;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 10);
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, ListsItsImagesWithTheirTree) {
  v1::ListImagesResponse images;
  grpc::ClientContext context;
  ASSERT_TRUE(lab_->node().ListImages(&context, {}, &images).ok());
  bool found = false;
  for (const auto& image : images.images()) {
    if (image.reference() != "localhost/lab/busybox:latest") continue;
    found = true;
    EXPECT_THAT(image.rootfs_digest(), ::testing::StartsWith("sha256:"));
    EXPECT_THAT(image.manifest_digest(), ::testing::StartsWith("sha256:"));
    EXPECT_THAT(image.config_json(), HasSubstr("PATH=/bin"));
  }
  EXPECT_TRUE(found);
}

}  // namespace
}  // namespace ccgpu::node
