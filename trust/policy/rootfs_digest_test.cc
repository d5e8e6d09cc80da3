// What the digest of a rootfs covers, and how layers lie on top of each other.
#include "trust/policy/rootfs_digest.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>

#include "base/crypto/digest.h"
#include "base/file.h"
#include "base/testing/temp_dir.h"

namespace ccgpu::policy {
namespace {

namespace fs = std::filesystem;

TreeEntry File(const std::string& content, uint32_t mode = 0644) {
  TreeEntry entry;
  entry.mode = mode;
  entry.size = content.size();
  entry.content_sha256 = crypto::Sha256(AsBytes(content));
  return entry;
}
TreeEntry Folder(uint32_t mode = 0755) {
  TreeEntry entry;
  entry.type = 'd';
  entry.mode = mode;
  return entry;
}
TreeEntry Link(const std::string& target) {
  TreeEntry entry;
  entry.type = 'l';
  entry.target = target;
  return entry;
}

TEST(TreeDigest, IsThatOfTheDocumentedBytes) {
  Tree tree{{"a", Folder()}, {"a/b", File("x", 04755)}, {"c", Link("a/b")}};
  tree["a/b"].uid = 1;
  tree["a/b"].capability = {1, 2};
  const std::string bytes =
      "ccgpu rootfs 1\nd 0755 0 0 cap= 1 a\nf 4755 1 0 1 "
      "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 cap=0102 3 a/b\nl 0777 0 0 3 a/b cap= 1 c\n";
  std::string hex;
  for (const uint8_t byte : crypto::Sha256(AsBytes(bytes))) {
    char two[3];
    snprintf(two, sizeof two, "%02x", byte);
    hex += two;
  }
  EXPECT_EQ(TreeDigest(tree), "sha256:" + hex);
}

TEST(TreeDigest, ChangesWithEverythingThatCounts) {
  const Tree base{{"d", Folder()}, {"d/f", File("x")}, {"l", Link("d/f")}};
  const auto changed = [&](const std::function<void(Tree&)>& edit) {
    Tree tree = base;
    edit(tree);
    return TreeDigest(tree) != TreeDigest(base);
  };
  EXPECT_TRUE(changed([](Tree& t) { t["d/f"] = File("y"); }));
  EXPECT_TRUE(changed([](Tree& t) { t["d/f"].mode = 04644; }));
  EXPECT_TRUE(changed([](Tree& t) { t["d/f"].uid = 1; }));
  EXPECT_TRUE(changed([](Tree& t) { t["d/f"].gid = 1; }));
  EXPECT_TRUE(changed([](Tree& t) { t["d/f"].capability = {1}; }));
  EXPECT_TRUE(changed([](Tree& t) { t["d"].mode = 0777; }));
  EXPECT_TRUE(changed([](Tree& t) { t["l"].target = "d/g"; }));
  EXPECT_TRUE(changed([](Tree& t) { t["e"] = Folder(); }));
  EXPECT_TRUE(changed([](Tree& t) { t.erase("l"); }));
  EXPECT_TRUE(changed([](Tree& t) { t["g"] = t["d/f"], t.erase("d/f"); }));
  EXPECT_FALSE(changed([](Tree& t) { t["l"].mode = 0700; }));  // links have no mode
  // Content that looks like other entries stays content.
  EXPECT_NE(TreeDigest({{"a", Link("b cap= 1 c\nl 0777 0 0 1 x cap= 1 d")}}),
            TreeDigest({{"a", Link("b")}, {"d", Link("x")}}));
}

std::vector<std::string> Names(const LayeredTree& layers) {
  std::vector<std::string> out;
  for (const auto& [path, entry] : layers.tree()) out.push_back(path);
  return out;
}

TEST(LayeredTree, WhiteoutsHideLowerLayersOnly) {
  LayeredTree t;
  t.BeginLayer();
  for (const char* path : {"./a/", "a/keep", "a/gone", "b/x", "b/y/z"})
    ASSERT_TRUE(t.Add(path, std::string(path).ends_with('/') ? Folder() : File("1")).ok());
  t.BeginLayer();
  ASSERT_TRUE(t.Add("a/.wh.gone", File("")).ok());
  ASSERT_TRUE(t.Add("b/new", File("2")).ok());
  ASSERT_TRUE(t.Add("b/.wh..wh..opq", File("")).ok());
  ASSERT_TRUE(t.Add("b/y", File("now a file")).ok());
  EXPECT_THAT(Names(t), ::testing::ElementsAre("a", "a/keep", "b", "b/new", "b/y"));
  EXPECT_EQ(t.tree().at("b/y").type, 'f');
}

TEST(LayeredTree, ParentsMayBeLinksOfLowerLayers) {
  LayeredTree t;
  t.BeginLayer();
  ASSERT_TRUE(t.Add("usr/lib/", Folder()).ok());
  ASSERT_TRUE(t.Add("lib", Link("usr/lib")).ok());
  ASSERT_TRUE(t.Add("abs", Link("/usr")).ok());
  ASSERT_TRUE(t.Add("up", Link("../../usr")).ok());
  t.BeginLayer();
  ASSERT_TRUE(t.Add("lib/one", File("1")).ok());
  ASSERT_TRUE(t.Add("abs/two", File("2")).ok());
  ASSERT_TRUE(t.Add("up/lib/three", File("3")).ok());
  ASSERT_TRUE(t.AddHardLink("four", "lib/one").ok());
  EXPECT_THAT(Names(t), ::testing::ElementsAre("abs", "four", "lib", "up", "usr", "usr/lib", "usr/lib/one",
                                               "usr/lib/three", "usr/two"));
  EXPECT_EQ(t.tree().at("four"), t.tree().at("usr/lib/one"));
}

TEST(LayeredTree, ALinkIsReplacedNotFollowed) {
  LayeredTree t;
  t.BeginLayer();
  ASSERT_TRUE(t.Add("real/", Folder()).ok());
  ASSERT_TRUE(t.Add("link", Link("real")).ok());
  ASSERT_TRUE(t.Add("link", Folder()).ok());
  ASSERT_TRUE(t.Add("link/x", File("1")).ok());
  EXPECT_THAT(Names(t), ::testing::ElementsAre("link", "link/x", "real"));
}

TEST(LayeredTree, RefusesToLeaveTheRoot) {
  LayeredTree t;
  t.BeginLayer();
  EXPECT_EQ(t.Add("../x", File("")).error().code, "image.bad-path");
  EXPECT_EQ(t.Add("a/../../x", File("")).error().code, "image.bad-path");
  EXPECT_EQ(t.AddHardLink("x", "../etc/shadow").error().code, "image.bad-path");
  EXPECT_EQ(t.AddHardLink("x", "absent").error().code, "image.bad-path");
  ASSERT_TRUE(t.Add("loop", Link("loop")).ok());
  EXPECT_EQ(t.Add("loop/x", File("")).error().code, "image.bad-path");
  ASSERT_TRUE(t.Add("file", File("")).ok());
  EXPECT_EQ(t.Add("file/x", File("")).error().code, "image.bad-path");
  EXPECT_TRUE(t.Add("./", Folder(0700)).ok());  // the root itself does not count
}

class OnDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: files of an image belong to root";
    chmod(root_.path().c_str(), 0755);
  }
  const TempDir root_;
};

