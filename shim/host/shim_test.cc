// The shim from containerd's side: real shim, real guestd, real runc, real emulator.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <thread>

#include "base/file.h"
#include "shim/api/names.h"
#include "shim/host/guest.h"
#include "shim/host/sha256.h"
#include "shim/host/test_rig.h"
#include "trust/kbs/initdata.h"

namespace ccgpu::shim {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ShimTest : public testing::Test {
 protected:
  void SetUp() override {
    if (std::string why = WhyNoSandboxes(); !why.empty())
      GTEST_SKIP() << "SKIPPED, no sandbox can be made here: " << why;
    rig_ = std::make_unique<Rig>();
    rootfs_ = rig_->MakeRootfs();
  }

  template <class Response = containerd::Empty, class Request>
  Result<Response> Call(const std::string& bundle, const char* method, const Request& request) {
    auto client = rig_->Connect(bundle);
    if (!client.ok()) return client.error();
    return client->Call<Response>(kTaskService, method, request, 60s);
  }

  // start + Create, stdout to a fifo that `output_` reads.
  Result<containerd::CreateTaskResponse> Create(const std::string& id, const std::string& bundle, bool io = true) {
    RunResult started = rig_->Start(id, bundle);
    if (started.status != 0) return Error::FromWire("start", id, started.output);
    EXPECT_THAT(started.output, testing::StartsWith("unix:///run/containerd/s/"));
    containerd::CreateTaskRequest request;
    request.set_id(id);
    request.set_bundle(bundle);
    if (io) {
      std::string fifo = bundle + "/stdout";
      ::mkfifo(fifo.c_str(), 0600);
      output_ = Fd(::open(fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
      request.set_stdout(fifo);
    }
    return Call<containerd::CreateTaskResponse>(bundle, "Create", request);
  }
  Status StartTask(const std::string& id, const std::string& bundle) {
    containerd::StartRequest request;
    request.set_id(id);
    auto result = Call<containerd::StartResponse>(bundle, "Start", request);
    return result.ok() ? Ok() : Status(result.error());
  }
  uint32_t Wait(const std::string& id, const std::string& bundle) {
    containerd::WaitRequest request;
    request.set_id(id);
    auto result = Call<containerd::WaitResponse>(bundle, "Wait", request);
    EXPECT_TRUE(result.ok()) << result.error().ToString();
    return result.ok() ? result->exit_status() : 9999;
  }
  Status Kill(const std::string& id, const std::string& bundle, int signal) {
    containerd::KillRequest request;
    request.set_id(id);
    request.set_signal(static_cast<uint32_t>(signal));
    auto result = Call(bundle, "Kill", request);
    return result.ok() ? Ok() : Status(result.error());
  }
  Result<containerd::DeleteResponse> DeleteTask(const std::string& id, const std::string& bundle) {
    containerd::DeleteRequest request;
    request.set_id(id);
    return Call<containerd::DeleteResponse>(bundle, "Delete", request);
  }
  void Shutdown(const std::string& bundle) {
    pid_t pid = rig_->ShimPid(bundle);
    Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    (void)Call(bundle, "Shutdown", containerd::ShutdownRequest());
    pollfd gone{pidfd.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&gone, 1, 5000), 1) << "the shim stays after Shutdown";
  }
  std::string Output(size_t at_least) {
    std::string text;
    char piece[4096];
    pollfd ready{output_.get(), POLLIN, 0};
    while (text.size() < at_least && ::poll(&ready, 1, 10000) == 1) {
      ssize_t count = ::read(output_.get(), piece, sizeof piece);
      if (count <= 0) break;
      text.append(piece, static_cast<size_t>(count));
    }
    return text;
  }
  // A sandbox whose policy allows container "app" with these arguments.
  Status MakePod(const std::string& sandbox, const policy::PodPolicy& policy) {
    pod_bundle_ = rig_->MakeBundle(sandbox, rig_->SandboxSpec(sandbox, policy.pod_name, AnnotationFor(policy)));
    auto created = Create(sandbox, pod_bundle_, false);
    if (!created.ok()) return created.error();
    EXPECT_GT(created->pid(), 1u);
    EXPECT_TRUE(Exists("/proc/" + std::to_string(created->pid()) + "/ns/ipc"))
        << "containerd looks for namespaces there";
    return StartTask(sandbox, pod_bundle_);
  }
  void EndPod(const std::string& sandbox, const std::string& app = "") {
    EXPECT_TRUE(Kill(sandbox, pod_bundle_, SIGKILL).ok());
    EXPECT_EQ(Wait(sandbox, pod_bundle_), 137u);
    if (!app.empty()) {
      EXPECT_LT(Wait(app, pod_bundle_), 256u);
      EXPECT_TRUE(DeleteTask(app, pod_bundle_).ok());
    }
    EXPECT_TRUE(DeleteTask(sandbox, pod_bundle_).ok());
    Shutdown(pod_bundle_);
  }

  std::unique_ptr<Rig> rig_;
  std::string rootfs_, pod_bundle_;
  Fd output_;
};

TEST_F(ShimTest, AContainerWithoutAPodRunsAndNothingIsLeft) {
  std::string bundle = rig_->MakeBundle("one", rig_->ContainerSpec("one", rootfs_, {"sh", "-c", "echo hello; exit 7"}));
  auto created = Create("one", bundle);
  ASSERT_TRUE(created.ok()) << created.error().ToString();
  EXPECT_TRUE(Exists("/proc/" + std::to_string(created->pid()))) << "the pid must be the host's";
  ASSERT_TRUE(StartTask("one", bundle).ok());
  EXPECT_EQ(Wait("one", bundle), 7u);
  EXPECT_EQ(Output(6), "hello\n");
  char rest;
  EXPECT_EQ(::read(output_.get(), &rest, 1), 0) << "containerd 2 deletes a task after it has come to its output's end";
  auto deleted = DeleteTask("one", bundle);
  ASSERT_TRUE(deleted.ok());
  EXPECT_EQ(deleted->exit_status(), 7u);
  Shutdown(bundle);
  EXPECT_TRUE(rig_->WaitForEvent("/tasks/delete one"));
  EXPECT_THAT(rig_->Events(),
              ElementsAre("/tasks/create one", "/tasks/start one", "/tasks/exit one", "/tasks/delete one"));
  EXPECT_THAT(rig_->Leftovers({"one"}), IsEmpty());
}

TEST_F(ShimTest, CallsInTheWrongStateAreRefusedWithTheCodesContainerdKnows) {
  std::string bundle = rig_->MakeBundle("two", rig_->ContainerSpec("two", rootfs_, {"sleep", "1000"}));
  ASSERT_TRUE(Create("two", bundle).ok());
  auto client = rig_->Connect(bundle);
  ASSERT_TRUE(client.ok());
  auto code = [&](const char* method, const auto& request) {
    return client->CallRaw(kTaskService, method, request.SerializeAsString(), 60s).code;
  };
  containerd::ExecProcessRequest exec;
  exec.set_id("two");
  exec.set_exec_id("e");
  exec.mutable_spec()->set_value(Rig::ProcessSpec({"sh", "-c", "exit 3"}).dump());
  containerd::StartRequest start_exec, start;
  start_exec.set_id("two");
  start_exec.set_exec_id("e");
  start.set_id("two");
  containerd::KillRequest kill_exec;
  kill_exec.set_id("two");
  kill_exec.set_exec_id("e");
  kill_exec.set_signal(9);
  containerd::WaitRequest nobody;
  nobody.set_id("nobody");
  containerd::DeleteRequest remove;
  remove.set_id("two");
  containerd::StateRequest state;
  state.set_id("two");
  state.set_exec_id("none");
  EXPECT_EQ(code("Exec", exec), ttrpc::Code::kOk);
  EXPECT_EQ(code("Exec", exec), ttrpc::Code::kAlreadyExists);
  EXPECT_EQ(code("Start", start_exec), ttrpc::Code::kFailedPrecondition) << "the container does not run yet";
  EXPECT_EQ(code("Kill", kill_exec), ttrpc::Code::kFailedPrecondition);
  EXPECT_EQ(code("Wait", nobody), ttrpc::Code::kNotFound);
  EXPECT_EQ(code("State", state), ttrpc::Code::kNotFound);
  EXPECT_EQ(code("Checkpoint", nobody), ttrpc::Code::kUnimplemented);
  ASSERT_EQ(code("Start", start), ttrpc::Code::kOk);
  EXPECT_EQ(code("Start", start), ttrpc::Code::kFailedPrecondition);
  EXPECT_EQ(code("Delete", remove), ttrpc::Code::kFailedPrecondition);
  ASSERT_EQ(code("Start", start_exec), ttrpc::Code::kOk);
  containerd::WaitRequest wait_exec;
  wait_exec.set_id("two");
  wait_exec.set_exec_id("e");
  auto waited = client->Call<containerd::WaitResponse>(kTaskService, "Wait", wait_exec, 60s);
  ASSERT_TRUE(waited.ok());
  EXPECT_EQ(waited->exit_status(), 3u);
  ASSERT_TRUE(Kill("two", bundle, SIGKILL).ok());
  EXPECT_EQ(Wait("two", bundle), 137u);
  EXPECT_EQ(Kill("two", bundle, SIGKILL).error().text, "process already finished (code 5)");
  EXPECT_EQ(code("Start", start_exec), ttrpc::Code::kFailedPrecondition);
  EXPECT_TRUE(DeleteTask("two", bundle).ok());
  Shutdown(bundle);
  EXPECT_THAT(rig_->Leftovers({"two"}), IsEmpty());
}

TEST_F(ShimTest, APodRunsWhatItsPolicyAllowsAndNothingElse) {
  policy::PodPolicy policy = PolicyFor("demo", "app", rootfs_, {"sh", "-c", "echo allowed"});
  Status made = MakePod("pod1", policy);
  ASSERT_TRUE(made.ok()) << made.error().ToString();
  std::string edited = rig_->MakeBundle(
      "c-edited", rig_->PodContainerSpec("c-edited", "pod1", "demo", "app", rootfs_, {"sh", "-c", "echo stolen"}));
  auto refused = Create("c-edited", edited);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "policy.command");
  std::string unknown = rig_->MakeBundle(
      "c-unknown", rig_->PodContainerSpec("c-unknown", "pod1", "demo", "other", rootfs_, {"sh", "-c", "echo allowed"}));
  EXPECT_THAT(Create("c-unknown", unknown).error().code, testing::StartsWith("policy."));
  Json with_env = rig_->PodContainerSpec("c-env", "pod1", "demo", "app", rootfs_, {"sh", "-c", "echo allowed"});
  with_env["process"]["env"].push_back("LD_PRELOAD=/tmp/x.so");
  EXPECT_EQ(Create("c-env", rig_->MakeBundle("c-env", with_env)).error().code, "policy.env");

