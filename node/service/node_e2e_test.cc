// ccgpu-node with a real containerd and runc, and the real device plugin: pods as a user sees them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

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
std::string Manifest(const std::string& name, const std::string& script, const std::string& more = "", const std::string& spec = "  restartPolicy: Never\n") {
  return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name + "\nspec:\n" + spec + "  containers:\n  - name: app\n    image: localhost/lab/busybox:latest\n    command: [\"/bin/sh\", \"-c\", \"" +
         script + "\"]\n" + more;
}

std::string Gpus(int count) { return "    resources:\n      limits:\n        ccgpu.dev/cc-gpu: " + std::to_string(count) + "\n"; }

TEST_F(NodeTest, RunsAPodToItsEndAndLeavesNothing) {
  const auto run = lab_->Run(Manifest("hello", "echo out; echo err >&2; hostname; exit 0"));
  ASSERT_TRUE(run.status.ok()) << run.Describe();
  EXPECT_EQ(run.result.kind(), v1::PodResult::SUCCEEDED) << run.Describe();
  EXPECT_EQ(run.Log("app", "stdout"), "out\nhello") << run.Describe();
  EXPECT_EQ(run.Log("app", "stderr"), "err");
  EXPECT_EQ(run.result.exit_codes().at("app"), 0);
  for (const char* code : {"sandbox-started", "container-started", "container-exited", "finished"}) EXPECT_TRUE(run.HasEvent(code)) << code << run.Describe();
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, AFailingContainerFailsThePod) {
  const auto run = lab_->Run(Manifest("fails", "exit 7"));
  EXPECT_EQ(run.result.kind(), v1::PodResult::FAILED) << run.Describe();
  EXPECT_EQ(run.result.exit_codes().at("app"), 7);
  EXPECT_EQ(run.result.failure().code(), "node.container-failed");
  EXPECT_EQ(lab_->LeftOvers(), "");
}

TEST_F(NodeTest, GivesTheContainerItsGpus) {
  const auto run = lab_->Run(Manifest("gpu", "env", Gpus(1)));
  EXPECT_EQ(run.result.kind(), v1::PodResult::SUCCEEDED) << run.Describe();
  EXPECT_THAT(run.Log("app"), HasSubstr("CCGPU_VISIBLE_DEVICES=GPU-00000000-0000-0000-0000-000000000000"));
}

}  // namespace
}  // namespace ccgpu::node
