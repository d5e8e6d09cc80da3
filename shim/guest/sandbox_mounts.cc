#include "shim/guest/sandbox_mounts.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/file.h"
#include "base/json.h"
#include "shim/api/names.h"

namespace ccgpu::shim {
namespace {
constexpr size_t kMaxResolvConf = 64u << 10;
}

Status MountOwnFilesystems() {
  // Slave already (the platform made it so), and again here: guestd must not depend on who launched it.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return ErrnoError("sandbox.mount", "make the mounts slaves below", "/");
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    return ErrnoError("sandbox.mount", "mount", "/proc");
  RETURN_IF_ERROR(MakeDirs(kGuestDir));
  // Executable: containers map libcuda.so.1 from here.
  if (::mount("ccgpu", kGuestDir, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0711,size=64m") != 0)
    return ErrnoError("sandbox.mount", "mount a tmpfs on", kGuestDir);
  return Ok();
}

Result<Fd> MountTsm() {
  // A tmpfs hides what this kernel has there: the host's configfs is none of the sandbox's business.
  const char* hidden = Exists("/sys/kernel/config") ? "/sys/kernel/config" : "/sys/kernel";
  if (::mount("ccgpu", hidden, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=64k") != 0)
    return ErrnoError("sandbox.mount", "mount a tmpfs on", hidden);
  RETURN_IF_ERROR(MakeDirs(kTsmDir));
  Fd fuse(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!fuse.valid()) return ErrnoError("sandbox.mount", "open", "/dev/fuse");
  std::string options = "fd=" + std::to_string(fuse.get()) + ",rootmode=40000,user_id=0,group_id=0";
  if (::mount("ccgpu-tsm", kTsmDir, "fuse.ccgpu-tsm", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) != 0)
    return ErrnoError("sandbox.mount", "mount the report interface on", kTsmDir);
  return fuse;
}

Status UsePodsNameServers(const std::string& oci_spec_json) {
  constexpr char kPath[] = "/etc/resolv.conf";
  if (oci_spec_json.empty() || !Exists(kPath)) return Ok();
  ASSIGN_OR_RETURN(Json spec, ParseJson(oci_spec_json, "the sandbox's OCI spec"));
  if (!spec.contains("mounts") || !spec["mounts"].is_array()) return Ok();
  for (const auto& mount : spec["mounts"]) {
    if (!mount.is_object() || mount.value("destination", Json()) != kPath || !mount.value("source", Json()).is_string())
      continue;
    ASSIGN_OR_RETURN(const std::string text, ReadFile(mount["source"].get<std::string>(), kMaxResolvConf));
    const std::string copy = std::string(kGuestDir) + "/resolv.conf";
    RETURN_IF_ERROR(WriteFileAtomic(copy, text, 0644));
    if (::mount(copy.c_str(), kPath, "", MS_BIND, nullptr) != 0)
      return ErrnoError("sandbox.mount", "bind the pod's name servers over", kPath);
  }
  return Ok();
}

Status SetSysctl(const std::string& name, const std::string& value) {
  std::string path = name;
  std::replace(path.begin(), path.end(), '.', '/');
  if (path.find("//") != std::string::npos || path.find("..") != std::string::npos || path.empty())
    return Err("sandbox.sysctl", name, "not the name of a sysctl");
  path = "/proc/sys/" + path;
  Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid() || ::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size()))
    return ErrnoError("sandbox.sysctl", "write", path);
  return Ok();
}

Status CopyImage(int image, const std::string& path, mode_t mode) {
  struct stat info {};
  if (::fstat(image, &info) != 0) return ErrnoError("sandbox.mount", "stat the image of", path);
  Fd out(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!out.valid()) return ErrnoError("sandbox.mount", "create", path);
  off_t offset = 0;
  while (offset < info.st_size) {
    ssize_t count = ::sendfile(out.get(), image, &offset, static_cast<size_t>(info.st_size - offset));
    if (count <= 0) return ErrnoError("sandbox.mount", "copy the measured image to", path);
  }
  return Ok();
}

void RemoveTree(const std::string& path) {
  ::nftw(
      path.c_str(),
      [](const char* entry, const struct stat*, int, FTW*) {
        (void)::remove(entry);
        return 0;
      },
      16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

}  // namespace ccgpu::shim
