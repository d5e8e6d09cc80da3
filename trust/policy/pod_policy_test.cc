// The PodPolicy document: reading it with positions, writing it in one way.
#include "trust/policy/pod_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trust/policy/paths.h"

namespace ccgpu::policy {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

const std::string kDigest = "sha256:" + std::string(64, '0');

std::string Document(const std::string& container_lines, const std::string& spec_lines = "") {
  return "apiVersion: ccgpu.dev/v1alpha1\nkind: PodPolicy\nmetadata: {name: demo}\nspec:\n" + spec_lines +
         "  containers:\n  - name: app\n    image: i\n    rootfsDigest: " + kDigest + "\n    args: [x]\n" +
         container_lines;
}

TEST(ParsePodPolicy, FillsInTheSafeDefaults) {
  auto policy = ParsePodPolicy(Document(""), "p.yaml");
  ASSERT_TRUE(policy.ok()) << policy.error().ToString();
  EXPECT_EQ(policy->pod_namespace, "default");
  EXPECT_EQ(policy->restart_policy, "Never");
  EXPECT_EQ(policy->gpus.count, 0u);
  EXPECT_EQ(policy->gpus.mode, "hopper-cc");
  EXPECT_FALSE(policy->gpus.allow_set_ready);
  const ContainerPolicy* app = policy->Find("app");
  ASSERT_NE(app, nullptr);
  EXPECT_EQ(app->cwd, "/");
  EXPECT_EQ(app->capabilities, DefaultCapabilities());
  EXPECT_TRUE(app->allowed_exec.empty());
  EXPECT_EQ(policy->Find("other"), nullptr);
}

TEST(ParsePodPolicy, RoundTripsThroughItsOneText) {
  PodPolicy policy;
  policy.pod_name = "demo";
  policy.pod_namespace = "team";
  policy.hostname = "host";
  policy.restart_policy = "Always";
  policy.host_network = policy.share_process_namespace = true;
  policy.sysctls = {{"net.core.somaxconn", "1024"}};
  policy.gpus = {2, "apm", true};
  ContainerPolicy init;
  init.name = "first";
  init.init = true;
  init.image = "a";
  init.rootfs_digest = kDigest;
  init.args = {"true"};
  ContainerPolicy app = init;
  app.name = "app";
  app.init = false;
  app.args = {"sh", "-c", "echo \"$X\" \\ # no: comment\n\ttab \x01 \x7f é", ""};
  app.cwd = "/w";
  app.env = {{"A", "true"}, {"B", ""}, {"C", "0x10"}, {"D", "a: b # c"}, {"E", "~"}};
  app.allowed_env_patterns = {"IP=10.*"};
  app.uid = 1;
  app.gid = 2;
  app.additional_gids = {3, 4};
  app.capabilities = {"CAP_CHOWN"};
  app.no_new_privileges = app.readonly_rootfs = app.terminal = true;
  app.mounts = {{"/a", MountPolicy::Source::kEmptyDir, "v", "", false},
                {"/b", MountPolicy::Source::kHostPath, "", "/srv/x y", true},
                {"/c", MountPolicy::Source::kImageVolume, "", "", false},
                {"/d", MountPolicy::Source::kConfigMap, "v", "", true, true},
                {"/e", MountPolicy::Source::kSecret, "v", "", true},
                {"/f", MountPolicy::Source::kProjected, "v", "", true},
                {"/g", MountPolicy::Source::kDownwardApi, "v", "", true},
                {"/h", MountPolicy::Source::kPersistentVolumeClaim, "v", "", false},
                {"/i", MountPolicy::Source::kServiceAccount, "", "", true}};
  app.gpus = 2;
  app.allowed_exec = {{"cat", "/x"}, {"true"}};
  policy.containers = {init, app};
  const std::string text = WritePodPolicy(policy);
  auto again = ParsePodPolicy(text, "p.yaml");
  ASSERT_TRUE(again.ok()) << again.error().ToString() << "\n" << text;
  EXPECT_EQ(*again, policy);
  EXPECT_EQ(WritePodPolicy(*again), text);
  policy.pod_name.clear();
  policy.generate_name = "demo-";
  policy.kubernetes_env = true;
  policy.containers[0].restarts = true;
  policy.containers[1].pod_name_env = {"HOSTNAME", "POD"};
  again = ParsePodPolicy(WritePodPolicy(policy), "p.yaml");
  ASSERT_TRUE(again.ok()) << again.error().ToString() << "\n" << WritePodPolicy(policy);
  EXPECT_EQ(*again, policy);
}

struct Bad {
  std::string document, where, code;
};
class RefusedPodPolicy : public ::testing::TestWithParam<Bad> {};
TEST_P(RefusedPodPolicy, WithItsPosition) {
  auto policy = ParsePodPolicy(GetParam().document, "p.yaml");
  ASSERT_FALSE(policy.ok());
  EXPECT_THAT(policy.error().subject, StartsWith("p.yaml:" + GetParam().where)) << policy.error().ToString();
  EXPECT_EQ(policy.error().code, GetParam().code) << policy.error().ToString();
}
INSTANTIATE_TEST_SUITE_P(
    Documents, RefusedPodPolicy,
    ::testing::Values(
        Bad{Document("    privileged: true\n"), "10:5: spec.containers[0].privileged", "input.unknown-field"},
        Bad{Document("    user: {uid: -1}\n"), "10:17: spec.containers[0].user.uid", "input.bad-value"},
        Bad{Document("    user: {uid: 4294967295}\n"), "10:17", "input.bad-value"},
        Bad{Document("    user: {additionalGids: [x]}\n"), "10:28", "input.bad-value"},
        Bad{Document("    user: {additionalGids: [-1]}\n"), "10:28", "input.bad-value"},
        Bad{Document("    cwd: a\n"), "10:10", "input.bad-value"},
        Bad{Document("    cwd: /a/../b\n"), "10:10", "input.bad-value"},
        Bad{Document("    capabilities: [ALL]\n"), "10:19", "input.bad-value"},
        Bad{Document("    allowedEnv: ['*=1']\n"), "10:17", "input.bad-value"},
        Bad{Document("    allowedEnv: [A]\n"), "10:17", "input.bad-value"},
        Bad{Document("    allowedExec: [ls]\n"), "10:18", "input.bad-yaml"},
        Bad{Document("    allowedExec: [[]]\n"), "10:18", "input.bad-yaml"},
        Bad{Document("    mounts: [{destination: /a, source: other}]\n"), "10:40", "input.bad-value"},
        Bad{Document("    mounts: [{destination: a, source: imageVolume}]\n"), "10:28", "input.bad-value"},
        Bad{Document("    mounts: [{destination: /a, source: emptyDir, volume: ../x}]\n"), "10:58", "input.bad-value"},
        Bad{Document("    mounts: [{destination: /a, source: imageVolume, path: /x}]\n"), "10:59", "input.bad-value"},
        Bad{Document("    mounts: [{destination: /a, source: hostPath, path: /x, volume: v}]\n"), "10:68",
            "input.bad-value"},
        Bad{Document("    mounts: [{destination: /a, source: hostPath, path: x}]\n"), "10:56", "input.bad-value"},
        Bad{Document("    mounts: [{destination: /a, source: imageVolume}, {destination: /a, source: imageVolume}]\n"),
            "10:68", "input.bad-value"},
        Bad{Document("    mounts: [{destination: /a, source: configMap}]\n"), "10:14", "input.missing-field"},
        Bad{Document("    mounts: [{destination: /a, source: serviceAccount, volume: x}]\n"), "10:64",
            "input.bad-value"},
        Bad{Document("    mounts: [{destination: /a, source: hostPath, path: /x, subPath: true}]\n"), "10:69",
            "input.bad-value"},
        Bad{Document("    restartPolicy: Never\n"), "10:20", "input.bad-value"},
        Bad{Document("    podNameEnv: [HOSTNAME]\n"), "10:17", "input.bad-value"},
        Bad{"apiVersion: ccgpu.dev/v1alpha1\nkind: PodPolicy\nmetadata: {name: x, generateName: x-}\nspec: {}\n",
            "3:35: metadata.generateName", "input.bad-value"},
        Bad{"apiVersion: ccgpu.dev/v1alpha1\nkind: PodPolicy\nmetadata: {generateName: X*}\nspec: {}\n", "3:26",
            "input.bad-value"},
        Bad{"apiVersion: ccgpu.dev/v1alpha1\nkind: PodPolicy\nmetadata: {namespace: x}\nspec: {}\n",
            "3:11: metadata.name", "input.missing-field"},
        Bad{Document("    gpus: 1\n"), "10:11: spec.containers[0].gpus", "input.bad-value"},
        Bad{Document("", "  gpus: {count: 1, mode: fast}\n"), "5:26: spec.gpus.mode", "input.bad-value"},
        Bad{Document("", "  gpus: {count: 1}\n"), "5:9", "input.bad-value"},
        Bad{Document("", "  gpus: {count: 1, coutn: 2}\n"), "5:20", "input.unknown-field"},
        Bad{Document("", "  restartPolicy: Sometimes\n"), "5:18", "input.bad-value"},
        Bad{Document("    init: true\n"), "6:3", "input.bad-value"},
        Bad{Document("  - name: app\n    image: i\n    rootfsDigest: " + kDigest + "\n    args: [x]\n"), "10:11",
            "input.bad-value"},
        Bad{Document("  - name: App\n    image: i\n    rootfsDigest: " + kDigest + "\n    args: [x]\n"), "10:11",
            "input.bad-value"},
        Bad{Document("  - name: b\n    init: true\n    image: i\n    rootfsDigest: " + kDigest + "\n    args: [x]\n"),
            "11:11", "input.bad-value"},
        Bad{Document("  - name: b\n    image: i\n    rootfsDigest: sha256:0\n    args: [x]\n"), "12:19",
            "input.bad-value"},
        Bad{Document("  - name: b\n    image: i\n    rootfsDigest: " + kDigest + "\n    args: []\n"), "13:11",
            "input.bad-value"},
        Bad{"apiVersion: ccgpu.dev/v2\nkind: PodPolicy\nmetadata: {name: x}\nspec: {}\n", "1:13: apiVersion",
            "input.bad-value"},
        Bad{"apiVersion: ccgpu.dev/v1alpha1\nkind: KeyReleasePolicy\nmetadata: {name: x}\nspec: {}\n", "2:7: kind",
            "input.bad-value"},
        Bad{"a: [", "", "input.bad-yaml"}));

TEST(ParsePodPolicy, NothingAndSeveralDocumentsAreErrors) {
  EXPECT_FALSE(ParsePodPolicy("", "p").ok());
  EXPECT_FALSE(ParsePodPolicy(Document("") + "---\n" + Document(""), "p").ok());
  EXPECT_FALSE(ParsePodPolicy("[]", "p").ok());
  EXPECT_FALSE(ParsePodPolicy("x", "p").ok());
}

TEST(IsNormalAbsolute, Table) {
  for (const char* good : {"/", "/a", "/a/b.c", "/...", "/a..b"}) EXPECT_TRUE(IsNormalAbsolute(good)) << good;
  for (const char* bad : {"", "a", "//", "/a/", "/a//b", "/./a", "/a/..", "/..", "../a"})
    EXPECT_FALSE(IsNormalAbsolute(bad)) << bad;
  EXPECT_FALSE(IsNormalAbsolute(std::string_view("/a\0b", 4)));
}

TEST(GlobMatch, Table) {
  for (const auto& [pattern, text] : {std::pair{"", ""},
                                      {"*", ""},
                                      {"*", "abc"},
                                      {"a*c", "abbc"},
                                      {"a?c", "abc"},
                                      {"**a", "a"},
                                      {"*ab*ab", "abxabab"}}) {
    EXPECT_TRUE(GlobMatch(pattern, text)) << pattern << " " << text;
  }
  for (const auto& [pattern, text] :
       {std::pair{"", "a"}, {"?", ""}, {"a*c", "abd"}, {"abc", "abcd"}, {"*ab", "aba"}, {"[a]", "a"}}) {
    EXPECT_FALSE(GlobMatch(pattern, text)) << pattern << " " << text;
  }
  EXPECT_FALSE(GlobMatch("*a*a*a*a*a*a*a*a*a*b", std::string(2000, 'a')));  // ends in good time
}

}  // namespace
}  // namespace ccgpu::policy
