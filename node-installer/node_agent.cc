#include "node-installer/node_agent.h"

#include <algorithm>

#include "base/log.h"
#include "base/metrics.h"

namespace ccgpu::installer {

void NodeAgent::Failed(const char* doing, const Error& error) {
  log::Error(doing, {{"code", error.code}, {"subject", error.subject}, {"reason", error.text}});
  std::lock_guard lock(mutex_);
  ++failures_[error.code];
}

void NodeAgent::Install() {
  auto report = installer_.Install();
  if (!report.ok()) {
    Failed("cannot install", report.error());
    blocked_ = report.error().code == "installer.restart-failed";
    pause_ = std::min(pause_ * 2, kMaxPauseRounds);
    rounds_to_check_ = pause_;
    labels_differ_ = labels_differ_ || label_ready_;
    label_ready_ = false;
    std::lock_guard lock(mutex_);
    report_ = {};
    return;
  }
  pause_ = 1;
  rounds_to_check_ = kCheckRounds;
  gone_ = false;
  if (label_installed_ != report->version || !label_ready_) labels_differ_ = true;
  label_installed_ = report->version;
  label_ready_ = true;
  if (report->restarted) log::Info("containerd was restarted and has the handler", {{"version", report->version}});
  if (!report->note.empty()) log::Warning(report->note);
  std::lock_guard lock(mutex_);
  restarts_ += report->restarted;
  report_ = std::move(*report);
}

bool NodeAgent::Uninstall() {
  if (label_ready_) {  // no new pods from here on
    label_ready_ = false;
    labels_differ_ = true;
    PushLabels();
  }
  auto report = installer_.Uninstall(false);
  if (!report.ok()) {
    Failed("cannot uninstall", report.error());
    return false;
  }
  log::Info("uninstalled", {{"note", report->note}});
  gone_ = true;
  labels_differ_ = true;
  label_installed_.reset();
  {
    std::lock_guard lock(mutex_);
    restarts_ += report->restarted;
    report_ = {};
  }
  PushLabels();
  return true;
}

void NodeAgent::PushLabels() {
  const Status pushed = cluster_.Label(label_installed_, label_ready_);
  if (pushed.ok()) labels_differ_ = false;
  else Failed("cannot label the node", pushed.error());
}

void NodeAgent::Round() {
  auto wanted = cluster_.UninstallWanted();
  if (!wanted.ok() && !cluster_silent_) Failed("cannot read the DaemonSet; going on as before", wanted.error());
  cluster_silent_ = !wanted.ok();
  if (wanted.ok() && *wanted != uninstall_wanted_) {
    uninstall_wanted_ = *wanted;
    rounds_to_check_ = 0;
    blocked_ = false;
  }
  if (--rounds_to_check_ < 0) {
    rounds_to_check_ = 0;
    if (uninstall_wanted_) {
      if (!gone_) Uninstall();  // pods that still run end this: tried every round
    } else if (!blocked_) {
      Install();  // changes nothing when all is as it should be
    }
  }
  if (labels_differ_ && !cluster_silent_) PushLabels();
}

bool NodeAgent::End() {
  if (!TakenBackAtEnd()) return false;
  if (!gone_) return true;
  // The cluster ends the other DaemonSets' pods at the same time as ours.
  const Status removed = installer_.RemoveState();
  if (!removed.ok()) Failed("cannot remove what emulator and device plugin keep", removed.error());
  return removed.ok();
}

// Whether all is as it should be when we end: kept, or gone.
bool NodeAgent::TakenBackAtEnd() {
  if (gone_) return true;
  const auto enabled = cluster_.NodeEnabled();
  if (!enabled.ok()) {
    log::Warning("what is installed stays: nobody can say whether the node is still to have it",
                 {{"reason", enabled.error().ToString()}});
    return true;
  }
  if (*enabled) return true;
  log::Info("the node is no longer enabled");
  return Uninstall();
}

bool NodeAgent::Ready() const {
  std::lock_guard lock(mutex_);
  return report_.files_fit && report_.configured && report_.handler_known;
}

std::string NodeAgent::Metrics() const {
  metrics::Page page;
  metrics::WriteProcess(page, "ccgpu_node_installer", version_);
  page.Gauge("ccgpu_node_installer_installed", "Shim and containerd handler are there and as they should be.", Ready());
  std::lock_guard lock(mutex_);
  page.Counter("ccgpu_node_installer_containerd_restarts_total", "Restarts of containerd that the installer asked for.",
               restarts_);
  page.Head("ccgpu_node_installer_failures_total", "counter", "What could not be done, by reason code.");
  for (const auto& [code, count] : failures_) page.Sample({{"code", code}}, count);
  return page.Take();
}

}  // namespace ccgpu::installer
