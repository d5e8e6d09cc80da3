// The installer on machines that are folders, with a containerd that reads the configuration as the real ones do.
#include "node-installer/installer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>
#include <map>

#include "base/file.h"
#include "node-installer/test_machine.h"

namespace ccgpu::installer {
namespace {

namespace fs = std::filesystem;
using test::Machine;

TEST(InstallerTest, InstallsAndRestartsOnce) {
  Machine machine("1.6.20", Machine::kDebianConfig);
  auto report = machine.Install();
  ASSERT_TRUE(report.ok()) << report.error().ToString();
  EXPECT_TRUE(report->restarted);
  EXPECT_EQ(machine.runtime.restarts, 1);
  EXPECT_EQ(machine.Read("/opt/ccgpu/bin/containerd-shim-ccgpu-v2"), "shim 1");
  EXPECT_EQ(machine.Mode("/opt/ccgpu/bin/containerd-shim-ccgpu-v2"), 0755u);
  EXPECT_EQ(machine.Mode("/opt/ccgpu/lib/libc.so.6"), 0644u);
  EXPECT_EQ(fs::read_symlink(machine.Path("/usr/local/bin/containerd-shim-ccgpu-v2")),
            "/opt/ccgpu/bin/containerd-shim-ccgpu-v2");
  EXPECT_NE(machine.Read("/etc/ccgpu/shim.yaml").find("require_policy: true"), std::string::npos);
  EXPECT_EQ(machine.Read("/etc/containerd/config.toml.ccgpu-backup"), Machine::kDebianConfig);
  // Nothing is left to do.
  const auto before = machine.Tree();
  report = machine.Install();
  ASSERT_TRUE(report.ok()) << report.error().ToString();
  EXPECT_FALSE(report->restarted);
  EXPECT_EQ(machine.runtime.restarts, 1);
  EXPECT_EQ(test::Difference(machine.Tree(), before), "");
}

TEST(InstallerTest, UninstallPutsBackEveryByteOfEveryConfiguration) {
  for (const auto& [name, version, config] : test::Configs()) {
    SCOPED_TRACE(name);
    Machine machine(version, config);
    const auto before = machine.Tree();
    auto report = machine.Install();
    ASSERT_TRUE(report.ok()) << report.error().ToString();
    EXPECT_NE(test::Difference(machine.Tree(), before), "");
    EXPECT_TRUE(machine.runtime.Facts()->knows_handler);
    auto gone = machine.Uninstall();
    ASSERT_TRUE(gone.ok()) << gone.error().ToString();
    EXPECT_EQ(gone->note, "");
    EXPECT_EQ(test::Difference(machine.Tree(), before), "");
    EXPECT_EQ(machine.runtime.restarts, 2);
    EXPECT_FALSE(machine.runtime.Facts()->knows_handler);
    // Nothing is there, so nothing is to be done.
    ASSERT_TRUE(machine.Uninstall().ok());
    EXPECT_EQ(machine.runtime.restarts, 2);
    EXPECT_EQ(test::Difference(machine.Tree(), before), "");
  }
}

TEST(InstallerTest, UpgradesKeepWhatRunningProgramsRunFrom) {
  Machine machine("1.6.20", Machine::kDebianConfig);
  const auto before = machine.Tree();
  ASSERT_TRUE(machine.Install().ok());
  const Fd running(::open(machine.Path("/opt/ccgpu/bin/containerd-shim-ccgpu-v2").c_str(), O_RDONLY | O_CLOEXEC));
  machine.Payload("bin/containerd-shim-ccgpu-v2", "shim 2");
  machine.RemovePayload("lib/libc.so.6");
  machine.Payload("lib/libnew.so.1", "new");
  machine.options.version = "2.0.0";
  auto report = machine.Install();
  ASSERT_TRUE(report.ok()) << report.error().ToString();
  EXPECT_EQ(report->version, "2.0.0");
  EXPECT_FALSE(report->restarted) << "pods and containerd are none of an upgrade's business";
  char old[16] = "";
  ASSERT_EQ(::read(running.get(), old, sizeof old), 6);
  EXPECT_STREQ(old, "shim 1");
  EXPECT_EQ(machine.Read("/opt/ccgpu/bin/containerd-shim-ccgpu-v2"), "shim 2");
  EXPECT_FALSE(machine.Exists("/opt/ccgpu/lib/libc.so.6"));
  EXPECT_EQ(machine.Read("/opt/ccgpu/lib/libnew.so.1"), "new");
  ASSERT_TRUE(machine.Uninstall().ok());
  EXPECT_EQ(test::Difference(machine.Tree(), before), "");
}

// Killed before each single change, then once more installed or uninstalled: as if nothing had happened.
TEST(InstallerTest, EveryStepMayBeTheLast) {
  const std::set<std::string> chosen = {"Debian's", "none on 1.x", "no line end", "imports on 2.x"};
  for (const auto& [name, version, config] : test::Configs()) {
    if (!chosen.contains(name)) continue;
    SCOPED_TRACE(name);
    Machine reference(version, config);
    const auto before = reference.Tree();
    ASSERT_TRUE(reference.Install().ok());
    const auto installed = reference.Tree();
    const int install_steps = reference.steps;
    reference.steps = 0;
    ASSERT_TRUE(reference.Uninstall().ok());
    const int uninstall_steps = reference.steps;
    ASSERT_GT(install_steps, 10);
    ASSERT_GT(uninstall_steps, 8);
    for (int step = 1; step <= install_steps; ++step) {
      SCOPED_TRACE("killed in the installation before step " + std::to_string(step));
      Machine forward(version, config), back(version, config);
      for (Machine* machine : {&forward, &back}) machine->Killed(step, [&] { (void)machine->Install(); });
      auto report = forward.Install();
      ASSERT_TRUE(report.ok()) << report.error().ToString();
      EXPECT_EQ(test::Difference(forward.Tree(), installed), "");
      EXPECT_TRUE(forward.runtime.Facts()->knows_handler);
      auto gone = back.Uninstall();
      ASSERT_TRUE(gone.ok()) << gone.error().ToString();
      EXPECT_EQ(test::Difference(back.Tree(), before), "");
      EXPECT_FALSE(back.runtime.Facts()->knows_handler);
    }
    for (int step = 1; step <= uninstall_steps; ++step) {
      SCOPED_TRACE("killed in the removal before step " + std::to_string(step));
      Machine forward(version, config), back(version, config);
      for (Machine* machine : {&forward, &back}) {
        ASSERT_TRUE(machine->Install().ok());
        machine->Killed(step, [&] { (void)machine->Uninstall(); });
      }
      ASSERT_TRUE(back.Uninstall().ok());
      EXPECT_EQ(test::Difference(back.Tree(), before), "");
      EXPECT_FALSE(back.runtime.Facts()->knows_handler);
      auto report = forward.Install();
      ASSERT_TRUE(report.ok()) << report.error().ToString();
      EXPECT_EQ(test::Difference(forward.Tree(), installed), "");
      EXPECT_TRUE(forward.runtime.Facts()->knows_handler);
    }
  }
}

// A kill in the middle of a write leaves the beginning of the new file beside the old one.
TEST(InstallerTest, HalfWrittenFilesGoToo) {
  Machine machine("1.6.20", Machine::kDebianConfig);
  const auto before = machine.Tree();
  ASSERT_TRUE(machine.Install().ok());
  const auto half = [&] {
    for (const char* file : {"/opt/ccgpu/.installed.json.ccgpu-new", "/etc/containerd/.config.toml.ccgpu-new",
                             "/etc/containerd/.config.toml.ccgpu-backup.ccgpu-new", "/etc/ccgpu/.shim.yaml.ccgpu-new",
                             "/usr/local/bin/.containerd-shim-ccgpu-v2.ccgpu-new", "/opt/ccgpu/guest/.agent.ccgpu-new"})
      machine.Write(file, "half a fi");
  };
  half();
  ASSERT_TRUE(machine.Uninstall().ok());
  EXPECT_EQ(test::Difference(machine.Tree(), before), "");
  // Of the very first write of all.
  machine.Write("/opt/ccgpu/.installed.json.ccgpu-new", "half a fi");
  ASSERT_TRUE(machine.Uninstall().ok());
  EXPECT_EQ(test::Difference(machine.Tree(), before), "");
}

TEST(InstallerTest, AContainerdThatDoesNotComeBackGetsItsOldConfiguration) {
  for (const auto& [name, version, config] : test::Configs()) {
    SCOPED_TRACE(name);
    Machine machine(version, config);
    const auto before = machine.Tree();
    machine.runtime.refuse_handler = true;
    auto report = machine.Install();
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().code, "installer.restart-failed");
    EXPECT_NE(report.error().text.find("the log's last line"), std::string::npos) << report.error().text;
    EXPECT_TRUE(machine.runtime.running);
    EXPECT_EQ(machine.runtime.restarts, 2);
    machine.runtime.refuse_handler = false;
    ASSERT_TRUE(machine.Uninstall().ok());
    EXPECT_EQ(test::Difference(machine.Tree(), before), "");
    EXPECT_EQ(machine.runtime.restarts, 2) << "it never had the handler";
  }
}

TEST(InstallerTest, EditsInBetweenStay) {
  Machine machine("1.6.20", Machine::kDebianConfig);
  ASSERT_TRUE(machine.Install().ok());
  const std::string file = "/etc/containerd/config.toml";
  machine.Write(file, "# theirs\n" + machine.Read(file) + "\n[metrics]\n  address = \"127.0.0.1:1338\"\n");
  auto again = machine.Install();
  ASSERT_TRUE(again.ok()) << again.error().ToString();
  EXPECT_FALSE(again->restarted);
  auto gone = machine.Uninstall();
  ASSERT_TRUE(gone.ok()) << gone.error().ToString();
  EXPECT_EQ(machine.Read(file),
            std::string("# theirs\n") + Machine::kDebianConfig + "\n[metrics]\n  address = \"127.0.0.1:1338\"\n");
}

TEST(InstallerTest, WhatSomebodyChangedIsPutRightAgain) {
  Machine machine("2.4.2", Machine::kKindConfig);
  ASSERT_TRUE(machine.Install().ok());
  const auto installed = machine.Tree();
  machine.Write("/opt/ccgpu/guest/guestd", "something else");
  auto status = machine.Inspect();
  ASSERT_TRUE(status.ok());
  EXPECT_FALSE(status->files_fit);
  EXPECT_TRUE(status->configured);
  ASSERT_TRUE(machine.Install().ok());
  EXPECT_EQ(machine.runtime.restarts, 1);
  machine.Write("/etc/containerd/config.toml", Machine::kKindConfig);
  EXPECT_FALSE(machine.Inspect()->configured);
  ASSERT_TRUE(machine.Install().ok());
  EXPECT_EQ(machine.runtime.restarts, 2);
  EXPECT_EQ(test::Difference(machine.Tree(), installed), "");
}

TEST(InstallerTest, WhatIsNotOursIsRefusedBeforeAnythingChanges) {
  struct Case {
    const char* file;
    std::string content;
    const char* code;
  };
  const std::string foreign =
      "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.ccgpu]\nruntime_type = \"x\"\n";
  const std::vector<Case> cases = {
      {"/etc/ccgpu/shim.yaml", "platform_socket: /elsewhere\n", "installer.foreign-file"},
      {"/usr/local/bin/containerd-shim-ccgpu-v2", "another shim", "installer.foreign-file"},
      {"/opt/ccgpu/guest/guestd", "another guestd", "installer.foreign-file"},
      {"/etc/containerd/config.toml", foreign, "installer.foreign-handler"},
      {"/etc/containerd/config.toml", "version = ", "installer.config-broken"},
      {"/etc/containerd/config.toml", "version = 3\n", "installer.config-version"},
      {"/etc/containerd/config.toml", "oom_score = 1\n", "installer.config-version"},
      {"/opt/ccgpu/installed.json", "{}", "installer.record-broken"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.file) + ": " + c.content);
    Machine machine("1.6.20", Machine::kDebianConfig);
    machine.Write(c.file, c.content);
    const auto before = machine.Tree();
    auto report = machine.Install();
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().code, c.code) << report.error().ToString();
    EXPECT_EQ(test::Difference(machine.Tree(), before), "");
    EXPECT_EQ(machine.runtime.restarts, 0);
  }
  Machine link("1.6.20", Machine::kDebianConfig);
  fs::rename(link.Path("/etc/containerd/config.toml"), link.Path("/etc/containerd/real.toml"));
  fs::create_symlink("real.toml", link.Path("/etc/containerd/config.toml"));
  EXPECT_EQ(link.Install().error().code, "installer.config-conflict");
  Machine elsewhere("2.4.2", "version = 3\n");
  elsewhere.runtime.knows_otherwise = true;
  EXPECT_EQ(elsewhere.Install().error().code, "installer.foreign-handler");
  Machine empty("1.6.20", Machine::kDebianConfig);
  empty.RemovePayload("guest/agent");
  EXPECT_EQ(empty.Install().error().code, "installer.payload");
}

