// Archives: what we write is read back, equals the same files on a disk, and damage is found.
#include "node/images/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "base/testing/temp_dir.h"
#include "trust/policy/rootfs_digest.h"

namespace ccgpu::images {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Archive : public ::testing::Test {
 protected:
  FileSpec File(const std::string& path, const std::string& content, uint32_t mode = 0644) {
    return {.path = path, .mode = mode, .content = content, .source = {}, .target = {}};
  }
  FileSpec Link(const std::string& path, const std::string& target) {
    return {.path = path, .type = 'l', .content = {}, .source = {}, .target = target};
  }
  ImageSpec Two() {
    ImageSpec spec;
    spec.reference = "localhost/t/two:latest";
    spec.layers = {
        {File("/etc/passwd", "root:x:0:0::/:/bin/sh\n"), File("/etc/group", "root:x:0:\n"),
         File("/bin/tool", std::string(200000, 't'), 0755), File("/old/gone", "1"), File("/ünïcode/ f", "2")},
        {File("/etc/passwd", "web:x:1000:1000::/:/bin/sh\n"), File("/old/.wh.gone", ""), Link("/lib", "usr/lib"),
         File("/usr/lib/x.so", "so")}};
    spec.entrypoint = {"/bin/tool"};
    spec.cmd = {"a", "b"};
    spec.env = {"PATH=/bin", "X=1"};
    spec.working_dir = "/etc";
    spec.user = "web";
    return spec;
  }
  const TempDir dir_;
};

TEST_F(Archive, IsReadBack) {
  auto digest = WriteOciArchive(Two(), dir_ / "a.tar");
  ASSERT_TRUE(digest.ok()) << digest.error().ToString();
  auto images = ReadArchive(dir_ / "a.tar");
  ASSERT_TRUE(images.ok()) << images.error().ToString();
  ASSERT_EQ(images->size(), 1u);
  const ImageInfo& image = images->front();
  EXPECT_EQ(image.reference, "localhost/t/two:latest");
  EXPECT_EQ(image.manifest_digest, *digest);
  EXPECT_EQ(image.etc_passwd, "web:x:1000:1000::/:/bin/sh\n");  // of the upper layer
  EXPECT_EQ(image.etc_group, "root:x:0:\n");
  EXPECT_GT(image.size, 200000);
  auto config = ParseImageConfig(image.config_json);
  ASSERT_TRUE(config.ok());
  EXPECT_THAT(config->entrypoint, ::testing::ElementsAre("/bin/tool"));
  EXPECT_THAT(config->cmd, ::testing::ElementsAre("a", "b"));
  EXPECT_THAT(config->env, ::testing::ElementsAre("PATH=/bin", "X=1"));
  EXPECT_EQ(config->working_dir, "/etc");
  EXPECT_EQ(config->user, "web");
  auto again = ImageInfoFromJson(ImageInfoToJson(image));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->rootfs_digest, image.rootfs_digest);
  EXPECT_EQ(again->config_json, image.config_json);
}

TEST_F(Archive, IsTheSameEachTimeAndWhateverTheCompression) {
  ImageSpec spec = Two();
  ASSERT_TRUE(WriteOciArchive(spec, dir_ / "a.tar").ok());
  ASSERT_TRUE(WriteOciArchive(spec, dir_ / "b.tar").ok());
  EXPECT_EQ(*ReadFile(dir_ / "a.tar"), *ReadFile(dir_ / "b.tar"));
  spec.gzip = true;
  ASSERT_TRUE(WriteOciArchive(spec, dir_ / "c.tar").ok());
  EXPECT_LT(fs::file_size(dir_ / "c.tar"), fs::file_size(dir_ / "a.tar"));
  auto plain = ReadArchive(dir_ / "a.tar"), packed = ReadArchive(dir_ / "c.tar");
  ASSERT_TRUE(packed.ok()) << packed.error().ToString();
  EXPECT_EQ(plain->front().rootfs_digest, packed->front().rootfs_digest);
}

TEST_F(Archive, DigestIsThatOfTheUnpackedFiles) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: files of an image belong to root";
  ASSERT_TRUE(WriteOciArchive(Two(), dir_ / "a.tar").ok());
  const std::string root = dir_ / "root";
  umask(022);
  for (const char* folder : {"/etc", "/bin", "/old", "/ünïcode", "/usr/lib"}) fs::create_directories(root + folder);
  ASSERT_TRUE(WriteFileAtomic(root + "/etc/passwd", "web:x:1000:1000::/:/bin/sh\n").ok());
  ASSERT_TRUE(WriteFileAtomic(root + "/etc/group", "root:x:0:\n").ok());
  ASSERT_TRUE(WriteFileAtomic(root + "/bin/tool", std::string(200000, 't'), 0755).ok());
  ASSERT_TRUE(WriteFileAtomic(root + "/ünïcode/ f", "2").ok());
  ASSERT_TRUE(WriteFileAtomic(root + "/usr/lib/x.so", "so").ok());
  fs::create_symlink("usr/lib", root + "/lib");
  auto disk = policy::DigestDirectory(root);
  ASSERT_TRUE(disk.ok()) << disk.error().ToString();
  auto images = ReadArchive(dir_ / "a.tar");
  ASSERT_TRUE(images.ok());
  EXPECT_EQ(images->front().rootfs_digest, *disk);
}

