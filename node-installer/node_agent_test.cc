// The DaemonSet's program between a machine and a cluster, round by round.
#include "node-installer/node_agent.h"

#include <gtest/gtest.h>
#include <sys/file.h>

#include "node-installer/test_machine.h"

namespace ccgpu::installer {
namespace {

namespace fs = std::filesystem;

class FakeCluster final : public Cluster {
 public:
  Result<bool> UninstallWanted() override {
    if (!reachable) return Err("kube.unavailable", "daemonsets", "no connection");
    return uninstall;
  }
  Result<bool> NodeEnabled() override {
    if (!reachable) return Err("kube.unavailable", "nodes", "no connection");
    return enabled;
  }
  Status Label(const std::optional<std::string>& installed, bool ready) override {
    if (!reachable) return Err("kube.unavailable", "nodes", "no connection");
    labels = installed.value_or("none") + (ready ? " ready" : "");
    history += labels + "; ";
    return Ok();
  }
  bool reachable = true, uninstall = false, enabled = true;
  std::string labels = "untouched", history;
};

class NodeAgentTest : public ::testing::Test {
 protected:
  void Rounds(int count) {
    for (int i = 0; i < count; ++i) agent.Round();
  }
  bool Has(const std::string& line) const { return agent.Metrics().find(line + "\n") != std::string::npos; }

