#include "node-installer/installer.h"

#include <filesystem>

#include "base/file.h"

namespace ccgpu::installer {
namespace {

namespace fs = std::filesystem;

constexpr char kShimConfigHead[] = "# Written by ccgpu-node-installer; changes are lost.\n";
constexpr size_t kMaxPayloadFile = 256u << 20;
// What a payload must have; lib/ holds whatever the agent is linked with.
constexpr const char* kPrograms[] = {"bin/containerd-shim-ccgpu-v2", "guest/guestd", "guest/agent",
                                     "guest/libcuda.so.1", "guest/libnvidia-ml.so.1"};

}  // namespace

std::string ShimConfigText(const InstallOptions& options) {
  return kShimConfigHead +
         ("platform_socket: /run/ccgpu/platform.sock\n"
          "resolver_socket: /run/ccgpu/resolver.sock\n"
          "guest_image: " +
          options.home +
          "/guest\n"
          "events_dir: /run/ccgpu/pods\n"
          "cdi_dirs: [/var/run/cdi]\n"
          "require_policy: ") +
         (options.require_policy ? "true\n" : "false\n");
}

Installer::Installer(const HostFiles& files, Runtime& runtime, InstallOptions options,
                     std::function<void(const char*)> step)
    : files_(files), runtime_(runtime), options_(std::move(options)), step_(std::move(step)) {}

Result<std::string> Installer::Wanted::Content() const {
  if (source.empty()) return text;
  auto content = ReadFile(source, kMaxPayloadFile);
  if (!content.ok()) return Err("installer.payload", source, content.error().text);
  return content;
}

// Files are compared once, and again when their stamps have changed.
Result<bool> Installer::IsThere(const std::string& path, const Wanted& file) {
  const std::string stamp = files_.Stamp(path);
  std::string& seen = seen_there_[path];
  if (!stamp.empty() && stamp == seen) return true;
  seen.clear();
  ASSIGN_OR_RETURN(const auto present, files_.Read(path));
  if (!present.exists || DigestOf(present.text) != file.digest || files_.Mode(path) != file.mode) return false;
  seen = stamp;
  return true;
}

Result<Installer::Files> Installer::WantedFiles() {
  Files wanted;
  std::error_code error;
  for (const char* part : {"bin", "guest", "lib"}) {
    const fs::path folder = fs::path(options_.payload) / part;
    if (!fs::is_directory(folder, error)) continue;
    // An image's links within its folder become files: what they point to may be named otherwise next time.
    for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
      if (!entry.is_regular_file(error)) continue;
      Wanted file{entry.path().string(), "", "", 0644};
      std::string& digest = digests_[file.source];
      if (digest.empty()) {
        ASSIGN_OR_RETURN(const std::string content, file.Content());
        digest = DigestOf(content);
      }
      file.digest = digest;
      const bool executable = (entry.status().permissions() & fs::perms::owner_exec) != fs::perms::none;
      if (executable) file.mode = 0755;
      wanted[options_.home + "/" + fs::relative(entry.path(), options_.payload).string()] = std::move(file);
    }
    if (error) return Err("installer.payload", folder.string(), error.message());
  }
  for (const char* program : kPrograms) {
    if (!wanted.contains(options_.home + "/" + program))
      return Err("installer.payload", options_.payload + "/" + program, "is not in the installer's image");
  }
  const std::string text = ShimConfigText(options_);
  wanted[options_.shim_config] = {"", text, DigestOf(text), 0644};
  return wanted;
}

Result<Record> Installer::LoadRecord() {
  saved_ = Record();
  ASSIGN_OR_RETURN(const auto text, files_.Read(RecordPath()));
  if (text.exists) {
    ASSIGN_OR_RETURN(saved_, ReadRecord(text.text, RecordPath()));
  }
  return saved_;
}

Status Installer::SaveRecord(const Record& record) {
  if (saved_ == record) return Ok();
  step_("record");
  RETURN_IF_ERROR(files_.Write(RecordPath(), WriteRecord(record), 0644));
  saved_ = record;
  return Ok();
}

