#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include "base/file.h"
#include "shim/oci/cgroup.h"
#include "shim/oci/mounts.h"
#include "shim/oci/spec.h"

namespace ccgpu::shim {
namespace {

using testing::HasSubstr;

TEST(Spec, ReadsWhatContainerdsCriWrote) {
  for (const char* file : {"containerd-1.6.20-plain.json", "containerd-1.6.20-full.json"}) {
    auto text = ReadFile(std::string(CCGPU_SOURCE_DIR) + "/trust/policy/testdata/" + file);
    ASSERT_TRUE(text.ok());
    auto spec = ReadSpec(*text, file);
    ASSERT_TRUE(spec.ok()) << spec.error().ToString();
    EXPECT_EQ(spec->kind, ContainerKind::kPodContainer);
    EXPECT_TRUE(spec->private_pid());
    EXPECT_THAT(spec->namespaces.at("network"), HasSubstr("/ns/net"));
    EXPECT_EQ(GroupOf(*spec, "x"), spec->Annotation("io.kubernetes.cri.sandbox-id"));
  }
  auto text = ReadFile(std::string(CCGPU_SOURCE_DIR) + "/trust/policy/testdata/containerd-1.6.20-sandbox.json");
  auto spec = ReadSpec(*text, "sandbox");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->kind, ContainerKind::kPodSandbox);
  EXPECT_EQ(spec->hostname, "demo");
  EXPECT_THAT(spec->namespaces.at("network"), HasSubstr("/var/run/netns/"));
}

TEST(Spec, RefusesWhatHasAnotherShape) {
  const std::pair<const char*, const char*> cases[] = {
      {"[]", "object"},
      {R"({"annotations": {"a": 1}})", "annotations.a"},
      {R"({"linux": []})", "linux"},
      {R"({"linux": {"namespaces": {}}})", "linux.namespaces"},
      {R"({"linux": {"namespaces": [{"type": "pid"}, {"type": "pid"}]}})", "twice"},
      {R"({"linux": {"cgroupsPath": 7}})", "cgroupsPath"},
      {R"({"process": {"env": "A=B"}})", "process.env"},
      {R"({"annotations": {"io.kubernetes.cri.container-type": "vm"}})", "container-type"},
      {R"({"annotations": {"io.kubernetes.cri.container-type": "container"}})", "sandbox-id"},
  };
  for (const auto& [text, field] : cases) {
    auto spec = ReadSpec(text, "config.json");
    ASSERT_FALSE(spec.ok()) << text;
    EXPECT_EQ(spec.error().code, "oci.bad-spec");
    EXPECT_THAT(spec.error().ToString(), HasSubstr(field));
  }
  EXPECT_FALSE(ReadSpec(R"({"hostname": "a", "hostname": "b"})", "x").ok()) << "a key twice means two things";
  EXPECT_TRUE(ReadSpec("{}", "x").ok());
}

TEST(Spec, GroupsByAnnotationThenSandboxThenId) {
  SpecFacts spec;
  EXPECT_EQ(GroupOf(spec, "me"), "me");
  spec.annotations["io.kubernetes.cri.sandbox-id"] = "pod";
  EXPECT_EQ(GroupOf(spec, "me"), "pod");
  spec.annotations["io.containerd.runc.v2.group"] = "group";
  EXPECT_EQ(GroupOf(spec, "me"), "group");
}

TEST(Mounts, OptionsBecomeFlagsPropagationAndData) {
  EXPECT_EQ(ParseMountOptions({"ro", "nosuid", "rbind", "rslave"}),
            (MountOptions{MS_RDONLY | MS_NOSUID | MS_BIND | MS_REC, MS_SLAVE | MS_REC, ""}));
  EXPECT_EQ(ParseMountOptions({"ro", "rw", "lowerdir=/a:/b", "upperdir=/c", "index=off"}),
            (MountOptions{0, 0, "lowerdir=/a:/b,upperdir=/c,index=off"}));
}

TEST(Mounts, LongOverlaysAreNamedRelativeToTheirCommonParent) {
  EXPECT_EQ(CompactOverlay("index=off,lowerdir=/s/1/fs:/s/22/fs,upperdir=/u"),
            std::pair(std::string("/s/"), std::string("index=off,lowerdir=1/fs:22/fs,upperdir=/u")));
  EXPECT_EQ(CompactOverlay("lowerdir=/a:/b").first, "") << "nothing in common but the root";
  EXPECT_EQ(CompactOverlay("upperdir=/u,xlowerdir=/a/b").first, "");
}

TEST(Cgroup, PathsAsRuncMakesThem) {
  Cgroup none("");
  EXPECT_TRUE(none.folders().empty());
  EXPECT_TRUE(none.Pids().empty());
  EXPECT_FALSE(none.Stats().ok());
  for (const char* hostile : {"/", "/../..", "/a/../../b"}) {
    Cgroup cgroup(hostile);
    EXPECT_TRUE(cgroup.folders().empty()) << hostile << " would mean the whole machine";
    EXPECT_TRUE(cgroup.KillAll());
  }
  Cgroup plain("k8s.io/x"), systemd("kubepods-besteffort-pod1.slice:cri-containerd:abc");
  for (const auto& folder : plain.folders()) EXPECT_TRUE(folder.ends_with("/k8s.io/x")) << folder;
  for (const auto& folder : systemd.folders())
    EXPECT_TRUE(folder.ends_with(
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/cri-containerd-abc.scope"))
        << folder;
  EXPECT_EQ(Cgroup("/ccgpu-test/not-there").Stats().error().code, "cgroup.gone");
}

}  // namespace
}  // namespace ccgpu::shim