  std::string good = rig_->MakeBundle(
      "c-good", rig_->PodContainerSpec("c-good", "pod1", "demo", "app", rootfs_, {"sh", "-c", "echo allowed"}));
  auto created = Create("c-good", good);
  ASSERT_TRUE(created.ok()) << created.error().ToString();
  containerd::ExecProcessRequest exec;
  exec.set_id("c-good");
  exec.set_exec_id("e");
  exec.mutable_spec()->set_value(Rig::ProcessSpec({"cat", "/etc/shadow"}).dump());
  ASSERT_TRUE(StartTask("c-good", good).ok());
  EXPECT_EQ(Wait("c-good", good), 0u);
  EXPECT_EQ(Output(8), "allowed\n");
  EXPECT_TRUE(DeleteTask("c-good", good).ok());
  // Its digest would fit, but the policy lets a container run once.
  std::string again = rig_->MakeBundle(
      "c-again", rig_->PodContainerSpec("c-again", "pod1", "demo", "app", rootfs_, {"sh", "-c", "echo allowed"}));
  EXPECT_THAT(Create("c-again", again).error().code, testing::StartsWith("policy."));
  std::vector<std::string> codes;
  for (const auto& event : rig_->PodEvents("pod1")) codes.push_back(event["code"]);
  EXPECT_THAT(codes, testing::IsSupersetOf({"policy.in-force", "sandbox.ready", "policy.command", "policy.env"}));
  EndPod("pod1");
  EXPECT_THAT(rig_->Leftovers({"pod1", "c-good", "c-edited", "c-again"}), IsEmpty());
}

TEST_F(ShimTest, AnExecThatThePolicyDoesNotNameIsRefusedAndOneItNamesRuns) {
  policy::PodPolicy policy = PolicyFor("demo", "app", rootfs_, {"sleep", "1000"});
  policy.containers[0].allowed_exec = {{"echo", "fine"}};
  ASSERT_TRUE(MakePod("pod2", policy).ok());
  std::string bundle =
      rig_->MakeBundle("app2", rig_->PodContainerSpec("app2", "pod2", "demo", "app", rootfs_, {"sleep", "1000"}));
  auto created = Create("app2", bundle);
  ASSERT_TRUE(created.ok()) << created.error().ToString();
  ASSERT_TRUE(StartTask("app2", bundle).ok());
  auto run = [&](const std::string& exec_id, const std::vector<std::string>& args) {
    containerd::ExecProcessRequest exec;
    exec.set_id("app2");
    exec.set_exec_id(exec_id);
    exec.mutable_spec()->set_value(Rig::ProcessSpec(args).dump());
    EXPECT_TRUE(Call(bundle, "Exec", exec).ok());
    containerd::StartRequest start;
    start.set_id("app2");
    start.set_exec_id(exec_id);
    return Call<containerd::StartResponse>(bundle, "Start", start);
  };
  EXPECT_EQ(run("bad", {"cat", "/proc/1/environ"}).error().code, "policy.exec");
  auto fine = run("good", {"echo", "fine"});
  EXPECT_TRUE(fine.ok()) << fine.error().ToString();
  EXPECT_GT(fine->pid(), 0u) << "also of a process that ends at once";
  // An exec that runs ends before its container does, for everyone who listens.
  EndPod("pod2", "app2");
  EXPECT_TRUE(rig_->WaitForEvent("/tasks/exit app2"));
}

TEST_F(ShimTest, AGpuThatThePolicyWantsMustBeBoundAndIsGivenToOnePodOnly) {
  rig_->WriteConfig("resolver_socket: " + rig_->resolver_socket() + "\n");
  policy::PodPolicy policy = PolicyFor("demo", "app", rootfs_, {"sleep", "1000"});
  policy.gpus.count = 1;
  policy.containers[0].gpus = 1;
  policy.containers[0].args = {"sh", "-c", "ls /run/ccgpu /run/ccgpu/lib; env"};
  std::string missing = rig_->MakeBundle("pod3a", rig_->SandboxSpec("pod3a", "demo", AnnotationFor(policy)));
  EXPECT_EQ(Create("pod3a", missing, false).error().code, "gpu.resolver-unreachable");
  rig_->ServeResolver("app", {});
  std::string unbound = rig_->MakeBundle("pod3b", rig_->SandboxSpec("pod3b", "demo", AnnotationFor(policy)));
  EXPECT_EQ(Create("pod3b", unbound, false).error().code, "gpu.not-bound");
  EXPECT_THAT(rig_->Leftovers({"pod3a", "pod3b"}), IsEmpty());

  std::string uuid = Machine::Get().gpu_uuids().at(0);
  rig_->ServeResolver("app", {uuid});
  Status made = MakePod("pod3", policy);
  ASSERT_TRUE(made.ok()) << made.error().ToString();
  std::string second = rig_->MakeBundle("pod3c", rig_->SandboxSpec("pod3c", "demo", AnnotationFor(policy)));
  EXPECT_EQ(Create("pod3c", second, false).error().code, "gpu.already-locked");

  std::string bundle = rig_->MakeBundle(
      "app3", rig_->PodContainerSpec("app3", "pod3", "demo", "app", rootfs_, policy.containers[0].args));
  auto created = Create("app3", bundle);
  ASSERT_TRUE(created.ok()) << created.error().ToString();
  ASSERT_TRUE(StartTask("app3", bundle).ok());
  EXPECT_EQ(Wait("app3", bundle), 0u);
  std::string output = Output(60);
  EXPECT_THAT(output, HasSubstr("driver.sock"));
  EXPECT_THAT(output, HasSubstr("libcuda.so.1"));
  EXPECT_THAT(output, HasSubstr("LD_LIBRARY_PATH=/run/ccgpu/lib"));
  EndPod("pod3", "app3");
  // Scrubbed and free when the sandbox has ended: the next pod gets it.
  ASSERT_TRUE(MakePod("pod3d", policy).ok());
  EndPod("pod3d");
}

TEST_F(ShimTest, RefusesPodsWithoutPolicyWhereOneIsRequiredAndBadInitdataEverywhere) {
  std::string bad = rig_->MakeBundle("pod4a", rig_->SandboxSpec("pod4a", "demo", "!!!"));
  EXPECT_EQ(Create("pod4a", bad, false).error().code, "initdata.bad-base64");
  std::string not_gzip = rig_->MakeBundle("pod4b", rig_->SandboxSpec("pod4b", "demo", "aGVsbG8="));
  EXPECT_THAT(Create("pod4b", not_gzip, false).error().code, testing::StartsWith("initdata."));
  rig_->WriteConfig("require_policy: true\n");
  std::string none = rig_->MakeBundle("pod4c", rig_->SandboxSpec("pod4c", "demo", ""));
  EXPECT_EQ(Create("pod4c", none, false).error().code, "policy.missing");
  EXPECT_THAT(rig_->PodEvents("pod4c").back()["code"], "policy.missing");
  EXPECT_THAT(rig_->Leftovers({"pod4a", "pod4b", "pod4c"}), IsEmpty());
}

TEST_F(ShimTest, AWrongConfigurationFailsStartWithOneLineAndNoDaemon) {
  rig_->WriteConfig("platform_sockett: /x\n");
  std::string bundle = rig_->MakeBundle("five", rig_->ContainerSpec("five", rootfs_, {"true"}));
  RunResult result = rig_->Start("five", bundle);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.output, HasSubstr("shim.yaml:4:1: no such key: platform_sockett"));
  EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1);
  EXPECT_FALSE(Exists(bundle + "/address"));
}

