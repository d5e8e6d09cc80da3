#include "node-installer/host_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/file.h"

namespace ccgpu::installer {
namespace {

constexpr size_t kMaxFile = 256u << 20;
constexpr std::chrono::seconds kLockPatience{10};
constexpr std::chrono::milliseconds kLockPause{100};

std::string NameOf(const std::string& path) { return path.substr(path.rfind('/') + 1); }
std::string TemporaryOf(const std::string& path) { return "." + NameOf(path) + HostFiles::kTemporary; }

Error Fail(std::string_view what, const std::string& path) { return ErrnoError("installer.host-file", what, path); }

bool WriteAll(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t put = ::write(fd, content.data(), content.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    content.remove_prefix(static_cast<size_t>(put));
  }
  return true;
}

// `name` in the open folder `parent`. False with errno.
bool RemoveAt(int parent, const std::string& name, dev_t device) {
  struct stat info {};
  if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT;
  if (!S_ISDIR(info.st_mode)) return ::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT;
  if (info.st_dev != device) {
    errno = EXDEV;
    return false;
  }
  DIR* dir = ::fdopendir(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (dir == nullptr) return false;
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(dir)) names.emplace_back(entry->d_name);
  bool removed = true;
  for (const std::string& inner : names) {
    if (inner != "." && inner != "..") removed = RemoveAt(::dirfd(dir), inner, device) && removed;
  }
  const int saved = errno;
  ::closedir(dir);
  errno = saved;
  return removed && (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT);
}

}  // namespace

std::string ParentOf(const std::string& path) { return path.substr(0, std::max<size_t>(1, path.rfind('/'))); }

Result<HostFiles> HostFiles::Open(const std::string& root) {
  Fd fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return Fail("cannot open the machine's root folder", root);
  return HostFiles(std::move(fd), root == "/" ? "" : root);
}

Fd HostFiles::OpenIn(const std::string& path, int flags) const {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return Fd(static_cast<int>(::syscall(SYS_openat2, root_fd_.get(), path.c_str(), &how, sizeof how)));
}

Fd HostFiles::Folder(const std::string& path) const { return OpenIn(ParentOf(path), O_RDONLY | O_DIRECTORY); }

Result<FileText> HostFiles::Read(const std::string& path) const {
  const Fd fd = OpenIn(path, O_RDONLY);
  if (!fd.valid() && errno == ENOENT) return FileText();
  if (!fd.valid()) return Fail("cannot open", path);
  auto content = ReadFile("/proc/self/fd/" + std::to_string(fd.get()), kMaxFile);
  if (!content.ok()) return Err("installer.host-file", path, content.error().text);
  return FileText(std::move(*content));
}

Status HostFiles::Write(const std::string& path, std::string_view content, mode_t mode) const {
  const Fd folder = Folder(path);
  if (!folder.valid()) return Fail("cannot open the folder of", path);
  const std::string name = NameOf(path), beside = TemporaryOf(path);
  struct stat old {};
  const bool present = ::fstatat(folder.get(), name.c_str(), &old, AT_SYMLINK_NOFOLLOW) == 0;
  if (present && !S_ISREG(old.st_mode))
    return Err("installer.host-file", path, "is no regular file; the installer changes nothing behind a link");
  ::unlinkat(folder.get(), beside.c_str(), 0);
  Fd fd(::openat(folder.get(), beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd.valid()) return Fail("cannot create a file beside", path);
  const auto fail = [&](std::string_view what) -> Status {
    Error error = Fail(what, path);
    ::unlinkat(folder.get(), beside.c_str(), 0);
    return error;
  };
  if (!WriteAll(fd.get(), content)) return fail("cannot write");
  const bool keep = present && mode == 0;
  if (keep && ::fchown(fd.get(), old.st_uid, old.st_gid) != 0) return fail("cannot keep the owner of");
  if (::fchmod(fd.get(), keep ? old.st_mode & 07777 : (mode == 0 ? 0644 : mode)) != 0)
    return fail("cannot set the mode of");
  if (::fsync(fd.get()) != 0) return fail("cannot sync");
  if (::renameat(folder.get(), beside.c_str(), folder.get(), name.c_str()) != 0) return fail("cannot rename over");
  ::fsync(folder.get());
  return Ok();
}

Status HostFiles::Link(const std::string& target, const std::string& path) const {
  const Fd folder = Folder(path);
  if (!folder.valid()) return Fail("cannot open the folder of", path);
  const std::string beside = TemporaryOf(path);
  ::unlinkat(folder.get(), beside.c_str(), 0);
  if (::symlinkat(target.c_str(), folder.get(), beside.c_str()) != 0) return Fail("cannot make the link", path);
  if (::renameat(folder.get(), beside.c_str(), folder.get(), NameOf(path).c_str()) != 0)
    return Fail("cannot make the link", path);
  ::fsync(folder.get());
  return Ok();
}

Result<std::string> HostFiles::LinkTarget(const std::string& path) const {
  const Fd folder = Folder(path);
  if (!folder.valid()) return std::string();
  char target[4096];
  const ssize_t size = ::readlinkat(folder.get(), NameOf(path).c_str(), target, sizeof target);
  if (size < 0 && (errno == ENOENT || errno == EINVAL)) return std::string();
  if (size < 0) return Fail("cannot read the link", path);
  return std::string(target, static_cast<size_t>(size));
}

bool HostFiles::Exists(const std::string& path) const {
  const Fd folder = Folder(path);
  struct stat info {};
  return folder.valid() &&
         (NameOf(path).empty() || ::fstatat(folder.get(), NameOf(path).c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0);
}

mode_t HostFiles::Mode(const std::string& path) const {
  const Fd folder = Folder(path);
  struct stat info {};
  if (!folder.valid() || ::fstatat(folder.get(), NameOf(path).c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return 0;
  return info.st_mode & 07777;
}

std::string HostFiles::Stamp(const std::string& path) const {
  const Fd folder = Folder(path);
  struct stat info {};
  if (!folder.valid() || ::fstatat(folder.get(), NameOf(path).c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return "";
  std::string stamp;
  for (const auto number : {static_cast<long>(info.st_dev), static_cast<long>(info.st_ino),
                            static_cast<long>(info.st_mode), static_cast<long>(info.st_size), info.st_mtim.tv_sec,
                            info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec})
    stamp += std::to_string(number) + " ";
  return stamp;
}

Status HostFiles::Remove(const std::string& path) const {
  const Fd folder = Folder(path);
  if (!folder.valid()) return errno == ENOENT ? Ok() : Status(Fail("cannot open the folder of", path));
  ::unlinkat(folder.get(), TemporaryOf(path).c_str(), 0);
  if (::unlinkat(folder.get(), NameOf(path).c_str(), 0) != 0 && errno != ENOENT) return Fail("cannot remove", path);
  ::fsync(folder.get());
  return Ok();
}

Status HostFiles::RemoveLeftover(const std::string& path) const {
  const Fd folder = Folder(path);
  if (folder.valid() && ::unlinkat(folder.get(), TemporaryOf(path).c_str(), 0) != 0 && errno != ENOENT)
    return Fail("cannot remove the leftover of a write beside", path);
  return Ok();
}

Result<std::vector<std::string>> HostFiles::MissingFolders(const std::string& path) const {
  std::vector<std::string> missing;
  for (std::string at = path; at.size() > 1; at = ParentOf(at)) {
    const Fd fd = OpenIn(at, O_PATH | O_DIRECTORY);
    if (fd.valid()) break;
    if (errno != ENOENT) return Fail("cannot open", at);
    missing.insert(missing.begin(), at);
  }
  return missing;
}

Status HostFiles::MakeFolder(const std::string& path) const {
  ASSIGN_OR_RETURN(const std::vector<std::string> missing, MissingFolders(path));
  for (const std::string& folder : missing) {
    const Fd parent = Folder(folder);
    const std::string name = NameOf(folder);
    if (!parent.valid() || (::mkdirat(parent.get(), name.c_str(), 0755) != 0 && errno != EEXIST) ||
        ::fchmodat(parent.get(), name.c_str(), 0755, 0) != 0)
      return Fail("cannot make the folder", folder);
  }
  return Ok();
}

Status HostFiles::RemoveFolderIfEmpty(const std::string& path) const {
  const Fd parent = Folder(path);
  if (!parent.valid()) return Ok();
  if (::unlinkat(parent.get(), NameOf(path).c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT && errno != ENOTEMPTY &&
      errno != EEXIST)
    return Fail("cannot remove the folder", path);
  return Ok();
}

Status HostFiles::RemoveTree(const std::string& path) const {
  const Fd parent = Folder(path);
  if (!parent.valid()) return errno == ENOENT ? Ok() : Status(Fail("cannot open the folder of", path));
  struct stat info {};
  if (::fstatat(parent.get(), NameOf(path).c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return Ok();
  if (!RemoveAt(parent.get(), NameOf(path), info.st_dev)) return Fail("cannot remove all of", path);
  return Ok();
}

bool HostFiles::IsLocked(const std::string& path) const {
  const Fd fd = OpenIn(path, O_RDONLY);
  return fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

bool HostFiles::IsListening(const std::string& path) const {
  const Fd folder = Folder(path);
  const Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string here = "/proc/self/fd/" + std::to_string(folder.get()) + "/" + NameOf(path);
  if (!folder.valid() || !socket.valid() || here.size() >= sizeof address.sun_path) return false;
  here.copy(address.sun_path, sizeof address.sun_path - 1);
  // A full queue (EAGAIN) is a listener too.
  return ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 || errno == EAGAIN;
}

std::vector<std::string> HostFiles::List(const std::string& path) const {
  std::vector<std::string> names;
  Fd fd = OpenIn(path, O_RDONLY | O_DIRECTORY);
  if (!fd.valid()) return names;
  DIR* dir = ::fdopendir(fd.Release());
  if (dir == nullptr) return names;
  while (const dirent* entry = ::readdir(dir)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  ::closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

Result<Fd> HostFiles::Lock() const {
  Fd fd = OpenIn("/etc", O_RDONLY | O_DIRECTORY);
  if (!fd.valid()) return Fail("cannot open", "/etc");
  const auto end = std::chrono::steady_clock::now() + kLockPatience;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return Fail("cannot lock", "/etc");
    if (std::chrono::steady_clock::now() > end)
      return Err("installer.busy", "/etc", "another installer works on this machine; wait until it is done");
    std::this_thread::sleep_for(kLockPause);
  }
  return fd;
}

}  // namespace ccgpu::installer
