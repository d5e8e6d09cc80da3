// A machine for tests: a folder, and a containerd that takes its configuration in when it is restarted.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "base/file.h"
#include "base/testing/temp_dir.h"
#include "node-installer/installer.h"

namespace ccgpu::installer::test {

namespace fs = std::filesystem;

// Knows the handler by what lies in the folder; what a restart changes is kept in a file outside of it, so that a
// killed child's restart counts.
class FakeRuntime final : public Runtime {
 public:
  FakeRuntime(std::string root, std::string state, std::string version)
      : root_(std::move(root)), state_(std::move(state)), version_(std::move(version)) {}

  Result<RuntimeFacts> Facts() override {
    if (!running) return Err("installer.containerd-unreachable", "Version", "containerd does not answer");
    return RuntimeFacts{version_, MajorOf(version_), knows_otherwise || Exists(state_)};
  }
  Result<std::vector<std::string>> RunningPods() override {
    if (!running) return Err("installer.containerd-unreachable", "ListPodSandbox", "containerd does not answer");
    return pods;
  }
  Status Restart() override {
    ++restarts;
    const bool known = Configured();
    if (running) running = !(known && refuse_handler);
    else running = !known;
    std::error_code ignored;
    if (known && running) EXPECT_TRUE(WriteFileAtomic(state_, "").ok());
    else fs::remove(state_, ignored);
    return Ok();
  }
  std::string LastLogLines() override { return "the log's last line"; }
  // Nothing changes while somebody waits: the end of the patience is all that is waited for.
  void Pause(std::chrono::milliseconds) override { std::this_thread::yield(); }

  bool running = true, refuse_handler = false, knows_otherwise = false;
  int restarts = 0;
  std::vector<std::string> pods;

 private:
  bool Has(const std::string& path) const {
    const auto text = ReadFile(path);
    return text.ok() && Inspect(*text, path).ok() && Inspect(*text, path)->has_handler;
  }
  bool Configured() const {
    const std::string path = root_ + "/etc/containerd/config.toml";
    if (Has(path)) return true;
    const auto text = ReadFile(path);
    if (!text.ok() || MajorOf(version_) < 2) return false;
    const ConfigFacts facts = installer::Inspect(*text, path).value();
    for (const std::string& pattern : facts.imports) {
      if (Has(root_ + pattern.substr(0, pattern.rfind('/')) + "/ccgpu.toml")) return true;
    }
    return false;
  }
  const std::string root_, state_, version_;
};

class Machine {
 public:
  static constexpr char kDebianConfig[] =
      "version = 2\n\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    "
      "[plugins.\"io.containerd.grpc.v1.cri\".cni]\n      bin_dir = \"/usr/lib/cni\"\n      conf_dir = "
      "\"/etc/cni/net.d\"\n  [plugins.\"io.containerd.internal.v1.opt\"]\n    path = \"/var/lib/containerd/opt\"\n";
  static constexpr char kKindConfig[] =
      "version = 2\n\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n  default_runtime_name = "
      "\"runc\"\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n  runtime_type = "
      "\"io.containerd.runc.v2\"\n  base_runtime_spec = \"/etc/containerd/cri-base.json\"\n  "
      "[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc.options]\n    SystemdCgroup = "
      "true\n[plugins.\"io.containerd.grpc.v1.cri\"]\n  tolerate_missing_hugepages_controller = true\n";

  // `config`: nothing when there is no file and no folder for it.
  Machine(const std::string& version, const std::optional<std::string>& config)
      : runtime(root(), folder_ / "knows", version) {
    for (const char* path : {"/etc", "/opt", "/usr/local/bin", "/run", "/var/lib"}) fs::create_directories(Path(path));
    if (config) Write("/etc/containerd/config.toml", *config);
    for (const auto& [name, content] : std::map<std::string, std::string>{{"bin/containerd-shim-ccgpu-v2", "shim 1"},
                                                                          {"guest/guestd", "guestd 1"},
                                                                          {"guest/agent", "agent 1"},
                                                                          {"guest/libcuda.so.1", "libcuda 1"},
                                                                          {"guest/libnvidia-ml.so.1", "libnvidia-ml 1"},
                                                                          {"lib/libc.so.6", "libc 1"}}) {
      Payload(name, content);
      if (name.starts_with("bin/")) fs::permissions(folder_ / "payload/" + name, fs::perms(0755));
    }
    options.payload = folder_ / "payload";
    options.version = "1.0.0";
    options.patience = options.end_patience = std::chrono::milliseconds(50);
  }

