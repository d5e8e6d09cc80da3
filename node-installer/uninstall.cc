// The way back, and the look at what is there (installer.h).
#include <algorithm>

#include "node-installer/installer.h"

namespace ccgpu::installer {

std::string Installer::DropInFor(const Record& record, const std::string& config) const {
  if (record.exists() && !record.drop_in.empty()) return record.drop_in;
  const auto facts = installer::Inspect(config, options_.containerd_config);
  return facts.ok() ? DropInPath(facts->imports, options_.containerd_config) : "";
}

// True when something was changed.
Result<bool> Installer::TakeOutConfig(const Record& record, std::string& note) {
  ASSIGN_OR_RETURN(const auto config, files_.Read(options_.containerd_config));
  ASSIGN_OR_RETURN(const SplitConfig split, Split(config.text, options_.containerd_config));
  const std::string drop_in = DropInFor(record, split.without);
  bool ours_there = false;
  if (!drop_in.empty()) {
    ASSIGN_OR_RETURN(const auto text, files_.Read(drop_in));
    ours_there = text.exists && IsOurDropIn(text.text);
  }
  if (split.block.empty() && !ours_there) return false;
  if (record.exists()) {
    Record due = record;
    due.restart_due = true;
    RETURN_IF_ERROR(SaveRecord(due));
  }
  if (!split.block.empty()) {
    const bool remove = split.made_file && split.without.empty();
    if (record.exists() && !remove && record.config_digest != DigestOf(split.without))
      note =
          options_.containerd_config + " was edited by somebody else after the installation: only our part was removed";
    RETURN_IF_ERROR(WriteConfig(remove ? FileText() : FileText(split.without)));
  }
  if (ours_there) {
    step_("drop-in");
    RETURN_IF_ERROR(files_.Remove(drop_in));
  }
  return true;
}

Status Installer::RemoveFiles(const Record& record) {
  step_("backup");
  RETURN_IF_ERROR(files_.Remove(BackupPath()));
  for (const std::string& path : {options_.containerd_config, LinkPath(), RecordPath()})
    RETURN_IF_ERROR(files_.RemoveLeftover(path));
  if (record.exists() && !record.drop_in.empty()) RETURN_IF_ERROR(files_.RemoveLeftover(record.drop_in));
  ASSIGN_OR_RETURN(const auto link, files_.LinkTarget(LinkPath()));
  if (link == ShimPath()) {
    step_("link");
    RETURN_IF_ERROR(files_.Remove(LinkPath()));
  }
  if (!record.exists()) return files_.RemoveFolderIfEmpty(options_.home);
  std::vector<std::string> folders = {options_.home, ParentOf(options_.shim_config)};
  for (const auto& [path, digest] : record.files) {
    step_("file");
    RETURN_IF_ERROR(files_.Remove(path));
    for (std::string at = ParentOf(path); at.starts_with(options_.home); at = ParentOf(at)) AddUnique(folders, {at});
  }
  AddUnique(folders, record.folders);
  std::sort(folders.begin(), folders.end(), std::greater<>());  // inner ones first
  step_("folders");
  for (const std::string& folder : folders) {
    // The record itself is still there, and goes last.
    if (folder != options_.home && !options_.home.starts_with(folder + "/"))
      RETURN_IF_ERROR(files_.RemoveFolderIfEmpty(folder));
  }
  step_("record");
  RETURN_IF_ERROR(files_.Remove(RecordPath()));
  for (const std::string& folder : folders) RETURN_IF_ERROR(files_.RemoveFolderIfEmpty(folder));
  return Ok();
}

Result<Report> Installer::Uninstall(bool force) {
  ASSIGN_OR_RETURN(const Fd lock, files_.Lock());
  ASSIGN_OR_RETURN(const Record record, LoadRecord());
  const auto pods = runtime_.RunningPods();
  if (!force && !pods.ok()) return pods.error();
  if (!force && !pods->empty()) {
    std::string names;
    for (const std::string& pod : *pods) names += (names.empty() ? "" : ", ") + pod;
    return Err("installer.pods-running", names, "these pods need the shim; remove them first, or use --force");
  }
  const auto facts = runtime_.Facts();
  Report report;
  ASSIGN_OR_RETURN(const bool changed, TakeOutConfig(record, report.note));
  if (changed || (record.exists() && record.restart_due) || (record.exists() && facts.ok() && facts->knows_handler)) {
    step_("restart");
    Status restarted = runtime_.Restart();
    if (restarted.ok()) {
      const auto without = AwaitRuntime(runtime_, false, options_.patience);
      if (!without.ok()) restarted = without.error();
    }
    if (!restarted.ok() && !force) {
      return Err("installer.restart-failed", options_.containerd_config,
                 restarted.error().text +
                     "; the configuration is what it was before ccgpu. containerd's log ends with:\n" +
                     runtime_.LastLogLines());
    }
    report.restarted = true;
  }
  RETURN_IF_ERROR(RemoveFiles(record));
  return report;
}

Status Installer::RemoveState() {
  constexpr char kRun[] = "/run/ccgpu", kState[] = "/var/lib/ccgpu";
  constexpr std::chrono::milliseconds kPause{200};
  const auto end = std::chrono::steady_clock::now() + options_.end_patience;
  const auto in_use = [&] {
    return files_.IsLocked(std::string(kRun) + "/emulator.lock") ||
           files_.IsListening(std::string(kRun) + "/resolver.sock");
  };
  while (in_use()) {
    if (std::chrono::steady_clock::now() >= end) {
      return Err("installer.state-in-use", kRun,
                 "emulator or device plugin still run; what they keep on the machine stays");
    }
    runtime_.Pause(kPause);
  }
  step_("state");
  RETURN_IF_ERROR(files_.Remove("/var/run/cdi/ccgpu.dev-cc-gpu.json"));
  RETURN_IF_ERROR(files_.RemoveTree(kRun));
  RETURN_IF_ERROR(files_.RemoveTree(std::string(kState) + "/emulator"));
  return files_.RemoveFolderIfEmpty(kState);
}

Result<Report> Installer::Inspect() {
  Report report;
  ASSIGN_OR_RETURN(const Record record, LoadRecord());
  if (record.exists()) {
    report.version = record.version;
    ASSIGN_OR_RETURN(const auto link, files_.LinkTarget(LinkPath()));
    report.files_fit = link == ShimPath();
    for (const auto& [path, digest] : record.files) {
      ASSIGN_OR_RETURN(const auto present, files_.Read(path));
      if (present.exists && DigestOf(present.text) == digest) continue;
      report.files_fit = false;
      report.note = path + " is not what was installed";
    }
  }
  ASSIGN_OR_RETURN(const auto config, files_.Read(options_.containerd_config));
  ASSIGN_OR_RETURN(const SplitConfig split, Split(config.text, options_.containerd_config));
  report.configured = !split.block.empty();
  if (const std::string drop_in = DropInFor(record, split.without); !drop_in.empty()) {
    ASSIGN_OR_RETURN(const auto text, files_.Read(drop_in));
    report.configured = report.configured || (text.exists && IsOurDropIn(text.text));
  }
  const auto facts = runtime_.Facts();
  report.handler_known = facts.ok() && facts->knows_handler;
  if (!facts.ok() && report.note.empty()) report.note = facts.error().ToString();
  return report;
}

}  // namespace ccgpu::installer
