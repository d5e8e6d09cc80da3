#include "base/testing/temp_dir.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

namespace ccgpu {
namespace {

namespace fs = std::filesystem;

void Touch(const std::string& path) { std::ofstream(path) << "x"; }

TEST(TempDir, IsItsOwnersAloneAndShort) {
  const TempDir one, other;
  EXPECT_NE(one.path(), other.path());
  EXPECT_EQ(fs::status(one.path()).permissions(), fs::perms::owner_all);
  EXPECT_EQ(one.path().size(), fs::temp_directory_path().string().size() + 13);
  EXPECT_EQ(one / "a/b", one.path() + "/a/b");
  EXPECT_EQ(fs::path(TempDir(one.path()).path()).parent_path(), one.path());
  EXPECT_THROW(TempDir(one / "none"), fs::filesystem_error);
}

// Without root's capabilities, which need no permissions.
TEST(TempDir, GoesWithAllThatIsInIt) {
  const auto made_and_gone = [] {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct none[2]{};
    if (::syscall(SYS_capset, &header, none) != 0) ::_exit(2);
    std::optional<TempDir> dir(std::in_place);
    const std::string path = dir->path();
    fs::create_directories(*dir / "a/b/c");
    Touch(*dir / "a/b/c/file");
    fs::permissions(*dir / "a/b/c/file", fs::perms::none);
    for (const char* name : {"a/b/c", "a/b", "a"}) fs::permissions(*dir / name, fs::perms::none);
    dir.reset();
    ::_exit(fs::exists(path) ? 1 : 0);
  };
  EXPECT_EXIT(made_and_gone(), ::testing::ExitedWithCode(0), "");
}

TEST(TempDir, FollowsNoLink) {
  const TempDir kept;
  Touch(kept / "file");
  fs::permissions(kept / "file", fs::perms::owner_read);
  {
    const TempDir dir;
    fs::create_directory_symlink(kept.path(), dir / "folder");
    fs::create_symlink(kept / "file", dir / "file");
    fs::create_symlink(dir / "nowhere", dir / "dangling");
  }
  EXPECT_TRUE(fs::exists(kept / "file"));
  EXPECT_EQ(fs::status(kept / "file").permissions(), fs::perms::owner_read);
}

TEST(TempDir, StaysWithAMountInItAndSaysSo) {
  if (::geteuid() != 0) GTEST_SKIP() << "SKIPPED: only root may mount";
  const TempDir kept;
  Touch(kept / "file");
  std::optional<TempDir> dir(std::in_place);
  const std::string place = *dir / "place";
  fs::create_directory(place);
  // A bind mount of the same file system, so that device numbers tell nothing.
  if (::mount(kept.path().c_str(), place.c_str(), nullptr, MS_BIND, nullptr) != 0)
    GTEST_SKIP() << "SKIPPED: mounting is not permitted here";
  EXPECT_NONFATAL_FAILURE(dir.reset(), "could not be removed");
  EXPECT_TRUE(fs::exists(kept / "file"));
  ASSERT_EQ(::umount2(place.c_str(), MNT_DETACH), 0);
  fs::remove_all(fs::path(place).parent_path());
}

TEST(TempDir, StaysWhenAForkedProcessEnds) {
  const TempDir dir;
  const pid_t child = ::fork();
  if (child == 0) {
    dir.~TempDir();
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(fs::exists(dir.path()));
}

}  // namespace
}  // namespace ccgpu