TEST_F(ShimTest, AShimThatIsKilledLeavesNothingAfterDelete) {
  policy::PodPolicy policy = PolicyFor("demo", "app", rootfs_, {"sleep", "1000"});
  ASSERT_TRUE(MakePod("pod6", policy).ok());
  std::string bundle =
      rig_->MakeBundle("app6", rig_->PodContainerSpec("app6", "pod6", "demo", "app", rootfs_, {"sleep", "1000"}));
  ASSERT_TRUE(Create("app6", bundle).ok());
  ASSERT_TRUE(StartTask("app6", bundle).ok());
  ASSERT_EQ(Machine::Get().GuestsOf("pod6").empty(), false);
  Fd shim(static_cast<int>(::syscall(SYS_pidfd_open, rig_->ShimPid(bundle), 0)));
  ::kill(rig_->ShimPid(bundle), SIGKILL);
  pollfd gone{shim.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&gone, 1, 5000), 1);
  // containerd deletes all containers of the pod at once.
  std::thread other([&] { EXPECT_EQ(rig_->Delete("app6", bundle).status, 0); });
  RunResult result = rig_->Delete("pod6", pod_bundle_);
  other.join();
  EXPECT_EQ(result.status, 0);
  containerd::DeleteResponse response;
  ASSERT_TRUE(response.ParseFromString(result.output));
  EXPECT_EQ(response.exit_status(), 137u);
  EXPECT_EQ(rig_->Delete("pod6", pod_bundle_).status, 0) << "a second time as well";
  EXPECT_THAT(rig_->Leftovers({"pod6", "app6"}), IsEmpty());
  RunResult orphan = rig_->Start(
      "app6b",
      rig_->MakeBundle("app6b", rig_->PodContainerSpec("app6b", "pod6", "demo", "app", rootfs_, {"sleep", "1"})));
  EXPECT_EQ(orphan.status, 1) << "no second shim for a pod that is gone";
  EXPECT_THAT(orphan.output, HasSubstr("[sandbox.gone]"));
}

