// The parts of a pod that need no runtime.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "node/pods/backoff.h"
#include "node/pods/cgroups.h"
#include "node/pods/change_waiter.h"
#include "node/pods/cri_config.h"
#include "node/pods/cri_log.h"
#include "node/pods/pod_events.h"
#include "node/pods/pod_record.h"
#include "node/pods/volumes.h"

namespace ccgpu::node {
namespace {

using ::testing::ElementsAre;

class PodsTest : public ::testing::Test {
 protected:
  void Append(const std::string& file, const std::string& text) { std::ofstream(dir_ / file, std::ios::app) << text; }
  const TempDir dir_;
};

TEST_F(PodsTest, LogLines) {
  auto line = ParseCriLogLine("2016-10-06T00:17:09.669794202Z stdout F log content 1");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->stream, "stdout");
  EXPECT_EQ(line->text, "log content 1");
  EXPECT_FALSE(line->partial);
  EXPECT_TRUE(ParseCriLogLine("t stderr P x")->partial);
  EXPECT_EQ(ParseCriLogLine("t stdout F")->text, "");
  EXPECT_EQ(ParseCriLogLine("t stdout F ")->text, "");
  for (const char* bad : {"", "t", "t stdout", "t stdin F x", "t stdout X x"})
    EXPECT_FALSE(ParseCriLogLine(bad)) << bad;
}

TEST_F(PodsTest, LogsGrowAndContinueInTheNextAttempt) {
  std::filesystem::create_directories(dir_ / "app");
  PodLogReader reader(dir_.path(), {"app", "silent"});
  std::vector<std::string> got;
  auto take = [&](const LogText& text) { got.push_back(text.container + "/" + text.stream + ":" + text.text); };
  EXPECT_FALSE(reader.Read(take));
  Append("app/0.log", "t stdout F one\nt stdout P half-\nt stderr F err\nt stdout F ");
  EXPECT_TRUE(reader.Read(take));
  Append("app/0.log", "done\nt stdout P tail");
  reader.Read(take);
  EXPECT_THAT(got, ElementsAre("app/stdout:one", "app/stderr:err", "app/stdout:half-done"));
  Append("app/0.log", "\n");
  Append("app/1.log", "t stdout F second\n");
  got.clear();
  reader.Flush(take);
  EXPECT_THAT(got, ElementsAre("app/stdout:tailsecond"));
}

TEST_F(PodsTest, EventsOfNodeAndSandbox) {
  {
    PodEvents events(dir_ / "own");
    events.FollowSandbox(dir_ / "sandbox");
    events.Add({"1", "ccgpu-node", "sandbox-started", "m", "s"});
    Append("sandbox",
           R"({"time":"2","component":"ccgpu-agent","code":"gpu.x","message":"\u00e9","subject":"g","extra":[1]})"
           "\n{\"code\":1}\nbroken\n{\"time\":\"3\"");
    EXPECT_TRUE(events.Pull());
    EXPECT_FALSE(events.Pull());
    ASSERT_EQ(events.all().size(), 4u);
    EXPECT_EQ(events.all()[1].message, "\u00e9");
    EXPECT_EQ(events.all()[2].code, "");
    EXPECT_EQ(events.all()[3].code, "node.bad-event");
  }
  PodEvents again(dir_ / "own");
  ASSERT_EQ(again.all().size(), 1u);
  EXPECT_EQ(again.all()[0].subject, "s");
}

TEST_F(PodsTest, TheRefusalBehindAFailure) {
  auto code = [](std::vector<PodEvent> events) {
    const PodEvent* found = FindRefusal(events);
    return found ? found->code : "none";
  };
  const PodEvent session{"", "ccgpu-guestd", "gpu.session", "", ""},
      accepted{"", "ccgpu-agent", "attest.gpu-accepted", "", ""},
      bad{"", "ccgpu-agent", "gpu.measurement-mismatch", "", ""}, later{"", "ccgpu-agent", "release.gpu-mode", "", ""},
      own{"", "ccgpu-node", "policy.x", "", ""}, noise{"", "ccgpu-guestd", "runc.failed", "", ""};
  EXPECT_EQ(code({}), "none");
  EXPECT_EQ(code({session, accepted, noise, own}), "none");
  EXPECT_EQ(code({session, bad, later}), "gpu.measurement-mismatch");
  EXPECT_EQ(code({bad, accepted}), "none");
  EXPECT_EQ(code({accepted, later}), "release.gpu-mode");
}

TEST_F(PodsTest, RecordsRoundTrip) {
  PodRecord record;
  record.uid = "u";
  record.manifest = "kind: Pod\n\xff";  // not UTF-8: replaced, never a crash
  record.sandbox_id = "s";
  record.outcome = PodOutcome::kRefused;
  record.finished = true;
  record.failure = Error::FromWire("policy.env", "containers[a]", "expected");
  record.containers = {{"a", "img", "id", true, "exited", 3, "Error", "m", 2, 1, 4}};
  auto read = RecordFromJson(RecordToJson(record), "r");
  ASSERT_TRUE(read.ok()) << read.error().ToString();
  EXPECT_EQ(read->outcome, PodOutcome::kRefused);
  EXPECT_EQ(read->failure.subject, "containers[a]");
  EXPECT_EQ(read->containers[0].attempt, 2u);
  EXPECT_EQ(read->containers[0].ends_in_a_row, 4u);
  for (const char* bad : {"", "{}", R"({"version":2})", R"({"version":1,"uid":3})"})
    EXPECT_FALSE(RecordFromJson(bad, "r").ok()) << bad;
}

TEST(Backoff, DoublesToFiveMinutesAndIsForgivenAfterTen) {
  using namespace std::chrono_literals;
  uint32_t ends = 0;
  std::vector<std::chrono::milliseconds> pauses;
  for (auto ran : {1s, 0s, 599s, 1s, 1s, 1s, 1s, 1s, 1s, 1s}) {
    ends = EndsInARow(ends, ran);
    pauses.push_back(Backoff(1s, ends));
  }
  EXPECT_THAT(pauses, ElementsAre(1s, 2s, 4s, 8s, 16s, 32s, 64s, 128s, 256s, 300s));
  EXPECT_EQ(Backoff(1s, EndsInARow(ends, 600s)), 1s);
  EXPECT_EQ(Backoff(1s, EndsInARow(ends, -1h)), 300s) << "a clock that was set back";
  EXPECT_EQ(Backoff(300s, 4'000'000'000), 300s);
}

TEST_F(PodsTest, CgroupsOfAPod) {
  // Plain folders stand in: the rules are about which ones.
  for (const char* path : {"/cg/memory/ccgpu/pod1/a", "/cg/cpu/ccgpu/pod1", "/cg/ccgpu/pod1", "/cg/memory/ccgpu/pod2"})
    std::filesystem::create_directories(dir_.path() + path);
  Append("cg/cpu/ccgpu/pod1/busy", "a process");
  RemoveCgroup("/ccgpu/pod1", dir_ / "cg");
  EXPECT_FALSE(Exists(dir_ / "cg/memory/ccgpu/pod1"));
  EXPECT_FALSE(Exists(dir_ / "cg/ccgpu/pod1"));
  EXPECT_TRUE(Exists(dir_ / "cg/cpu/ccgpu/pod1"));
  EXPECT_TRUE(Exists(dir_ / "cg/memory/ccgpu/pod2"));
  RemoveCgroup("/../..", dir_ / "cg");
  RemoveCgroup("", dir_ / "cg");
  EXPECT_TRUE(Exists(dir_ / "cg/memory/ccgpu/pod2"));
}

Volume HostVolume(const std::string& path, const std::string& type) {
  Volume volume;
  volume.name = "h";
  volume.kind = Volume::Kind::kHostPath;
  volume.host_path = path;
  volume.host_path_type = type;
  return volume;
}

TEST_F(PodsTest, Volumes) {
  PodSpec pod;
  Volume empty;
  empty.name = "e";
  pod.volumes = {empty, HostVolume(dir_ / "made", "DirectoryOrCreate"), HostVolume(dir_ / "file", "FileOrCreate")};
  pod.volumes[2].name = "f";
  const std::string volumes = dir_ / "volumes";
  auto prepared = PrepareVolumes(pod, volumes);
  ASSERT_TRUE(prepared.ok()) << prepared.error().ToString();
  EXPECT_EQ(std::filesystem::status(prepared->at("e")).permissions(), std::filesystem::perms::all);
  EXPECT_TRUE(PrepareVolumes(pod, volumes).ok());  // again
  // A link that the pod made inside its volume must not be followed when it is deleted.
  std::filesystem::create_symlink(dir_ / "made", prepared->at("e") + "/link");
  Append("made/precious", "x");
  ASSERT_TRUE(RemoveVolumes(volumes).ok());
  EXPECT_FALSE(Exists(volumes));
  EXPECT_TRUE(Exists(dir_ / "made/precious"));
  EXPECT_TRUE(RemoveVolumes(volumes).ok());
  for (const char* type : {"File", "Socket", "CharDevice", "BlockDevice"}) {
    pod.volumes = {HostVolume(dir_ / "made", type)};
    EXPECT_EQ(PrepareVolumes(pod, volumes).error().code, "node.bad-volume") << type;
  }
  pod.volumes = {HostVolume(dir_ / "nowhere", "")};
  EXPECT_EQ(PrepareVolumes(pod, volumes).error().code, "node.bad-volume");
}

TEST_F(PodsTest, VolumesInMemory) {
  if (::geteuid() != 0) GTEST_SKIP() << "MEMORY VOLUMES NOT TESTED: not root";
  PodSpec pod;
  Volume memory;
  memory.name = "m";
  memory.memory = true;
  memory.size_limit = 4096;
  pod.volumes = {memory};
  auto prepared = PrepareVolumes(pod, dir_ / "volumes");
  ASSERT_TRUE(prepared.ok()) << prepared.error().ToString();
  Append("volumes/m/x", std::string(8192, 'x'));
  EXPECT_LE(std::filesystem::file_size(dir_ / "volumes/m/x"), 4096u);
  EXPECT_TRUE(PrepareVolumes(pod, dir_ / "volumes").ok());  // does not mount twice
  ASSERT_TRUE(RemoveVolumes(dir_ / "volumes").ok());
  EXPECT_FALSE(Exists(dir_ / "volumes"));
}

TEST_F(PodsTest, WaiterWakesForFilesAndCalls) {
  ChangeWaiter waiter;
  waiter.Watch(dir_.path());
  auto timed = [&] {
    const auto start = std::chrono::steady_clock::now();
    waiter.Wait(std::chrono::seconds(5));
    return std::chrono::steady_clock::now() - start < std::chrono::seconds(4);
  };
  Append("x", "y");
  EXPECT_TRUE(timed());
  waiter.Wake();
  EXPECT_TRUE(timed());
}

TEST(CriConfig, SandboxSaysWhoItIs) {
  PodSpec pod;
  pod.name = "p";
  pod.pod_namespace = "n";
  pod.hostname = "h";
  pod.annotations = {{"io.katacontainers.config.hypervisor.cc_init_data", "x"}};
  pod.labels = {{"a", "b"}};
  const auto config = SandboxConfig(pod, {"uid", "/logs", "/ccgpu/poduid", 3});
  EXPECT_EQ(config.metadata().attempt(), 3u);
  EXPECT_EQ(config.labels().at("io.kubernetes.pod.uid"), "uid");
  EXPECT_EQ(config.labels().at("a"), "b");
  EXPECT_EQ(config.annotations().size(), 1u);
  EXPECT_EQ(config.hostname(), "h");
  EXPECT_EQ(config.linux().cgroup_parent(), "/ccgpu/poduid");
  EXPECT_EQ(config.linux().security_context().namespace_options().pid(), runtime::v1::CONTAINER);
  EXPECT_FALSE(config.has_dns_config());
  pod.host_network = true;
  EXPECT_EQ(SandboxConfig(pod, {}).hostname(), "");
}

TEST(CriConfig, ContainerTakesWhatThePluginAnswered) {
  PodSpec pod;
  pod.name = "p";
  pod.supplemental_groups = {7};
  ContainerSpec container;
  container.name = "c";
  container.image = "i";
  container.env = {{"A", "1", ""}, {"IP", "", "status.podIP"}};
  container.mounts = {{"v", "/v", true}};
  container.resources.cpu_limit_milli = 1500;
  container.resources.cpu_request_milli = 500;
  container.resources.memory_limit = container.resources.memory_request = 1 << 20;
  ContainerInputs inputs;
  inputs.attempt = 2;
  inputs.pod_ip = "10.0.0.9";
  inputs.volumes = {{"v", "/host/v"}};
  (*inputs.devices.mutable_envs())["CCGPU_VISIBLE_DEVICES"] = "GPU-1";
  (*inputs.devices.mutable_annotations())["cdi.k8s.io/ccgpu_GPU-1"] = "ccgpu.dev/cc-gpu=GPU-1";
  inputs.devices.add_cdi_devices()->set_name("ccgpu.dev/cc-gpu=GPU-1");
  auto* device = inputs.devices.add_devices();
  device->set_host_path("/dev/x");
  device->set_permissions("rw");
  const auto config = MakeContainerConfig(pod, {}, container, inputs);
  EXPECT_EQ(config.log_path(), "c/2.log");
  ASSERT_EQ(config.envs_size(), 3);
  EXPECT_EQ(config.envs(0).key(), "CCGPU_VISIBLE_DEVICES");
  EXPECT_EQ(config.envs(2).value(), "10.0.0.9");
  EXPECT_EQ(config.mounts(0).host_path(), "/host/v");
  EXPECT_TRUE(config.mounts(0).readonly());
  EXPECT_EQ(config.devices(0).host_path(), "/dev/x");
  EXPECT_EQ(config.cdi_devices(0).name(), "ccgpu.dev/cc-gpu=GPU-1");
  EXPECT_EQ(config.annotations().at("cdi.k8s.io/ccgpu_GPU-1"), "ccgpu.dev/cc-gpu=GPU-1");
  EXPECT_EQ(config.linux().resources().cpu_quota(), 150000);
  EXPECT_EQ(config.linux().resources().cpu_shares(), 512);
  EXPECT_FALSE(config.linux().security_context().no_new_privs());
  EXPECT_EQ(config.linux().security_context().seccomp().profile_type(), runtime::v1::SecurityProfile::Unconfined);
  EXPECT_GT(config.linux().security_context().masked_paths_size(), 5);
}

}  // namespace
}  // namespace ccgpu::node
