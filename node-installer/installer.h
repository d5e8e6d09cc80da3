// Puts shim and guest half onto a machine, tells containerd about them, and takes all of it back.
//
// Every step can be the last one (kill, power loss): to install or to uninstall again goes on from there, and
// uninstalled means that files, configuration and folders are what they were, byte for byte (unless somebody else
// edited containerd's configuration in between: then only our part is taken out). Files are replaced by renaming, so
// shims and guests that run keep what they run from: an upgrade does not touch running pods.
//
// Errors, besides those of HostFiles, containerd_config.h and Runtime:
//   installer.payload          the payload folder cannot be read or lacks a program
//   installer.foreign-file     a file that we would write is there and not ours
//   installer.restart-failed   containerd did not come back with our handler; the configuration is what it was, and the
//                              text has the end of containerd's log
//   installer.state-in-use     emulator or device plugin still run on the machine
//   installer.pods-running     pods of our handler run: uninstalling would leave them without their shim
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "node-installer/containerd_config.h"
#include "node-installer/host_files.h"
#include "node-installer/record.h"
#include "node-installer/runtime.h"

namespace ccgpu::installer {

struct InstallOptions {
  std::string payload = "/opt/ccgpu";  // our own folder with bin/, guest/, lib/
  std::string version;
  // On the machine:
  std::string home = "/opt/ccgpu";
  std::string shim_config = "/etc/ccgpu/shim.yaml";
  std::string link_folder = "/usr/local/bin";  // of containerd's PATH: containerd 1.6 ignores runtime_path
  std::string containerd_config = "/etc/containerd/config.toml";
  bool require_policy = true;
  std::chrono::milliseconds patience{30000};      // for containerd to answer
  std::chrono::milliseconds end_patience{60000};  // for emulator and device plugin to end
};

inline constexpr char kShim[] = "containerd-shim-ccgpu-v2";

struct Report {
  std::string version;         // what is installed; empty: nothing
  bool files_fit = false;      // every file is there as it was installed
  bool configured = false;     // containerd's configuration has our handler
  bool handler_known = false;  // the running containerd has it
  bool restarted = false;      // by the call that reports
  std::string note;            // a sentence for people about what was unusual; may be empty
};

// Not for several threads. `files` and `runtime` must outlive it.
class Installer {
 public:
  // `step`: called with a name before each change on the machine; for tests that end the program there.
  Installer(
      const HostFiles& files, Runtime& runtime, InstallOptions options,
      std::function<void(const char* step)> step = [](const char*) {});

  Result<Report> Install();
  // `force`: also while pods of the handler run, or when containerd does not answer.
  Result<Report> Uninstall(bool force);
  // What emulator, device plugin and shims of the cluster's DaemonSets keep on the machine: /run/ccgpu, the emulator's
  // identities, the CDI spec. Waits until emulator and device plugin have ended; "installer.state-in-use" if they do
  // not.
  Status RemoveState();
  // Changes nothing, takes no lock.
  Result<Report> Inspect();

 private:
  // Payloads are large: a file is read when it is needed, and once for its digest.
  struct Wanted {
    std::string source;  // of our own image; empty: `text` it is
    std::string text;
    std::string digest;
    mode_t mode;
    Result<std::string> Content() const;
  };
  using Files = std::map<std::string, Wanted>;  // by path on the machine
  Result<Files> WantedFiles();
  Result<bool> IsThere(const std::string& path, const Wanted& file);
  Result<Record> LoadRecord();
  Status SaveRecord(const Record& record);  // unless that is what stands there
  Status CheckForeign(const Files& wanted, const Record& record, const ConfigPlan& plan) const;
  Result<Record> Begin(const Record& old, const Files& wanted, const ConfigPlan& plan, const FileText& config);
  Status CopyFiles(const Files& wanted, Record& record);
  Status ChangeConfig(const ConfigPlan& plan, const FileText& before, Record& record);
  Status RestartWith(const ConfigPlan& plan, const FileText& before, Record& record);
  Status WriteConfig(const FileText& text);
  Result<bool> TakeOutConfig(const Record& record, std::string& note);
  Status RemoveFiles(const Record& record);
  std::string RecordPath() const { return options_.home + "/installed.json"; }
  std::string LinkPath() const { return options_.link_folder + "/" + kShim; }
  std::string ShimPath() const { return options_.home + "/bin/" + kShim; }
  std::string BackupPath() const { return options_.containerd_config + ".ccgpu-backup"; }
  std::string DropInFor(const Record& record, const std::string& config) const;

  const HostFiles& files_;
  Runtime& runtime_;
  const InstallOptions options_;
  const std::function<void(const char*)> step_;
  Record saved_;                                   // as it stands on the machine
  std::map<std::string, std::string> digests_;     // of the payload's files, which do not change while we run
  std::map<std::string, std::string> seen_there_;  // path -> stamp of files on the machine that were found to be right
};

// The shim's configuration as installed (shim/host/config.h).
std::string ShimConfigText(const InstallOptions& options);

}  // namespace ccgpu::installer