TEST_F(ShimTest, AGuestThatIsKilledEndsItsContainersAndTheShimSaysSo) {
  policy::PodPolicy policy = PolicyFor("demo", "app", rootfs_, {"sleep", "1000"});
  ASSERT_TRUE(MakePod("pod7", policy).ok());
  std::string bundle =
      rig_->MakeBundle("app7", rig_->PodContainerSpec("app7", "pod7", "demo", "app", rootfs_, {"sleep", "1000"}));
  ASSERT_TRUE(Create("app7", bundle).ok());
  ASSERT_TRUE(StartTask("app7", bundle).ok());
  auto guests = Machine::Get().GuestsOf("pod7");
  ASSERT_FALSE(guests.empty());
  ::kill(guests.front(), SIGKILL);
  EXPECT_EQ(Wait("app7", bundle), 137u);
  EXPECT_EQ(Wait("pod7", pod_bundle_), 137u);
  EXPECT_TRUE(DeleteTask("app7", bundle).ok());
  EXPECT_TRUE(DeleteTask("pod7", pod_bundle_).ok());
  Shutdown(pod_bundle_);
  EXPECT_THAT(rig_->Leftovers({"pod7", "app7"}), IsEmpty());
}

// A network namespace with a loopback, as CNI would make it; gone with the object.
class NetworkNamespace {
 public:
  NetworkNamespace() {
    thread_ = std::thread([this] {
      ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
      int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
      ifreq request{};
      std::strcpy(request.ifr_name, "lo");
      request.ifr_flags = IFF_UP | IFF_RUNNING;
      ::ioctl(socket, SIOCSIFFLAGS, &request);
      ::close(socket);
      path_.set_value("/proc/" + std::to_string(::getpid()) + "/task/" + std::to_string(::gettid()) + "/ns/net");
      end_.get_future().wait();
    });
    path = path_.get_future().get();
  }
  ~NetworkNamespace() {
    end_.set_value();
    thread_.join();
  }
  std::string path;

