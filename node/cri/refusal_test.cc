#include "node/cri/refusal.h"

#include <gtest/gtest.h>

namespace ccgpu::node {
namespace {

std::string Found(std::string_view message) {
  auto error = FindReason(message);
  return error ? error->code + "|" + error->subject + "|" + error->text : "none";
}

TEST(Refusal, FindsTheReasonInWhatContainerdSays) {
  const std::string plain = "containers[app].args[1]: expected \"a\", found \"b\" [policy.command]";
  const std::string parsed = "policy.command|containers[app].args[1]|expected \"a\", found \"b\"";
  EXPECT_EQ(Found(plain), parsed);
  EXPECT_EQ(Found("failed to create containerd task: failed to create shim task: " + plain + ": unknown"), parsed);
  EXPECT_EQ(
      Found("rpc error: code = Unknown desc = failed to create containerd task: failed to create shim task: " + plain),
      parsed);
  EXPECT_EQ(Found("failed to start sandbox container task \"abc123\": " + plain), parsed);
  EXPECT_EQ(Found("failed to start containerd task \"abc123\": " + plain + ": unknown"), parsed);
  EXPECT_EQ(Found("failed to exec in container: failed to start exec \"e1\": " + plain), parsed);
}

TEST(Refusal, SubjectsInPieces) {
  EXPECT_EQ(Found("ccgpu-policy.yaml:3:5: spec.gpus: is wrong: really [policy.bad]"),
            "policy.bad|ccgpu-policy.yaml:3:5: spec.gpus|is wrong: really");
  EXPECT_EQ(Found("no subject here [gpu.not-bound]"), "gpu.not-bound||no subject here");
}

TEST(Refusal, TakesTheLastCodeAndNothingThatOnlyLooksLikeOne) {
  EXPECT_EQ(Found("a: [x.y] b [gpu.mode] tail"), "gpu.mode|a|[x.y] b");
  for (const char* none :
       {"", "nothing", "[]", "[policy]", "[Policy.x]", "[policy.]", "[.x]", "[a..b]", "x]", "[-a.b]", "[a b.c]", "]["})
    EXPECT_EQ(Found(none), "none") << none;
}

TEST(Refusal, DecisionsAreNotBreakdowns) {
  for (const char* code : {"policy.command", "gpu.nonce-mismatch", "attest.refused", "initdata.digest-mismatch",
                           "release.gpu-mode", "broker.refused", "snp.tcb-too-old", "tdx.tcb-status"})
    EXPECT_TRUE(IsRefusal(code)) << code;
  for (const char* code :
       {"cri.call-failed", "shim.failed", "runc.failed", "broker.unreachable", "node.container-failed", "policyx", ""})
    EXPECT_FALSE(IsRefusal(code)) << code;
}

}  // namespace
}  // namespace ccgpu::node