// Before the first change: nothing of somebody else's is in our way.
Status Installer::CheckForeign(const Files& wanted, const Record& record, const ConfigPlan& plan) const {
  const auto foreign = [](const std::string& path) {
    return Err("installer.foreign-file", path, "is there and was not put there by the installer; remove it first");
  };
  for (const auto& [path, file] : wanted) {
    if (!files_.Exists(path) || record.files.contains(path)) continue;
    ASSIGN_OR_RETURN(const auto present, files_.Read(path));
    if (!present.exists || DigestOf(present.text) != file.digest) return foreign(path);
  }
  ASSIGN_OR_RETURN(const auto link, files_.LinkTarget(LinkPath()));
  if (files_.Exists(LinkPath()) && link != ShimPath()) return foreign(LinkPath());
  ASSIGN_OR_RETURN(const auto config_link, files_.LinkTarget(options_.containerd_config));
  if (!config_link.empty()) {
    return Err("installer.config-conflict", options_.containerd_config,
               "is a link, and the installer changes nothing behind links; name the file itself (--containerd-config)");
  }
  if (!plan.drop_in.empty()) {
    ASSIGN_OR_RETURN(const auto present, files_.Read(plan.drop_in));
    if (present.exists && !IsOurDropIn(present.text)) return foreign(plan.drop_in);
  }
  return Ok();
}

// The record of what is about to happen.
Result<Record> Installer::Begin(const Record& old, const Files& wanted, const ConfigPlan& plan,
                                const FileText& config) {
  Record record = old;
  record.version = options_.version;
  record.config = options_.containerd_config;
  ASSIGN_OR_RETURN(const SplitConfig split, Split(config.text, record.config));
  record.config_digest = !config.exists || split.made_file ? kAbsent : DigestOf(split.without);
  if (!plan.drop_in.empty()) record.drop_in = plan.drop_in;
  std::vector<std::string> places = {LinkPath(), record.config, RecordPath()};
  if (!record.drop_in.empty()) places.push_back(record.drop_in);
  for (const auto& [path, file] : wanted) {
    record.files.try_emplace(path, file.digest);
    places.push_back(path);
  }
  for (const std::string& place : places) {
    ASSIGN_OR_RETURN(const auto missing, files_.MissingFolders(ParentOf(place)));
    AddUnique(record.folders, missing);
    std::erase(record.folders, options_.home);  // ours by its name; it may be there before the record is
  }
  step_("home");
  const bool home_was_there = files_.Exists(options_.home);
  RETURN_IF_ERROR(files_.MakeFolder(options_.home));
  if (const Status saved = SaveRecord(record); !saved.ok()) {
    // Nobody would know whose the folder is: without a record there is nothing to uninstall.
    if (!home_was_there) (void)files_.RemoveFolderIfEmpty(options_.home);
    return saved.error();
  }
  return record;
}

Status Installer::CopyFiles(const Files& wanted, Record& record) {
  for (const auto& [path, file] : wanted) {
    ASSIGN_OR_RETURN(const bool there, IsThere(path, file));
    if (there) continue;
    step_("file");
    ASSIGN_OR_RETURN(const std::string content, file.Content());
    RETURN_IF_ERROR(files_.MakeFolder(ParentOf(path)));
    RETURN_IF_ERROR(files_.Write(path, content, file.mode));
  }
  ASSIGN_OR_RETURN(const auto link, files_.LinkTarget(LinkPath()));
  if (link != ShimPath()) {
    step_("link");
    RETURN_IF_ERROR(files_.MakeFolder(options_.link_folder));
    RETURN_IF_ERROR(files_.Link(ShimPath(), LinkPath()));
  }
  // What an older version had and this one has not.
  for (const auto& [path, digest] : record.files) {
    if (wanted.contains(path)) continue;
    step_("stale file");
    RETURN_IF_ERROR(files_.Remove(path));
  }
  record.files.clear();
  for (const auto& [path, file] : wanted) record.files[path] = file.digest;
  return Ok();
}

Status Installer::WriteConfig(const FileText& text) {
  step_("containerd configuration");
  if (!text.exists) return files_.Remove(options_.containerd_config);
  RETURN_IF_ERROR(files_.MakeFolder(ParentOf(options_.containerd_config)));
  return files_.Write(options_.containerd_config, text.text);
}

