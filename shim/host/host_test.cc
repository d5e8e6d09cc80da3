#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/encoding.h"
#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "shim/host/actions.h"
#include "shim/host/bundle_state.h"
#include "shim/host/cdi.h"
#include "shim/host/config.h"
#include "shim/host/event_log.h"
#include "shim/host/flags.h"
#include "shim/host/process_state.h"
#include "shim/host/sha256.h"
#include "shim/host/task_options.h"

namespace ccgpu::shim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Flags, AsEveryContainerdWritesThem) {
  auto old = ParseFlags({"-namespace", "k8s.io", "-address", "/run/c.sock", "-publish-binary", "/usr/bin/containerd",
                         "-id", "x", "start"});
  ASSERT_TRUE(old.ok());
  EXPECT_EQ(old->ns, "k8s.io");
  EXPECT_EQ(old->action, "start");
  auto remove = ParseFlags({"-namespace=n", "--address=a", "-id", "x", "-bundle", "/b", "-debug", "delete"});
  ASSERT_TRUE(remove.ok());
  EXPECT_EQ(remove->bundle, "/b");
  EXPECT_TRUE(remove->debug);
  EXPECT_TRUE(ParseFlags({"-info"})->info);
  EXPECT_TRUE(ParseFlags({"-v"})->version);
  for (const auto& bad : std::vector<std::vector<std::string>>{{"-nope"}, {"-id"}, {"start", "delete"}, {"-debug=7"}})
    EXPECT_EQ(ParseFlags(bad).error().code, "shim.usage");
}

TEST(Config, ReadsFlatYamlAndJson) {
  auto config =
      ParseConfig("# a comment\nplatform_socket: /p  # why\nrequire_policy: true\ncdi_dirs: [/a, \"/b\"]\n", "f");
  ASSERT_TRUE(config.ok()) << config.error().ToString();
  EXPECT_EQ(config->platform_socket, "/p");
  EXPECT_TRUE(config->require_policy);
  EXPECT_THAT(config->cdi_dirs, ElementsAre("/a", "/b"));
  EXPECT_TRUE(ParseConfig(R"({"runc": "crun", "require_policy": false})", "f").ok());
  EXPECT_FALSE(ParseConfig("", "f")->require_policy);
}

TEST(Config, SaysWhereItIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"runc: runc\nruncc: x\n", "f:2:1: no such key: runcc"},
      {"runc: a\nrunc: b\n", "f:2:1"},
      {"platform_socket: run/p\n", "absolute"},
      {"require_policy: yes\n", "true or false"},
      {"log_format: xml\n", "text or json"},
      {"nonsense\n", "f:1:1"},
      {"a:\n  b: c\n", "f:2:1"},
      {"runc: [a]\n", "one value"},
      {"{\"runc\": 7}", "runc"},
  };
  for (const auto& [text, where] : cases) {
    auto config = ParseConfig(text, "f");
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_THAT(config.error().ToString(), HasSubstr(where));
  }
}

TEST(StartInput, AnyAndBootstrapParamsAreToldApart) {
  containerd::RuntimeOptions generic;
  generic.set_config_path("/etc/x");
  containerd::Any any;
  any.set_type_url("runtimeoptions.v1.Options");
  any.set_value(generic.SerializeAsString());
  EXPECT_EQ(ReadStartInput(any.SerializeAsString(), "id")->config_path, "/etc/x");
  containerd::BootstrapParams bootstrap;
  bootstrap.set_instance_id("id");
  *bootstrap.add_extensions()->mutable_value() = any;
  EXPECT_EQ(ReadStartInput(bootstrap.SerializeAsString(), "id")->config_path, "/etc/x");
  EXPECT_EQ(ReadStartInput("", "id")->config_path, "");
  any.set_type_url("types.example/" + any.type_url());
  EXPECT_EQ(ReadOptions(any)->config_path, "/etc/x") << "a prefix is tolerated";
  any.set_type_url("something.Else");
  EXPECT_EQ(ReadOptions(any).error().code, "shim.bad-options");
  EXPECT_EQ(ReadStartInput("\xff\xff\xff", "id").error().code, "shim.bad-options");
}