 private:
  std::promise<std::string> path_;
  std::promise<void> end_;
  std::thread thread_;
};

TEST_F(ShimTest, TheAgentAcceptsTheGpuFromInsideTheSandbox) {
  if (!Machine::has_agent()) GTEST_SKIP() << "SKIPPED: ccgpu-agent or the driver libraries are not built";
  NetworkNamespace network;
  std::string uuid = Machine::Get().gpu_uuids().at(0);
  rig_->WriteConfig("resolver_socket: " + rig_->resolver_socket() + "\n");
  rig_->ServeResolver("app", {uuid});
  policy::PodPolicy policy = PolicyFor("demo", "app", rootfs_, {"true"});
  policy.host_network = false;
  policy.gpus.count = 1;
  policy.containers[0].gpus = 1;
  Json spec = rig_->SandboxSpec("pod8", "demo",
                                AnnotationFor(policy, {{"aa.toml", kbs::WriteAaToml({"https://127.0.0.1:1", ""})},
                                                       {"ccgpu-trust.yaml", Machine::Get().TrustDocument()}}));
  spec["linux"]["namespaces"].push_back({{"type", "network"}, {"path", network.path}});
  pod_bundle_ = rig_->MakeBundle("pod8", spec);
  auto created = Create("pod8", pod_bundle_, false);
  ASSERT_TRUE(created.ok()) << created.error().ToString();
  ASSERT_TRUE(StartTask("pod8", pod_bundle_).ok());
  // The file grows by events; each new line is told by inotify.
  Fd notify(::inotify_init1(IN_CLOEXEC));
  ::inotify_add_watch(notify.get(), (rig_->dir() + "/pods/pod8/events.jsonl").c_str(), IN_MODIFY);
  std::string seen;
  auto accepted = [&] {
    seen.clear();
    for (const auto& event : rig_->PodEvents("pod8")) seen += event.dump() + "\n";
    return seen.find("attest.gpu-accepted") != std::string::npos;
  };
  for (bool done = accepted(); !done; done = accepted()) {
    pollfd ready{notify.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 20000), 1) << seen;
    char piece[4096];
    ASSERT_GT(::read(notify.get(), piece, sizeof piece), 0);
  }
  EXPECT_THAT(seen, HasSubstr("\"component\":\"ccgpu-agent\""));
  EndPod("pod8");
  EXPECT_THAT(rig_->Leftovers({"pod8"}), IsEmpty());
}

