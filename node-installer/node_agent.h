// The installer as a DaemonSet's program: keeps the node as it should be, and tells the cluster how it is.
//
// - The DaemonSet is annotated ccgpu.dev/uninstall=true: everything is taken back; without the annotation installed
//   again.
// - The program is ended (SIGTERM) and the node is no longer labelled ccgpu.dev/enabled=true: the same.
// - Ended otherwise (an upgrade, a drain, a Node that was deleted): everything stays.
// - Somebody changed an installed file or containerd's configuration: installed again.
//
// The node's label ccgpu.dev/ready=true stands only while shim and handler are there, ccgpu.dev/installed=VERSION while
// anything is.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "node-installer/cluster.h"
#include "node-installer/installer.h"

namespace ccgpu::installer {

class NodeAgent {
 public:
  // All must outlive it.
  NodeAgent(Installer& installer, Cluster& cluster, std::string version)
      : installer_(installer), cluster_(cluster), version_(std::move(version)) {}

  static constexpr std::chrono::seconds kRound{2};
  static constexpr int kCheckRounds = 15;      // between two looks at the files: half a minute
  static constexpr int kMaxPauseRounds = 150;  // between two tries after failures: five minutes

  // One round; to be called every kRound by one thread. Failures are logged and counted, and tried again later and
  // later, except that containerd is not restarted a second time with a configuration that it refused
  // ("installer.restart-failed" ends the tries until the program is started anew).
  void Round();
  // At the program's end. What was taken back now also loses what emulator and device plugin keep on the node
  // (Installer::RemoveState). False when what should have gone could not.
  bool End();

  // Any thread.
  bool Ready() const;
  std::string Metrics() const;  // Prometheus text

 private:
  void Install();
  bool Uninstall();
  bool TakenBackAtEnd();
  void PushLabels();
  void Failed(const char* doing, const Error& error);

  Installer& installer_;
  Cluster& cluster_;
  const std::string version_;
  // Of the thread that calls Round().
  bool uninstall_wanted_ = false, gone_ = false, blocked_ = false, labels_differ_ = true, cluster_silent_ = false;
  int rounds_to_check_ = 0, pause_ = 1;
  std::optional<std::string> label_installed_;
  bool label_ready_ = false;

  mutable std::mutex mutex_;
  Report report_;                        // guarded by mutex_, as is the rest
  std::map<std::string, int> failures_;  // by reason code
  int restarts_ = 0;
};

}  // namespace ccgpu::installer
