#include "base/testing/temp_dir.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace ccgpu {
namespace {

namespace fs = std::filesystem;

std::string MakeIn(const fs::path& parent) {
  std::string path = parent / "ccgpu-XXXXXX";
  if (!::mkdtemp(path.data()))
    throw fs::filesystem_error("making a test's folder", path, std::error_code(errno, std::generic_category()));
  return path;
}

struct statx Look(const fs::path& path) {
  struct statx info {};
  (void)::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE | STATX_MNT_ID, &info);
  return info;
}

void Remove(const fs::path& path, uint64_t mount) {
  const struct statx info = Look(path);
  if (S_ISDIR(info.stx_mode) && info.stx_mnt_id == mount) {
    (void)::chmod(path.c_str(), 0700);
    std::error_code error;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end; entry.increment(error))
      Remove(entry->path(), mount);
  }
  (void)::remove(path.c_str());
}

}  // namespace

TempDir::TempDir() : TempDir(fs::temp_directory_path()) {}

TempDir::TempDir(const std::string& parent) : path_(MakeIn(parent)), maker_(::getpid()) {}

TempDir::~TempDir() {
  if (::getpid() != maker_) return;
  Remove(path_, Look(fs::path(path_).parent_path()).stx_mnt_id);
  if (::access(path_.c_str(), F_OK) == 0)
    ADD_FAILURE() << path_ << " could not be removed: something is mounted in it, or a process still writes there";
}

}  // namespace ccgpu