TEST(InstallerTest, RunningPodsKeepTheirShim) {
  Machine machine("1.6.20", Machine::kDebianConfig);
  const auto before = machine.Tree();
  ASSERT_TRUE(machine.Install().ok());
  const auto installed = machine.Tree();
  machine.runtime.pods = {"default/one", "team/two"};
  auto refused = machine.Uninstall();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, "installer.pods-running");
  EXPECT_EQ(refused.error().subject, "default/one, team/two");
  EXPECT_EQ(test::Difference(machine.Tree(), installed), "");
  ASSERT_TRUE(machine.Uninstall(true).ok());
  EXPECT_EQ(test::Difference(machine.Tree(), before), "");
}

TEST(InstallerTest, AContainerdThatIsDownIsNeitherInstalledForNorForgotten) {
  Machine machine("1.6.20", Machine::kDebianConfig);
  machine.options.patience = std::chrono::milliseconds(20);
  const auto before = machine.Tree();
  machine.runtime.running = false;
  EXPECT_EQ(machine.Install().error().code, "installer.containerd-unreachable");
  EXPECT_EQ(test::Difference(machine.Tree(), before), "");
  machine.runtime.running = true;
  ASSERT_TRUE(machine.Install().ok());
  machine.runtime.running = false;
  EXPECT_EQ(machine.Uninstall().error().code, "installer.containerd-unreachable");
  ASSERT_TRUE(machine.Uninstall(true).ok());
  EXPECT_EQ(test::Difference(machine.Tree(), before), "");
}