  test::Machine machine{"1.6.20", test::Machine::kDebianConfig};
  const std::map<std::string, std::string> before = machine.Tree();
  HostFiles files = HostFiles::Open(machine.root()).value();
  Installer installer{files, machine.runtime, machine.options};
  FakeCluster cluster;
  NodeAgent agent{installer, cluster, "1.0.0"};
};

TEST_F(NodeAgentTest, InstallsLabelsAndKeepsIt) {
  EXPECT_FALSE(agent.Ready());
  Rounds(1);
  EXPECT_TRUE(agent.Ready());
  EXPECT_EQ(cluster.labels, "1.0.0 ready");
  EXPECT_TRUE(Has("ccgpu_node_installer_installed 1"));
  EXPECT_TRUE(Has("ccgpu_node_installer_info{version=\"1.0.0\"} 1"));
  EXPECT_TRUE(Has("ccgpu_node_installer_containerd_restarts_total 1"));
  machine.Write("/opt/ccgpu/guest/agent", "another agent");
  Rounds(NodeAgent::kCheckRounds + 1);
  EXPECT_EQ(machine.Read("/opt/ccgpu/guest/agent"), "agent 1");
  EXPECT_EQ(machine.runtime.restarts, 1);
  EXPECT_EQ(cluster.history, "1.0.0 ready; ") << "labels that do not change are not sent";
}

TEST_F(NodeAgentTest, TheAnnotationTakesEverythingBackAndItsEndBringsItAgain) {
  Rounds(1);
  cluster.uninstall = true;
  Rounds(3);
  EXPECT_EQ(test::Difference(machine.Tree(), before), "");
  EXPECT_EQ(cluster.history, "1.0.0 ready; 1.0.0; none; ");
  EXPECT_FALSE(agent.Ready());
  EXPECT_EQ(machine.runtime.restarts, 2);
  cluster.uninstall = false;
  Rounds(1);
  EXPECT_TRUE(agent.Ready());
  EXPECT_EQ(cluster.labels, "1.0.0 ready");
}

TEST_F(NodeAgentTest, AnInstallerThatStartsAnewUnderTheAnnotationOnlyTakesBack) {
  Rounds(1);
  NodeAgent next{installer, cluster, "1.0.0"};
  cluster.uninstall = true;
  next.Round();
  EXPECT_EQ(test::Difference(machine.Tree(), before), "");
  EXPECT_EQ(cluster.labels, "none");
}

TEST_F(NodeAgentTest, RunningPodsHoldTheRemovalUpButNoNewOnesCome) {
  Rounds(1);
  machine.runtime.pods = {"default/one"};
  cluster.uninstall = true;
  Rounds(2);
  EXPECT_EQ(cluster.labels, "1.0.0") << "installed, no longer ready";
  EXPECT_TRUE(Has("ccgpu_node_installer_failures_total{code=\"installer.pods-running\"} 2"));
  machine.runtime.pods.clear();
  Rounds(1);
  EXPECT_EQ(cluster.labels, "none");
  EXPECT_EQ(test::Difference(machine.Tree(), before), "");
}

TEST_F(NodeAgentTest, EndsAsTheNodesLabelSays) {
  Rounds(1);
  EXPECT_TRUE(agent.End());
  EXPECT_EQ(cluster.labels, "1.0.0 ready") << "an upgrade keeps everything";
  cluster.reachable = false;
  EXPECT_TRUE(agent.End());
  EXPECT_TRUE(machine.Exists("/opt/ccgpu/installed.json")) << "nobody said that it is to go";
  cluster.reachable = true;
  cluster.enabled = false;
  machine.runtime.pods = {"default/one"};
  EXPECT_FALSE(agent.End());
  EXPECT_EQ(cluster.labels, "1.0.0");
  machine.runtime.pods.clear();
  EXPECT_TRUE(agent.End());
  EXPECT_EQ(cluster.labels, "none");
  EXPECT_EQ(test::Difference(machine.Tree(), before), "");
}

// What the other DaemonSets' pods keep goes with the rest, when they have ended.
TEST_F(NodeAgentTest, StateGoesAfterItsOwners) {
  const auto keep = [&] {
    machine.Write("/run/ccgpu/emulator.lock", "");
    machine.Write("/run/ccgpu/pods/abc/events.jsonl", "{}");
    machine.Write("/var/lib/ccgpu/emulator/vendor/device-root.key", "key");
    machine.Write("/run/cdi/ccgpu.dev-cc-gpu.json", "{}");
    machine.Write("/run/cdi/other.json", "{}");
    fs::create_directory_symlink("/etc", machine.Path("/run/ccgpu/link"));
  };
  fs::create_directory_symlink("/run", machine.Path("/var/run"));
  Rounds(1);
  keep();
  EXPECT_TRUE(agent.End());
  EXPECT_TRUE(machine.Exists("/run/ccgpu/emulator.lock")) << "an upgrade keeps it";
  cluster.uninstall = true;
  Rounds(1);
  EXPECT_TRUE(machine.Exists("/run/ccgpu/emulator.lock")) << "its owners still run";
  {
    const Fd emulator(::open(machine.Path("/run/ccgpu/emulator.lock").c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::flock(emulator.get(), LOCK_EX), 0);
    EXPECT_FALSE(agent.End());
    EXPECT_TRUE(machine.Exists("/var/lib/ccgpu/emulator/vendor/device-root.key"));
    EXPECT_TRUE(Has("ccgpu_node_installer_failures_total{code=\"installer.state-in-use\"} 1"));
  }
  EXPECT_TRUE(agent.End());
  for (const char* gone : {"/run/ccgpu", "/var/lib/ccgpu", "/run/cdi/ccgpu.dev-cc-gpu.json"})
    EXPECT_FALSE(machine.Exists(gone)) << gone;
  EXPECT_TRUE(machine.Exists("/run/cdi/other.json"));
  EXPECT_TRUE(machine.Exists("/etc/containerd/config.toml")) << "links are not followed";
}

TEST_F(NodeAgentTest, WithoutTheApiTheNodeIsInstalledAndLabelledLater) {
  cluster.reachable = false;
  Rounds(3);
  EXPECT_TRUE(agent.Ready());
  EXPECT_EQ(cluster.labels, "untouched");
  EXPECT_TRUE(Has("ccgpu_node_installer_failures_total{code=\"kube.unavailable\"} 1")) << "said once, not each round";
  cluster.reachable = true;
  Rounds(1);
  EXPECT_EQ(cluster.labels, "1.0.0 ready");
}

TEST_F(NodeAgentTest, AContainerdThatRefusesTheHandlerIsNotRestartedAgainAndAgain) {
  machine.runtime.refuse_handler = true;
  Rounds(1000);
  EXPECT_EQ(machine.runtime.restarts, 2) << "with the handler, and back";
  EXPECT_FALSE(agent.Ready());
  EXPECT_EQ(cluster.labels, "none");
  EXPECT_TRUE(Has("ccgpu_node_installer_failures_total{code=\"installer.restart-failed\"} 1"));
  // Whoever repaired it starts the program anew.
  machine.runtime.refuse_handler = false;
  NodeAgent next{installer, cluster, "1.0.0"};
  next.Round();
  EXPECT_EQ(cluster.labels, "1.0.0 ready");
}

TEST_F(NodeAgentTest, OtherFailuresAreTriedAgainLaterAndLater) {
  machine.Write("/etc/ccgpu/shim.yaml", "somebody else's");
  Rounds(1000);
  EXPECT_EQ(cluster.labels, "none");
  const std::string text = agent.Metrics();
  const std::string name = "ccgpu_node_installer_failures_total{code=\"installer.foreign-file\"} ";
  const int tries = std::stoi(text.substr(text.find(name) + name.size()));
  EXPECT_GE(tries, 10);
  EXPECT_LE(tries, 20);
  fs::remove(machine.Path("/etc/ccgpu/shim.yaml"));
  Rounds(NodeAgent::kMaxPauseRounds + 1);
  EXPECT_EQ(cluster.labels, "1.0.0 ready");
}

TEST_F(NodeAgentTest, ANodeThatBreaksIsNoLongerReady) {
  Rounds(1);
  machine.Write("/etc/containerd/config.toml", "version = ");
  Rounds(NodeAgent::kCheckRounds + 1);
  EXPECT_EQ(cluster.labels, "1.0.0");
  EXPECT_FALSE(agent.Ready());
  machine.Write("/etc/containerd/config.toml", test::Machine::kDebianConfig);
  Rounds(5);
  EXPECT_EQ(cluster.labels, "1.0.0 ready");
}

}  // namespace
}  // namespace ccgpu::installer