// A host that lies: it measures one document and hands in another.
TEST_F(ShimTest, AnotherDocumentThanTheMeasuredOneIsRefusedByTheGuest) {
  Config config;
  config.platform_socket = Machine::Get().platform_socket();
  config.guest_image = Machine::Get().dir() + "/image";
  ttrpc::Loop loop;
  std::thread thread([&] { loop.Run(); });
  std::string document = "version = \"0.1.0\"\nalgorithm = \"sha256\"\n[data]\n\"aa.toml\" = \"\"\n";
  auto create = [&](const std::string& measured, const std::string& handed_in) -> std::string {
    LaunchPlan plan;
    plan.sandbox_id = "liar" + std::to_string(handed_in.size());
    plan.host_data = Sha256(measured);
    plan.hostname = "liar";
    auto guest = Guest::Launch(config, plan, loop, {[](const auto&) {}, [](const auto&) {}, [](int) {}});
    if (!guest.ok()) return guest.error().ToString();
    v1::CreateSandboxRequest request;
    request.set_initdata(handed_in);
    ttrpc::Reply reply = (*guest)->Call("CreateSandbox", request, 20s);
    ttrpc::Reply second = (*guest)->Call("CreateSandbox", v1::CreateSandboxRequest(), 20s);
    EXPECT_EQ(second.error ? second.error->code : "", "sandbox.not-ready")
        << "one document, once: no second try without one";
    v1::CreateContainerRequest container;
    container.set_id("c");
    EXPECT_EQ((*guest)->Call("CreateContainer", container, 20s).error->code, "sandbox.not-ready");
    return reply.error ? reply.error->code : std::string("accepted");
  };
  EXPECT_EQ(create(document, document + " "), "initdata.digest-mismatch");
  EXPECT_EQ(create(document, document), "policy.missing") << "the right document gets past the digest";
  loop.Stop();
  thread.join();
}

}  // namespace
}  // namespace ccgpu::shim
