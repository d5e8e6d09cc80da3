// CheckExec and CheckSandbox against what a real containerd wrote, and against ways to change it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trust/policy/test_pod.h"

namespace ccgpu::policy {
namespace {

using test::Dump;
using test::Policy;
using test::Without;
using test::Words;

TEST(CheckExec, OnlyListedCommandsInTheContainersOwnSetting) {
  Json process = Dump("plain")["process"];
  process["args"] = {"cat", "/proc/1/status"};
  EXPECT_EQ(Words(CheckExec(Policy(), "plain", process.dump())), "allowed");
  process["terminal"] = true;
  process["env"].push_back("TERM=xterm");
  EXPECT_EQ(Words(CheckExec(Policy(), "plain", process.dump())), "allowed");
  process["env"].push_back("LD_PRELOAD=/x");
  EXPECT_EQ(CheckExec(Policy(), "plain", process.dump()).error().code, "policy.env");
  process = Dump("plain")["process"];
  process["args"] = {"sh"};
  const Status status = CheckExec(Policy(), "plain", process.dump());
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, "policy.exec");
  EXPECT_EQ(status.error().subject, "containers[plain].allowedExec");
  process["args"] = {"cat", "/proc/1/status", "x"};
  EXPECT_EQ(CheckExec(Policy(), "plain", process.dump()).error().code, "policy.exec");
  process["args"] = {"cat", "/proc/1/status"};
  process["user"]["uid"] = 5;
  EXPECT_EQ(CheckExec(Policy(), "plain", process.dump()).error().code, "policy.user");
  process = Dump("plain")["process"];
  process["args"] = {"cat", "/proc/1/status"};
  process["capabilities"]["effective"].push_back("CAP_SYS_ADMIN");
  EXPECT_EQ(CheckExec(Policy(), "plain", process.dump()).error().code, "policy.capability");
  EXPECT_EQ(CheckExec(Policy(), "nobody", process.dump()).error().code, "policy.container");
  EXPECT_EQ(CheckExec(Policy(), "plain", "{").error().code, "policy.bad-spec");
}

TEST(CheckSandbox, AllowsWhatContainerdWrites) {
  EXPECT_EQ(Words(CheckSandbox(Policy(), Dump("sandbox").dump(), {})), "allowed");
}

TEST(CheckSandbox, Gpus) {
  PodPolicy pod = Policy();
  pod.gpus.count = 1;
  EXPECT_EQ(CheckSandbox(pod, "", {}).error().code, "gpu.not-bound");
  EXPECT_EQ(Words(CheckSandbox(pod, "", {{"GPU-1", "hopper-cc"}})), "allowed");
  EXPECT_EQ(Words(CheckSandbox(pod, "", {{"GPU-1", ""}})), "allowed");
  EXPECT_EQ(CheckSandbox(pod, "", {{"GPU-1", "off"}}).error().code, "policy.gpu-mode");
  EXPECT_EQ(CheckSandbox(pod, "", {{"GPU-1", "devtools"}}).error().code, "policy.gpu-mode");
  EXPECT_EQ(CheckSandbox(pod, "", {{"GPU-1", "hopper-cc"}, {"GPU-2", "hopper-cc"}}).error().code, "policy.gpu-count");
  EXPECT_EQ(CheckSandbox(Policy(), "", {{"GPU-1", "hopper-cc"}}).error().code, "policy.gpu-count");
}

TEST(CheckSandbox, RefusesEachChange) {
  const auto code = [](const std::function<void(Json&)>& edit) {
    Json spec = Dump("sandbox");
    edit(spec);
    const Status status = CheckSandbox(Policy(), spec.dump(), {});
    return status.ok() ? std::string("allowed") : status.error().code;
  };
  EXPECT_EQ(code([](Json& s) { s["hostname"] = "x"; }), "policy.hostname");
  EXPECT_EQ(code([](Json& s) { s["linux"]["sysctl"] = {{"net.ipv4.ip_forward", "1"}}; }), "policy.sysctl");
  EXPECT_EQ(code([](Json& s) { s["hooks"]["poststop"] = {{{"path", "/x"}}}; }), "policy.hook");
  EXPECT_EQ(code([](Json& s) { s["annotations"]["io.kubernetes.cri.sandbox-namespace"] = "kube-system"; }),
            "policy.annotation");
  EXPECT_EQ(code([](Json& s) { Without(s["linux"]["namespaces"], "type", "network"); }), "policy.namespace");
  EXPECT_EQ(code([](Json& s) { Without(s["linux"]["namespaces"], "type", "pid"); }), "policy.namespace");
  EXPECT_EQ(code([](Json& s) { Without(s["linux"]["namespaces"], "type", "uts"); }), "policy.namespace");
  EXPECT_EQ(code([](Json& s) { s["linux"]["mountLabel"] = "x"; }), "policy.security-label");
  EXPECT_EQ(code([](Json& s) { s["linux"]["devices"] = {{{"path", "/dev/kvm"}}}; }), "policy.device");
  EXPECT_EQ(code([](Json& s) { s["windows"] = {{"x", 1}}; }), "policy.unknown-field");
  EXPECT_EQ(CheckSandbox(Policy(), "nonsense", {}).error().code, "policy.bad-spec");
  PodPolicy pod = Policy();
  pod.sysctls = {{"net.core.somaxconn", "1024"}};
  EXPECT_EQ(CheckSandbox(pod, Dump("sandbox").dump(), {}).error().code, "policy.sysctl");
}

}  // namespace
}  // namespace ccgpu::policy
