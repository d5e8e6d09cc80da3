// ReadTree: the only part of trust/policy that looks at a disk; it gets the folder as an open descriptor.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "base/crypto/digest.h"
#include "base/fd.h"
#include "base/file.h"
#include "trust/policy/rootfs_digest.h"

namespace ccgpu::policy {
namespace {

class TreeReader {
 public:
  TreeReader(Tree& tree, const TreeLimits& limits) : tree_(tree), limits_(limits), buffer_(256u << 10) {}

  // The children of an open folder. The names are sorted by the map, not by the disk.
  Status ReadFolder(int fd, const std::string& prefix, int depth) {
    if (depth > 200) return Err("policy.rootfs-unreadable", prefix, "is nested deeper than 200 folders");
    const int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) return ErrnoError("policy.rootfs-unreadable", "opening", prefix);
    std::unique_ptr<DIR, int (*)(DIR*)> dir(fdopendir(copy), closedir);
    if (!dir) return ErrnoError("policy.rootfs-unreadable", "reading", prefix);
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(dir.get());
      if (entry == nullptr)
        return errno == 0 ? Ok() : Status(ErrnoError("policy.rootfs-unreadable", "reading", prefix));
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      RETURN_IF_ERROR(ReadEntry(fd, name, prefix.empty() ? name : prefix + "/" + name, depth));
    }
  }

 private:
  Status ReadEntry(int folder, const std::string& name, const std::string& path, int depth) {
    if (tree_.size() >= limits_.entries)
      return Err("policy.rootfs-unreadable", path, "the rootfs has too many entries");
    struct stat st;
    if (fstatat(folder, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
      return ErrnoError("policy.rootfs-unreadable", "looking at", path);
    TreeEntry out{.type = '?',
                  .mode = st.st_mode & 07777,
                  .uid = st.st_uid,
                  .gid = st.st_gid,
                  .content_sha256 = {},
                  .target = {},
                  .capability = {}};
    if (S_ISREG(st.st_mode)) {
      RETURN_IF_ERROR(ReadRegular(folder, name, path, st, out));
    } else if (S_ISDIR(st.st_mode)) {
      out.type = 'd';
      Fd fd(openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!fd.valid()) return ErrnoError("policy.rootfs-unreadable", "opening", path);
      RETURN_IF_ERROR(ReadFolder(fd.get(), path, depth + 1));
    } else if (S_ISLNK(st.st_mode)) {
      out.type = 'l';
      out.target.resize(4096);
      const ssize_t length = readlinkat(folder, name.c_str(), out.target.data(), out.target.size());
      if (length < 0 || length == 4096) return ErrnoError("policy.rootfs-unreadable", "reading the link", path);
      out.target.resize(static_cast<size_t>(length));
    } else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
      out.type = S_ISCHR(st.st_mode) ? 'c' : 'b';
      out.major = major(st.st_rdev);
      out.minor = minor(st.st_rdev);
    } else if (S_ISFIFO(st.st_mode)) {
      out.type = 'p';
    } else {
      return Err("policy.rootfs-unreadable", path, "is a socket: no image has one");
    }
    tree_.emplace(path, std::move(out));
    return Ok();
  }

  Status ReadRegular(int folder, const std::string& name, const std::string& path, const struct stat& st,
                     TreeEntry& out) {
    out.type = 'f';
    Fd fd(openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    struct stat again;
    if (!fd.valid() || fstat(fd.get(), &again) != 0) return ErrnoError("policy.rootfs-unreadable", "opening", path);
    if (again.st_ino != st.st_ino || again.st_dev != st.st_dev)
      return Err("policy.rootfs-unreadable", path, "changed while it was read");
    crypto::Hasher hasher(crypto::Hash::kSha256);
    for (;;) {
      const ssize_t got = read(fd.get(), buffer_.data(), buffer_.size());
      if (got < 0) return ErrnoError("policy.rootfs-unreadable", "reading", path);
      if (got == 0) break;
      out.size += static_cast<uint64_t>(got);
      bytes_ += static_cast<uint64_t>(got);
      if (bytes_ > limits_.bytes) return Err("policy.rootfs-unreadable", path, "the rootfs is too large");
      hasher.Update({buffer_.data(), static_cast<size_t>(got)});
    }
    out.content_sha256 = hasher.Finish();
    uint8_t value[64];
    const ssize_t length = fgetxattr(fd.get(), "security.capability", value, sizeof value);
    if (length > 0) out.capability.assign(value, value + length);
    if (length < 0 && errno != ENODATA && errno != ENOTSUP)
      return ErrnoError("policy.rootfs-unreadable", "reading the capabilities of", path);
    return Ok();
  }

  Tree& tree_;
  TreeLimits limits_;
  std::vector<uint8_t> buffer_;
  uint64_t bytes_ = 0;
};

}  // namespace

Result<Tree> ReadTree(int root_fd, const TreeLimits& limits) {
  struct stat root;
  if (fstat(root_fd, &root) != 0) return ErrnoError("policy.rootfs-unreadable", "looking at", "/");
  if (root.st_uid != 0 || root.st_gid != 0 || (root.st_mode & 022) != 0) {
    return Err("policy.rootfs-unreadable", "/", "the root folder must belong to 0:0 and be writable by its owner only");
  }
  Tree tree;
  RETURN_IF_ERROR(TreeReader(tree, limits).ReadFolder(root_fd, "", 0));
  return tree;
}

Result<std::string> DigestDirectory(const std::string& path, const TreeLimits& limits) {
  Fd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError("policy.rootfs-unreadable", "opening", path);
  ASSIGN_OR_RETURN(const Tree tree, ReadTree(fd.get(), limits));
  return TreeDigest(tree);
}

}  // namespace ccgpu::policy
