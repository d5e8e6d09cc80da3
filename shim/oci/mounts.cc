#include "shim/oci/mounts.h"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <thread>

#include "base/file.h"

namespace ccgpu::shim {
namespace {

struct Flag {
  unsigned long value;
  bool clear;
};

const std::map<std::string, Flag>& Flags() {
  static const std::map<std::string, Flag> flags = {
      {"async", {MS_SYNCHRONOUS, true}},
      {"atime", {MS_NOATIME, true}},
      {"bind", {MS_BIND, false}},
      {"defaults", {0, false}},
      {"dev", {MS_NODEV, true}},
      {"diratime", {MS_NODIRATIME, true}},
      {"dirsync", {MS_DIRSYNC, false}},
      {"exec", {MS_NOEXEC, true}},
      {"noatime", {MS_NOATIME, false}},
      {"nodev", {MS_NODEV, false}},
      {"nodiratime", {MS_NODIRATIME, false}},
      {"noexec", {MS_NOEXEC, false}},
      {"norelatime", {MS_RELATIME, true}},
      {"nostrictatime", {MS_STRICTATIME, true}},
      {"nosuid", {MS_NOSUID, false}},
      {"rbind", {MS_BIND | MS_REC, false}},
      {"relatime", {MS_RELATIME, false}},
      {"remount", {MS_REMOUNT, false}},
      {"ro", {MS_RDONLY, false}},
      {"rw", {MS_RDONLY, true}},
      {"strictatime", {MS_STRICTATIME, false}},
      {"suid", {MS_NOSUID, true}},
      {"sync", {MS_SYNCHRONOUS, false}},
  };
  return flags;
}

const std::map<std::string, unsigned long>& Propagations() {
  static const std::map<std::string, unsigned long> values = {
      {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE | MS_REC},
      {"shared", MS_SHARED},         {"rshared", MS_SHARED | MS_REC},
      {"slave", MS_SLAVE},           {"rslave", MS_SLAVE | MS_REC},
      {"unbindable", MS_UNBINDABLE}, {"runbindable", MS_UNBINDABLE | MS_REC}};
  return values;
}

int Mount(const MountEntry& entry, const std::string& target, const MountOptions& options, const std::string& data) {
  if (::mount(entry.source.c_str(), target.c_str(), entry.type.c_str(), options.flags, data.c_str()) != 0) return errno;
  // A bind takes no other flags the first time.
  if ((options.flags & MS_BIND) && (options.flags & MS_RDONLY) &&
      ::mount("", target.c_str(), "", options.flags | MS_REMOUNT, data.c_str()) != 0)
    return errno;
  if (options.propagation && ::mount("", target.c_str(), "", options.propagation, nullptr) != 0) return errno;
  return 0;
}

// Short paths need another working folder; a thread that leaves the shared one has its own, so that no other thread
// notices.
int MountFrom(const std::string& folder, const MountEntry& entry, const std::string& target,
              const MountOptions& options, const std::string& data) {
  int error = 0;
  std::thread([&] {
    if (::unshare(CLONE_FS) != 0 || ::chdir(folder.c_str()) != 0 ||
        ::mount(entry.source.c_str(), target.c_str(), entry.type.c_str(), options.flags, data.c_str()) != 0)
      error = errno;
  }).join();
  return error;
}

}  // namespace

MountOptions ParseMountOptions(const std::vector<std::string>& options) {
  MountOptions out;
  for (const auto& option : options) {
    if (auto flag = Flags().find(option); flag != Flags().end()) {
      if (flag->second.clear) out.flags &= ~flag->second.value;
      else out.flags |= flag->second.value;
    } else if (auto kind = Propagations().find(option); kind != Propagations().end()) {
      out.propagation |= kind->second;
    } else {
      out.data += (out.data.empty() ? "" : ",") + option;
    }
  }
  return out;
}

std::pair<std::string, std::string> CompactOverlay(const std::string& data) {
  size_t at = data.find("lowerdir=");
  if (at == std::string::npos || (at > 0 && data[at - 1] != ',')) return {"", data};
  at += 9;
  size_t end = std::min(data.find(',', at), data.size());
  std::string list = data.substr(at, end - at), common;
  std::vector<std::string> folders;
  for (size_t begin = 0; begin <= list.size();) {
    size_t colon = std::min(list.find(':', begin), list.size());
    folders.push_back(list.substr(begin, colon - begin));
    begin = colon + 1;
  }
  common = folders.front().substr(0, folders.front().rfind('/') + 1);
  for (const auto& folder : folders) {
    while (!common.empty() && folder.rfind(common, 0) != 0) {
      size_t slash = common.size() < 2 ? std::string::npos : common.rfind('/', common.size() - 2);
      common = slash == std::string::npos ? "" : common.substr(0, slash + 1);
    }
  }
  if (common.size() < 2) return {"", data};
  std::string shorter;
  for (const auto& folder : folders) shorter += (shorter.empty() ? "" : ":") + folder.substr(common.size());
  return {common, data.substr(0, at) + shorter + data.substr(end)};
}

Status MountAll(const std::vector<MountEntry>& entries, const std::string& target) {
  for (const auto& entry : entries) {
    MountOptions options = ParseMountOptions(entry.options);
    int error;
    auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    auto [folder, shorter] =
        options.data.size() >= page ? CompactOverlay(options.data) : std::pair<std::string, std::string>();
    if (!folder.empty()) error = MountFrom(folder, entry, target, options, shorter);
    else error = Mount(entry, target, options, options.data);
    if (error != 0) {
      (void)UnmountAll(target);
      return Err("oci.mount", target, "cannot mount " + entry.type + " " + entry.source + ": " + std::strerror(error));
    }
  }
  return Ok();
}

Status UnmountAll(const std::string& target) {
  for (;;) {
    if (::umount2(target.c_str(), UMOUNT_NOFOLLOW) == 0) continue;
    if (errno == EINVAL || errno == ENOENT) return Ok();
    if (errno == EBUSY && ::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) continue;
    return ErrnoError("oci.mount", "unmount", target);
  }
}

}  // namespace ccgpu::shim
