#include "node/pods/volumes.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/fd.h"
#include "base/file.h"

namespace ccgpu::node {
namespace {

bool IsMounted(const std::string& path) {
  struct stat self, parent;
  return ::lstat(path.c_str(), &self) == 0 && ::lstat((path + "/..").c_str(), &parent) == 0 &&
         self.st_dev != parent.st_dev;
}

Result<std::string> EmptyDir(const Volume& volume, const std::string& dir) {
  const std::string path = dir + "/" + volume.name;
  RETURN_IF_ERROR(MakeDirs(path));
  if (volume.memory && !IsMounted(path)) {
    const std::string options =
        "mode=0777" + (volume.size_limit > 0 ? ",size=" + std::to_string(volume.size_limit) : "");
    if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
      return ErrnoError("node.bad-volume", "cannot mount a tmpfs on", path);
  }
  if (::chmod(path.c_str(), 0777) != 0) return ErrnoError("node.bad-volume", "cannot open up", path);
  return path;
}

Result<std::string> HostPath(const Volume& volume) {
  const std::string& path = volume.host_path;
  const std::string& type = volume.host_path_type;
  if (type == "DirectoryOrCreate") RETURN_IF_ERROR(MakeDirs(path));
  if (type == "FileOrCreate") {
    Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (!fd.valid()) return ErrnoError("node.bad-volume", "cannot make", path);
  }
  struct stat info;
  if (::stat(path.c_str(), &info) != 0)
    return ErrnoError("node.bad-volume", "volume " + volume.name + ": cannot see", path);
  const bool fits = type.empty() || (type.starts_with("Directory") && S_ISDIR(info.st_mode)) ||
                    (type.starts_with("File") && S_ISREG(info.st_mode)) ||
                    (type == "Socket" && S_ISSOCK(info.st_mode)) || (type == "CharDevice" && S_ISCHR(info.st_mode)) ||
                    (type == "BlockDevice" && S_ISBLK(info.st_mode));
  if (!fits) return Err("node.bad-volume", volume.name, path + " is not a " + type);
  return path;
}

}  // namespace

Result<std::map<std::string, std::string>> PrepareVolumes(const PodSpec& pod, const std::string& dir) {
  std::map<std::string, std::string> out;
  for (const auto& volume : pod.volumes) {
    ASSIGN_OR_RETURN(out[volume.name],
                     volume.kind == Volume::Kind::kEmptyDir ? EmptyDir(volume, dir) : HostPath(volume));
  }
  return out;
}

Status RemoveVolumes(const std::string& dir) {
  std::ifstream mounts("/proc/self/mountinfo");
  std::vector<std::string> points;
  for (std::string line; std::getline(mounts, line);) {
    size_t at = 0;
    for (int field = 0; field < 4 && at != std::string::npos; ++field) at = line.find(' ', at + 1);
    if (at == std::string::npos) continue;
    const std::string point = line.substr(at + 1, line.find(' ', at + 1) - at - 1);
    if (point.starts_with(dir + "/")) points.push_back(point);
  }
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    if (::umount2(point->c_str(), UMOUNT_NOFOLLOW) != 0 &&
        ::umount2(point->c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) != 0) {
      return ErrnoError("node.cleanup-failed", "cannot unmount", *point);
    }
  }
  std::error_code error;
  std::filesystem::remove_all(dir, error);
  if (error) return Err("node.cleanup-failed", dir, "cannot delete: " + error.message());
  return Ok();
}

}  // namespace ccgpu::node