Status Installer::ChangeConfig(const ConfigPlan& plan, const FileText& before, Record& record) {
  bool drop_in_differs = false;
  if (!plan.drop_in.empty()) {
    ASSIGN_OR_RETURN(const auto present, files_.Read(plan.drop_in));
    drop_in_differs = !present.exists || present.text != plan.drop_in_text;
  }
  const bool stray_drop_in = plan.drop_in.empty() && !record.drop_in.empty();
  if (!plan.config.exists && !drop_in_differs && !stray_drop_in) return Ok();
  record.restart_due = true;
  RETURN_IF_ERROR(SaveRecord(record));
  if (plan.config.exists) {
    if (record.config_digest != kAbsent) {
      ASSIGN_OR_RETURN(const SplitConfig split, Split(before.text, record.config));
      step_("backup");
      RETURN_IF_ERROR(files_.Write(BackupPath(), split.without, files_.Mode(record.config)));
    }
    RETURN_IF_ERROR(WriteConfig(plan.config));
  }
  if (drop_in_differs) {
    step_("drop-in");
    RETURN_IF_ERROR(files_.MakeFolder(ParentOf(plan.drop_in)));
    RETURN_IF_ERROR(files_.Write(plan.drop_in, plan.drop_in_text, 0644));
  }
  if (stray_drop_in) {
    RETURN_IF_ERROR(files_.Remove(record.drop_in));
    record.drop_in.clear();
  }
  return Ok();
}

// One restart; when containerd does not come back with our handler, the old configuration and another one.
Status Installer::RestartWith(const ConfigPlan& plan, const FileText& before, Record& record) {
  step_("restart");
  Status outcome = runtime_.Restart();
  if (outcome.ok()) {
    auto facts = AwaitRuntime(runtime_, true, options_.patience);
    if (facts.ok()) return Ok();
    outcome = facts.error();
  }
  std::string text =
      outcome.error().text + "; the old configuration is back. containerd's log ends with:\n" + runtime_.LastLogLines();
  ASSIGN_OR_RETURN(const SplitConfig split, Split(before.text, record.config));
  const bool absent = !before.exists || (split.made_file && split.without.empty());
  RETURN_IF_ERROR(WriteConfig(absent ? FileText() : FileText(split.without)));
  if (!plan.drop_in.empty()) RETURN_IF_ERROR(files_.Remove(plan.drop_in));
  step_("second restart");
  Status again = runtime_.Restart();
  if (again.ok()) {
    auto facts = AwaitRuntime(runtime_, false, options_.patience);
    if (!facts.ok()) again = facts.error();
  }
  if (again.ok()) {
    record.restart_due = false;
    RETURN_IF_ERROR(SaveRecord(record));
  } else {
    text += "\nWith the old configuration: " + again.error().text;
  }
  return Err("installer.restart-failed", options_.containerd_config, text);
}

Result<Report> Installer::Install() {
  ASSIGN_OR_RETURN(const Fd lock, files_.Lock());
  ASSIGN_OR_RETURN(const Files wanted, WantedFiles());
  ASSIGN_OR_RETURN(const Record old, LoadRecord());
  ASSIGN_OR_RETURN(const auto config, files_.Read(options_.containerd_config));
  ASSIGN_OR_RETURN(const RuntimeFacts facts, AwaitRuntime(runtime_, std::nullopt, options_.patience));
  ASSIGN_OR_RETURN(const ConfigPlan plan,
                   PlanInstall(config, options_.containerd_config, facts.major, {options_.shim_config}));
  ASSIGN_OR_RETURN(const SplitConfig split, Split(config.text, options_.containerd_config));
  const std::string drop_in = DropInFor(old, split.without);
  if (facts.knows_handler && !old.exists() && split.block.empty() && (drop_in.empty() || !files_.Exists(drop_in))) {
    return Err("installer.foreign-handler", options_.containerd_config,
               "containerd knows a handler \"ccgpu\" out of another file than this one; remove it first");
  }
  RETURN_IF_ERROR(CheckForeign(wanted, old, plan));

  ASSIGN_OR_RETURN(Record record, Begin(old, wanted, plan, config));
  RETURN_IF_ERROR(CopyFiles(wanted, record));
  RETURN_IF_ERROR(ChangeConfig(plan, config, record));
  Report report;
  if (record.restart_due || !facts.knows_handler) {
    RETURN_IF_ERROR(RestartWith(plan, config, record));
    report.restarted = true;
  }
  record.restart_due = false;
  RETURN_IF_ERROR(SaveRecord(record));
  report.version = options_.version;
  report.files_fit = report.configured = report.handler_known = true;
  if (!config.exists) report.note = options_.containerd_config + " was missing and has been made";
  return report;
}

}  // namespace ccgpu::installer