TEST_F(OnDisk, SameAsItsLayers) {
  umask(022);
  fs::create_directories(root_ / "etc/deep");
  ASSERT_TRUE(WriteFileAtomic(root_ / "etc/hosts", "127.0.0.1\n").ok());
  ASSERT_TRUE(WriteFileAtomic(root_ / "suid", "#!", 0755).ok());
  ASSERT_EQ(chmod((root_ / "suid").c_str(), 04755), 0);
  ASSERT_EQ(chown((root_ / "etc/hosts").c_str(), 5, 6), 0);
  fs::create_symlink("/etc/shadow", root_ / "etc/link");
  fs::create_hard_link(root_ / "suid", root_ / "hard");
  ASSERT_EQ(mkfifo((root_ / "pipe").c_str(), 0600), 0);
  LayeredTree layers;
  layers.BeginLayer();
  TreeEntry hosts = File("127.0.0.1\n"), pipe;
  hosts.uid = 5;
  hosts.gid = 6;
  pipe.type = 'p';
  pipe.mode = 0600;
  ASSERT_TRUE(layers.Add("etc/", Folder()).ok());
  ASSERT_TRUE(layers.Add("etc/deep/", Folder()).ok());
  ASSERT_TRUE(layers.Add("suid", File("#!", 04755)).ok());
  ASSERT_TRUE(layers.Add("etc/hosts", hosts).ok());
  ASSERT_TRUE(layers.Add("etc/link", Link("/etc/shadow")).ok());
  ASSERT_TRUE(layers.AddHardLink("hard", "suid").ok());
  ASSERT_TRUE(layers.Add("pipe", pipe).ok());
  auto digest = DigestDirectory(root_.path());
  ASSERT_TRUE(digest.ok()) << digest.error().ToString();
  EXPECT_EQ(*digest, TreeDigest(layers.tree()));
  // One byte, one bit of mode.
  ASSERT_TRUE(WriteFileAtomic(root_ / "suid", "#?", 0755).ok());
  EXPECT_NE(*DigestDirectory(root_.path()), *digest);
}

TEST_F(OnDisk, FileCapabilitiesCount) {
  ASSERT_TRUE(WriteFileAtomic(root_ / "ping", "x", 0755).ok());
  const std::string before = *DigestDirectory(root_.path());
  const uint8_t value[20] = {1, 0, 0, 2, 0, 0x20};  // VFS_CAP_REVISION_2, cap_net_raw
  if (setxattr((root_ / "ping").c_str(), "security.capability", value, sizeof value, 0) != 0)
    GTEST_SKIP() << "this filesystem has no file capabilities";
  EXPECT_NE(*DigestDirectory(root_.path()), before);
}

TEST_F(OnDisk, RootMustBeRootsAlone) {
  chmod(root_.path().c_str(), 0777);
  EXPECT_EQ(DigestDirectory(root_.path()).error().code, "policy.rootfs-unreadable");
  chmod(root_.path().c_str(), 0755);
  ASSERT_EQ(chown(root_.path().c_str(), 1000, 0), 0);
  EXPECT_EQ(DigestDirectory(root_.path()).error().code, "policy.rootfs-unreadable");
}

TEST_F(OnDisk, LimitsHold) {
  ASSERT_TRUE(WriteFileAtomic(root_ / "a", std::string(1000, 'x')).ok());
  ASSERT_TRUE(WriteFileAtomic(root_ / "b", "").ok());
  EXPECT_EQ(DigestDirectory(root_.path(), {.bytes = 999}).error().code, "policy.rootfs-unreadable");
  EXPECT_EQ(DigestDirectory(root_.path(), {.entries = 1}).error().code, "policy.rootfs-unreadable");
  EXPECT_TRUE(DigestDirectory(root_.path(), {.bytes = 1000, .entries = 2}).ok());
  EXPECT_EQ(DigestDirectory(root_ / "absent").error().code, "policy.rootfs-unreadable");
}

}  // namespace
}  // namespace ccgpu::policy