TEST(SocketPath, IsContainerdsOwnRule) {
  EXPECT_EQ(HexEncode(AsBytes(Sha256("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(SocketPath("/run/containerd/containerd.sock", "k8s.io", "pod"),
            "/run/containerd/s/" + HexEncode(AsBytes(Sha256("/run/containerd/containerd.sock/k8s.io/pod"))));
}

TEST(ProcessState, TheTableHoldsTheRulesThatCallersRelyOn) {
  using S = ProcessState;
  using C = ProcessCall;
  EXPECT_TRUE(Allows(S::kCreated, C::kStart));
  EXPECT_FALSE(Allows(S::kRunning, C::kStart));
  EXPECT_FALSE(Allows(S::kRunning, C::kDelete));
  EXPECT_TRUE(Allows(S::kStopped, C::kDelete));
  EXPECT_FALSE(Allows(S::kStopped, C::kExec));
  EXPECT_FALSE(Allows(S::kPaused, C::kExec));
  for (C call : {C::kStart, C::kSignal, C::kDelete, C::kPause, C::kResume, C::kExec})
    EXPECT_FALSE(Allows(S::kCreating, call));
}

class CdiTest : public testing::Test {
 protected:
  void WriteSpec() {
    (void)WriteFileAtomic(dir_ / "gpu.json", R"({"cdiVersion": "0.5.0", "kind": "ccgpu.dev/cc-gpu", "devices": [
      {"name": "GPU-a", "containerEdits": {"env": ["CCGPU_GPU_UUIDS=GPU-a"]}}, {"name": "1", "containerEdits": {"env": ["CCGPU_GPU_UUIDS=GPU-b"]}}]})");
    (void)WriteFileAtomic(dir_ / "broken.json", "{");
  }
  const TempDir dir_;
};

TEST_F(CdiTest, NamesAreResolvedInOrderWithoutDoubles) {
  WriteSpec();
  SpecFacts spec;
  spec.annotations["cdi.k8s.io/ccgpu_1"] = "ccgpu.dev/cc-gpu=GPU-a,ccgpu.dev/cc-gpu=1,vendor.com/net=eth0";
  spec.annotations["cdi.k8s.io/ccgpu_2"] = "ccgpu.dev/cc-gpu=GPU-a";
  EXPECT_THAT(*ContainerGpus(spec, {dir_.path()}), ElementsAre("GPU-a", "GPU-b"));
  SpecFacts by_variable;
  by_variable.ccgpu_env["CCGPU_VISIBLE_DEVICES"] = "GPU-a";
  EXPECT_THAT(*ContainerGpus(by_variable, {dir_.path()}), ElementsAre("GPU-a"));
  EXPECT_TRUE(ContainerGpus(SpecFacts(), {dir_.path()})->empty());
}

TEST_F(CdiTest, AnUnknownDeviceNamesTheFilesThatWereLookedFor) {
  SpecFacts spec;
  spec.annotations["cdi.k8s.io/x"] = "ccgpu.dev/cc-gpu=GPU-z";
  auto nothing = ContainerGpus(spec, {dir_.path()});
  EXPECT_EQ(nothing.error().code, "gpu.cdi-unresolvable");
  EXPECT_THAT(nothing.error().text, HasSubstr(dir_.path()));
  WriteSpec();
  EXPECT_THAT(ContainerGpus(spec, {dir_.path()}).error().text, HasSubstr(dir_ / "gpu.json"));
}

TEST(BundleState, ComesBackAndAnAbsentFileIsEmpty) {
  const TempDir bundle;
  const std::string& dir = bundle.path();
  EXPECT_EQ(ReadBundle(dir)->guest_pid, 0);
  BundleState state{"pod", "/cg", 12, 34, 56};
  ASSERT_TRUE(WriteBundle(dir, state).ok());
  EXPECT_EQ(ReadBundle(dir)->guest_start, 34u);
  EXPECT_EQ(ReadBundle(dir)->cgroups_path, "/cg");
  EXPECT_GT(ProcessStartTime(::getpid()), 0u);
  EXPECT_EQ(ProcessStartTime(0), 0u);
}

TEST(EventLog, SaysWhoseEventsTheseAre) {
  const TempDir folder;
  const std::string dir = folder / "events";
  EventLog log(dir, "sandbox-1");
  log.WritePod("demo", "team-a", "1234");
  log.Write("ccgpu-guestd", "policy.command", "not what the policy allows", "app");
  auto pod = ReadFile(dir + "/sandbox-1/pod.json");
  ASSERT_TRUE(pod.ok());
  EXPECT_EQ(*pod, "{\"name\":\"demo\",\"namespace\":\"team-a\",\"uid\":\"1234\"}\n");
  auto events = ReadFile(dir + "/sandbox-1/events.jsonl");
  ASSERT_TRUE(events.ok());
  EXPECT_NE(events->find("\"code\":\"policy.command\""), std::string::npos);
  // Neither a container without a pod nor a name that leaves the folder is written down.
  EventLog outside(dir, "../escape");
  outside.WritePod("demo", "team-a", "1234");
  EXPECT_FALSE(Exists(dir + "/../escape/pod.json"));
}

}  // namespace
}  // namespace ccgpu::shim