  std::string root() const { return folder_ / "root"; }
  std::string Path(const std::string& path) const { return root() + path; }
  bool Exists(const std::string& path) const { return ccgpu::Exists(Path(path)); }
  std::string Read(const std::string& path) const { return ReadFile(Path(path)).value(); }
  void Write(const std::string& path, const std::string& content) {
    fs::create_directories(fs::path(Path(path)).parent_path());
    ASSERT_TRUE(WriteFileAtomic(Path(path), content).ok());
  }
  mode_t Mode(const std::string& path) const {
    struct stat info {};
    return ::stat(Path(path).c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
  }
  void Payload(const std::string& name, const std::string& content) {
    const fs::path path = folder_ / "payload/" + name;
    const bool executable = fs::exists(path) && (fs::status(path).permissions() & fs::perms::owner_exec) != fs::perms();
    fs::create_directories(path.parent_path());
    ASSERT_TRUE(WriteFileAtomic(path.string(), content, executable ? 0755 : 0644).ok());
  }
  void RemovePayload(const std::string& name) { fs::remove(folder_ / "payload/" + name); }

  // Every file, folder and link with mode and content.
  std::map<std::string, std::string> Tree() const {
    std::map<std::string, std::string> tree;
    for (const auto& entry : fs::recursive_directory_iterator(root())) {
      struct stat info {};
      ::lstat(entry.path().c_str(), &info);
      std::string text = std::to_string(info.st_mode) + " " + std::to_string(info.st_uid) + " ";
      if (entry.is_symlink()) text += fs::read_symlink(entry.path()).string();
      else if (entry.is_regular_file()) text += ReadFile(entry.path().string()).value();
      tree[fs::relative(entry.path(), root()).string()] = text;
    }
    return tree;
  }

  Result<Report> Install() {
    return With([](Installer& installer) { return installer.Install(); });
  }
  Result<Report> Uninstall(bool force = false) {
    return With([&](Installer& installer) { return installer.Uninstall(force); });
  }
  Result<Report> Inspect() {
    return With([](Installer& installer) { return installer.Inspect(); });
  }

  // Does `deed` in another process that is killed before its `step`-th change.
  void Killed(int step, const std::function<void()>& deed) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      steps = 0;
      last_step_ = step;
      deed();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "was not killed: " << status;
  }

  int steps = 0;  // changes so far

 private:
  Result<Report> With(const std::function<Result<Report>(Installer&)>& deed) {
    ASSIGN_OR_RETURN(const HostFiles files, HostFiles::Open(root()));
    Installer installer(files, runtime, options, [this](const char*) {
      if (++steps == last_step_) ::kill(::getpid(), SIGKILL);
    });
    return deed(installer);
  }
  // In memory where that can be had: an installation syncs each file, and these tests make thousands of them.
  const TempDir folder_{fs::is_directory("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()};
  int last_step_ = -1;

 public:
  FakeRuntime runtime;
  InstallOptions options;
};

// Where two trees differ, for people.
inline std::string Difference(const std::map<std::string, std::string>& found,
                              const std::map<std::string, std::string>& expected) {
  std::string text;
  for (const auto& [path, content] : found) {
    const auto other = expected.find(path);
    if (other == expected.end()) text += "too much: " + path + "\n";
    else if (other->second != content) text += path + " is\n" + content + "\ninstead of\n" + other->second + "\n";
  }
  for (const auto& [path, content] : expected) {
    if (!found.contains(path)) text += "missing: " + path + "\n";
  }
  return text;
}

// name, containerd's version, config.toml
using Config = std::tuple<std::string, std::string, std::optional<std::string>>;
inline std::vector<Config> Configs() {
  const std::string debian = Machine::kDebianConfig, kind = Machine::kKindConfig;
  std::string crlf;
  for (const char c : debian) crlf += c == '\n' ? "\r\n" : std::string(1, c);
  return {
      {"Debian's", "1.6.20~ds1", debian},
      {"kind's on 1.x", "1.7.27", kind},
      {"kind's on 2.x", "v2.4.2", kind},
      {"none on 1.x", "1.6.20", std::nullopt},
      {"none on 2.x", "v2.4.2", std::nullopt},
      {"empty", "1.6.20", ""},
      {"only a comment, no line end", "v2.4.2", "# nothing here"},
      {"no line end", "1.6.20", debian.substr(0, debian.size() - 1)},
      {"CRLF", "1.6.20", crlf},
      {"CRLF, no line end", "1.6.20", crlf.substr(0, crlf.size() - 2)},
      {"imports on 1.x", "1.6.20", "imports = [\"/etc/containerd/conf.d/*.toml\"]\n" + debian},
      {"imports on 2.x", "v2.4.2", "imports = [\"/etc/containerd/conf.d/*.toml\"]\nversion = 3\n"},
      {"dotted keys", "v2.4.2",
       "version = 3\nplugins.'io.containerd.cri.v1.runtime'.containerd.default_runtime_name = 'runc'\n"},
      {"version 4", "v2.4.2", "version = 4\nroot = '/var/lib/containerd'\n"},
  };
}

}  // namespace ccgpu::installer::test