TEST_F(Archive, DockerArchives) {
  // The same layers in docker's layout: made of our archive by renaming.
  ASSERT_TRUE(WriteOciArchive(Two(), dir_ / "a.tar").ok());
  const std::string work = dir_ / "docker";
  fs::create_directories(work);
  ASSERT_EQ(std::system(("tar -C " + work + " -xf " + dir_ / "a.tar").c_str()), 0);
  const Json index = Json::parse(*ReadFile(work + "/index.json"));
  const auto blob = [](const Json& descriptor) {
    return "blobs/sha256/" + descriptor["digest"].get<std::string>().substr(7);
  };
  const Json manifest = Json::parse(*ReadFile(work + "/" + blob(index["manifests"][0])));
  Json docker = {
      {"Config", "config.json"}, {"RepoTags", {"docker.io/x:1", "docker.io/x:2"}}, {"Layers", Json::array()}};
  fs::copy(work + "/" + blob(manifest["config"]), work + "/config.json");
  for (const Json& layer : manifest["layers"]) {
    const std::string name = "layer" + std::to_string(docker["Layers"].size()) + ".tar";
    fs::copy(work + "/" + blob(layer), work + "/" + name);
    docker["Layers"].push_back(name);
  }
  ASSERT_TRUE(WriteFileAtomic(work + "/manifest.json", Json::array({docker}).dump()).ok());
  ASSERT_EQ(std::system(("cd " + work + " && tar -cf ../d.tar manifest.json config.json layer*.tar").c_str()), 0);
  auto images = ReadArchive(dir_ / "d.tar"), original = ReadArchive(dir_ / "a.tar");
  ASSERT_TRUE(images.ok()) << images.error().ToString();
  ASSERT_EQ(images->size(), 2u);
  EXPECT_EQ(images->at(1).reference, "docker.io/x:2");
  EXPECT_EQ(images->front().rootfs_digest, original->front().rootfs_digest);
}

TEST_F(Archive, DamageIsFound) {
  ASSERT_TRUE(WriteOciArchive(Two(), dir_ / "a.tar").ok());
  const std::string good = *ReadFile(dir_ / "a.tar");
  std::string bad = good;
  bad[bad.find("tttttttt") + 1000] = 'T';  // a byte of a layer
  ASSERT_TRUE(WriteFileAtomic(dir_ / "bad.tar", bad).ok());
  auto images = ReadArchive(dir_ / "bad.tar");
  ASSERT_FALSE(images.ok());
  EXPECT_EQ(images.error().code, "image.digest-mismatch");
  bad = good;
  const size_t config = bad.find("\"WorkingDir\":\"/etc\"");
  ASSERT_NE(config, std::string::npos);
  bad.replace(config, 19, "\"WorkingDir\":\"/bin\"");
  ASSERT_TRUE(WriteFileAtomic(dir_ / "bad.tar", bad).ok());
  EXPECT_EQ(ReadArchive(dir_ / "bad.tar").error().code, "image.digest-mismatch");
  for (size_t length = 0; length < good.size(); length += 7001) {
    ASSERT_TRUE(WriteFileAtomic(dir_ / "cut.tar", good.substr(0, length)).ok());
    EXPECT_FALSE(ReadArchive(dir_ / "cut.tar").ok()) << length;
  }
}

TEST_F(Archive, WhatIsNoArchive) {
  EXPECT_FALSE(ReadArchive(dir_ / "absent").ok());
  ASSERT_TRUE(WriteFileAtomic(dir_ / "text", "hello").ok());
  EXPECT_FALSE(ReadArchive(dir_ / "text").ok());
  ASSERT_EQ(std::system(("tar -C " + dir_.path() + " -cf " + dir_ / "t.tar text").c_str()), 0);
  auto images = ReadArchive(dir_ / "t.tar");
  ASSERT_FALSE(images.ok());
  EXPECT_THAT(images.error().text, HasSubstr("neither"));
  for (const char* index : {"[]", "{}", "{\"manifests\":[1]}", "{\"manifests\":[{\"digest\":\"sha256:x\"}]}",
                            "{\"manifests\":[{\"digest\":5}]}", "{"}) {
    ASSERT_TRUE(WriteFileAtomic(dir_ / "index.json", index).ok());
    ASSERT_EQ(std::system(("tar -C " + dir_.path() + " -cf " + dir_ / "t.tar index.json").c_str()), 0);
    EXPECT_FALSE(ReadArchive(dir_ / "t.tar").ok()) << index;
  }
}

TEST_F(Archive, RefusesBadSpecs) {
  ImageSpec spec;
  spec.layers = {{File("relative", "x")}};
  EXPECT_EQ(WriteOciArchive(spec, dir_ / "a").error().code, "image.bad-path");
  spec.layers = {{File("/x", "1"), File("/x", "2")}};
  EXPECT_EQ(WriteOciArchive(spec, dir_ / "a").error().code, "image.bad-path");
  spec.layers = {{{.path = "/x", .content = {}, .source = dir_ / "absent", .target = {}}}};
  EXPECT_FALSE(WriteOciArchive(spec, dir_ / "a").ok());
}

TEST(ParseImageConfig, NothingInItIsFine) {
  EXPECT_TRUE(ParseImageConfig("{}").ok());
  EXPECT_TRUE(ParseImageConfig(R"({"config":null})").ok());
  EXPECT_TRUE(ParseImageConfig(R"({"config":{"Cmd":null,"Env":null}})").ok());
  EXPECT_FALSE(ParseImageConfig(R"({"config":{"Cmd":"sh"}})").ok());
  EXPECT_FALSE(ParseImageConfig("[]").ok());
}

}  // namespace
}  // namespace ccgpu::images