TEST(InstallerTest, OneAtATime) {
  Machine machine("1.6.20", Machine::kDebianConfig);
  const auto files = HostFiles::Open(machine.root()).value();
  Fd lock = files.Lock().value();
  std::atomic<bool> installed{false};
  std::thread other([&] {
    EXPECT_TRUE(machine.Install().ok());
    installed = true;
  });
  EXPECT_FALSE(installed);
  lock.Close();
  other.join();
  EXPECT_TRUE(installed);
}

// Links that begin with '/' mean the machine's root, not ours.
TEST(HostFilesTest, NothingOutsideOfTheRootIsReached) {
  Machine machine("1.6.20", Machine::kDebianConfig);
  const auto files = HostFiles::Open(machine.root()).value();
  fs::create_directory_symlink("/etc", machine.Path("/absolute"));
  fs::create_directory_symlink("../../../../../../etc", machine.Path("/climbing"));
  for (const std::string folder : {"/absolute", "/climbing"}) {
    EXPECT_EQ(files.Read(folder + "/containerd/config.toml")->text, Machine::kDebianConfig) << folder;
    ASSERT_TRUE(files.Write(folder + "/written", folder).ok());
    EXPECT_EQ(machine.Read("/etc/written"), folder);
  }
  EXPECT_FALSE(fs::exists("/etc/written"));
  EXPECT_FALSE(files.Read("/nothing/here")->exists);
}

TEST(HostFilesTest, OwnerAndModeStay) {
  if (::geteuid() != 0) GTEST_SKIP() << "NOT RUN: giving files away needs root";
  Machine machine("1.6.20", Machine::kDebianConfig);
  const std::string path = machine.Path("/etc/containerd/config.toml");
  ASSERT_EQ(::chown(path.c_str(), 1234, 4321), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  ASSERT_TRUE(machine.Install().ok());
  struct stat info {};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1234u);
  EXPECT_EQ(info.st_gid, 4321u);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  EXPECT_EQ(machine.Mode("/etc/containerd/config.toml.ccgpu-backup"), 0640u);
  ASSERT_TRUE(machine.Uninstall().ok());
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1234u);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

}  // namespace
}  // namespace ccgpu::installer
