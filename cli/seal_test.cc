// Sealing: what CRI makes of a pod and its image is what the policy says, and the manifest stays as people wrote it.
#include "cli/seal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/json.h"
#include "cli/image_user.h"
#include "node/manifest/workload.h"
#include "trust/kbs/initdata.h"

namespace ccgpu::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kDigest = "sha256:" + std::string(64, '1');
const char* const kPasswd = "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001::/:/bin/sh\n# comment\nbroken\n";
const char* const kGroup = "root:x:0:\nwheel:x:10:root\nweb:x:1001:\naudio:x:63:web,other\n";

images::ImageInfo Image(const Json& config) {
  return {.reference = "img",
          .manifest_digest = "",
          .config_json = Json{{"config", config}}.dump(),
          .rootfs_digest = kDigest,
          .size = 1,
          .etc_passwd = kPasswd,
          .etc_group = kGroup};
}

Result<policy::PodPolicy> Make(const std::string& container, const Json& config, const std::string& spec = "",
                               const PolicyChoices& choices = {}) {
  auto pod = node::ParsePod("apiVersion: v1\nkind: Pod\nmetadata: {name: demo}\nspec:\n  restartPolicy: Never\n" +
                                spec + "  containers:\n  - name: app\n    image: img\n" + container,
                            "pod.yaml");
  if (!pod.ok()) return pod.error();
  return MakePodPolicy(*pod, {{"img", Image(config)}}, choices);
}

policy::ContainerPolicy App(const std::string& container, const Json& config, const std::string& spec = "") {
  auto policy = Make(container, config, spec);
  EXPECT_TRUE(policy.ok()) << (policy.ok() ? "" : policy.error().ToString());
  return policy.ok() ? policy->containers.back() : policy::ContainerPolicy();
}

TEST(MakePodPolicy, MergesCommandsAsKubernetesDoes) {
  const Json config = {{"Entrypoint", {"/e"}}, {"Cmd", {"c"}}};
  EXPECT_THAT(App("", config).args, ElementsAre("/e", "c"));
  EXPECT_THAT(App("    args: [a]\n", config).args, ElementsAre("/e", "a"));
  EXPECT_THAT(App("    command: [x]\n", config).args, ElementsAre("x"));  // the image's Cmd goes with its entrypoint
  EXPECT_THAT(App("    command: [x]\n    args: [a, b]\n", config).args, ElementsAre("x", "a", "b"));
  EXPECT_EQ(Make("", Json::object()).error().code, "cli.cannot-seal");
}

TEST(MakePodPolicy, EnvironmentIsDefaultsThenImageThenPod) {
  const Json config = {{"Cmd", {"c"}}, {"Env", {"A=image", "B=image", "PATH=/image"}}};
  const auto app =
      App("    env: [{name: B, value: pod}, {name: N, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]\n", config);
  EXPECT_EQ(app.env, (std::map<std::string, std::string>{
                         {"A", "image"}, {"B", "pod"}, {"PATH", "/image"}, {"HOSTNAME", "demo"}, {"N", "demo"}}));
  const auto bare =
      App("    env: [{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]\n    tty: true\n", {{"Cmd", {"c"}}});
  EXPECT_EQ(bare.env.at("PATH"), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  EXPECT_EQ(bare.env.at("TERM"), "xterm");
  EXPECT_THAT(bare.allowed_env_patterns, ElementsAre("IP=*.*.*.*"));
}

TEST(MakePodPolicy, SecurityContext) {
  const Json config = {{"Cmd", {"c"}}, {"WorkingDir", "/w"}};
  const auto app =
      App("    securityContext: {capabilities: {add: [NET_ADMIN], drop: [ALL]}, readOnlyRootFilesystem: true, "
          "allowPrivilegeEscalation: false, runAsUser: 1000}\n",
          config);
  EXPECT_EQ(app.cwd, "/w");
  EXPECT_THAT(app.capabilities, ElementsAre("CAP_NET_ADMIN"));
  EXPECT_TRUE(app.readonly_rootfs);
  EXPECT_TRUE(app.no_new_privileges);
  EXPECT_EQ(app.uid, 1000u);
  EXPECT_EQ(app.gid, 1001u);
  EXPECT_THAT(app.additional_gids, ElementsAre(63));
  EXPECT_EQ(Make("    securityContext: {capabilities: {add: [ALL]}}\n", config).error().code, "cli.cannot-seal");
  EXPECT_EQ(Make("    securityContext: {seccompProfile: {type: RuntimeDefault}}\n", config).error().code,
            "cli.cannot-seal");
  EXPECT_EQ(Make("    securityContext: {runAsNonRoot: true}\n", config).error().code, "cli.cannot-seal");
}

TEST(MakePodPolicy, MountsAndGpus) {
  const Json config = {{"Cmd", {"c"}}, {"Volumes", {{"/iv", Json::object()}, {"/data", Json::object()}}}};
  const std::string volumes = "  volumes: [{name: d, emptyDir: {}}, {name: h, hostPath: {path: /srv}}]\n";
  auto policy = Make(
      "    volumeMounts: [{name: d, mountPath: /data}, {name: h, mountPath: /host, readOnly: true}]\n    resources: "
      "{limits: {ccgpu.dev/cc-gpu: 2}}\n",
      config, volumes);
  ASSERT_TRUE(policy.ok()) << policy.error().ToString();
  EXPECT_EQ(policy->gpus.count, 2u);
  const auto& app = policy->containers[0];
  EXPECT_EQ(app.gpus, 2u);
  ASSERT_EQ(app.mounts.size(), 3u);
  EXPECT_EQ(app.mounts[0], (policy::MountPolicy{"/data", policy::MountPolicy::Source::kEmptyDir, "d", "", false}));
  EXPECT_EQ(app.mounts[1], (policy::MountPolicy{"/host", policy::MountPolicy::Source::kHostPath, "", "/srv", true}));
  EXPECT_EQ(app.mounts[2].source, policy::MountPolicy::Source::kImageVolume);
}

TEST(MakePodPolicy, ExecAndUnknownThings) {
  PolicyChoices choices;
  choices.allowed_exec = {{"app", {{"cat", "/x"}}}};
  auto policy = Make("", {{"Cmd", {"c"}}}, "", choices);
  ASSERT_TRUE(policy.ok());
  EXPECT_THAT(policy->containers[0].allowed_exec, ElementsAre(ElementsAre("cat", "/x")));
  choices.allowed_exec = {{"other", {{"cat"}}}};
  EXPECT_EQ(Make("", {{"Cmd", {"c"}}}, "", choices).error().code, "cli.cannot-seal");
  auto pod = node::ParsePod(
      "apiVersion: v1\nkind: Pod\nmetadata: {name: demo}\nspec: {containers: [{name: app, image: absent}]}\n", "p");
  ASSERT_TRUE(pod.ok());
  EXPECT_EQ(MakePodPolicy(*pod, {}, {}).error().code, "cli.unknown-image");
}

// Recorded in kind clusters, under containerd 1.6.20 and 2.4.2 alike.
TEST(ResolveUser, AsKubelet) {
  using Groups = std::vector<uint32_t>;
  const char* passwd = "root:x:0:0:root:/:/bin/sh\nweb:x:1000:1001::/:/bin/sh\n";
  const char* group = "root:x:0:\nwheel:x:10:root\nweb:x:1001:\naudio:x:63:\ncdrom:x:24:web\n";
  for (const char* user : {"1000:63", "web", "web:audio"}) {
    const auto out = ResolveUser(
        {.run_as_user = {}, .run_as_group = {}, .image_user = user, .supplemental_groups = {}, .kubelet = true}, passwd,
        group);
    ASSERT_TRUE(out.ok());
    EXPECT_EQ(std::make_tuple(out->uid, out->gid, out->additional_gids), std::make_tuple(1000u, 1001u, Groups{24}))
        << user;
  }
  const auto root = ResolveUser(
      {.run_as_user = {}, .run_as_group = {}, .image_user = "0", .supplemental_groups = {}, .kubelet = true}, passwd,
      group);
  EXPECT_EQ(std::make_tuple(root->uid, root->gid, root->additional_gids), std::make_tuple(0u, 0u, Groups{10}));
}

TEST(ResolveUser, AsContainerd) {
  const auto user = [](UserRequest request) {
    auto out = ResolveUser(request, kPasswd, kGroup);
    EXPECT_TRUE(out.ok());
    return out.ok() ? std::make_tuple(out->uid, out->gid, out->additional_gids)
                    : std::make_tuple(99u, 99u, std::vector<uint32_t>());
  };
  using Groups = std::vector<uint32_t>;
  EXPECT_EQ(user({}), std::make_tuple(0u, 0u, Groups{10}));
  EXPECT_EQ(user({.run_as_user = 1000, .run_as_group = {}, .image_user = "", .supplemental_groups = {5}}),
            std::make_tuple(1000u, 1001u, Groups{5, 63}));
  EXPECT_EQ(user({.run_as_user = 1000, .run_as_group = 63, .image_user = "", .supplemental_groups = {}}),
            std::make_tuple(1000u, 63u, Groups{}));
  EXPECT_EQ(user({.run_as_user = 7, .run_as_group = {}, .image_user = "web", .supplemental_groups = {}}),
            std::make_tuple(7u, 0u, Groups{}));
  EXPECT_EQ(user({.run_as_user = {}, .run_as_group = {}, .image_user = "web:audio", .supplemental_groups = {}}),
            std::make_tuple(1000u, 63u, Groups{10}));
  EXPECT_EQ(user({.run_as_user = {}, .run_as_group = {}, .image_user = "1000", .supplemental_groups = {}}),
            std::make_tuple(1000u, 1001u, Groups{10}));
  EXPECT_EQ(user({.run_as_user = {}, .run_as_group = {}, .image_user = "5:6", .supplemental_groups = {}}),
            std::make_tuple(5u, 6u, Groups{10}));
  EXPECT_EQ(ResolveUser({.run_as_user = {}, .run_as_group = {}, .image_user = "nobody", .supplemental_groups = {}},
                        kPasswd, kGroup)
                .error()
                .code,
            "cli.unknown-user");
  EXPECT_EQ(ResolveUser({.run_as_user = {}, .run_as_group = {}, .image_user = "web:none", .supplemental_groups = {}},
                        kPasswd, kGroup)
                .error()
                .code,
            "cli.unknown-user");
}

TEST(Annotate, KeepsEverythingElse) {
  const std::string key(kbs::kInitDataAnnotation);
  const std::string bare = "# top\nkind: Pod\nmetadata:\n  name: x  # name\n  labels: {a: b}\nspec: {}\n";
  auto once = Annotate(bare, "p", "AAA=");
  ASSERT_TRUE(once.ok()) << once.error().ToString();
  EXPECT_EQ(*once, "# top\nkind: Pod\nmetadata:\n  annotations:\n    " + key +
                       ": AAA=\n  name: x  # name\n  labels: {a: b}\nspec: {}\n");
  auto twice = Annotate(*once, "p", "BBB=");
  ASSERT_TRUE(twice.ok());
  EXPECT_EQ(*twice, *Annotate(bare, "p", "BBB="));
  auto with =
      Annotate("metadata:\n    name: x\n    annotations:\n        one: '1'\n        two: |\n          text\nspec: {}\n",
               "p", "C");
  ASSERT_TRUE(with.ok()) << with.error().ToString();
  EXPECT_EQ(*with, "metadata:\n    name: x\n    annotations:\n        " + key +
                       ": C\n        one: '1'\n        two: |\n          text\nspec: {}\n");
  EXPECT_EQ(*Annotate("metadata: {name: x}\n", "p", "D="), "metadata: {annotations: {" + key + ": D=}, name: x}\n");
  EXPECT_EQ(*Annotate("metadata:\n  name: x\n  annotations: {a: b}\n", "p", "D="),
            "metadata:\n  name: x\n  annotations: {" + key + ": D=, a: b}\n");
  for (const char* odd : {"metadata:\n  name: x\n  annotations: {"
                          "io.katacontainers.config.hypervisor.cc_init_data: E}\n",
                          "metadata:\n  name: x\n  annotations: {}\n", "metadata:\n", "[]", "a: b\n---\nb: c\n"}) {
    auto refused = Annotate(odd, "p", "D");
    ASSERT_FALSE(refused.ok()) << odd;
    EXPECT_EQ(refused.error().code, "cli.cannot-annotate") << odd;
  }
}

TEST(SetField, GoesIntoTemplatesOfAnyDocumentAndStyle) {
  const std::string two =
      "kind: Service\nmetadata: {name: s}\n---\n# mine\nkind: Deployment\nspec:\n  template:\n    metadata:\n      "
      "labels: {a: b}"
      "  # keep\n    spec:\n      containers: []\n";
  auto once = SetField(two, "p", {1, {"spec", "template", "metadata", "annotations"}, "x/y"}, "AA==");
  ASSERT_TRUE(once.ok()) << once.error().ToString();
  EXPECT_EQ(*once,
            "kind: Service\nmetadata: {name: s}\n---\n# mine\nkind: Deployment\nspec:\n  template:\n    metadata:\n    "
            "  annotations:\n"
            "        x/y: AA==\n      labels: {a: b}  # keep\n    spec:\n      containers: []\n");
  auto spec = SetField(*once, "p", {1, {"spec", "template", "spec"}, "enableServiceLinks"}, "false");
  ASSERT_TRUE(spec.ok()) << spec.error().ToString();
  EXPECT_THAT(*spec, HasSubstr("    spec:\n      enableServiceLinks: false\n      containers: []\n"));
  // A template without metadata, in a flow mapping and in a block.
  EXPECT_EQ(*SetField("spec: {template: {spec: {a: b}}}\n", "p",
                      {0, {"spec", "template", "metadata", "annotations"}, "k"}, "v"),
            "spec: {template: {metadata: {annotations: {k: v}}, spec: {a: b}}}\n");
  EXPECT_EQ(*SetField("spec:\n  template:\n    spec: {a: b}\n", "p", {0, {"spec", "template", "metadata"}, "k"}, "v"),
            "spec:\n  template:\n    metadata:\n      k: v\n    spec: {a: b}\n");
  auto json =
      SetField(R"({"metadata": {"name": "x"}, "spec": {"a": 1}})", "p", {0, {"metadata", "annotations"}, "k"}, "v=");
  ASSERT_TRUE(json.ok());
  json = SetField(*json, "p", {0, {"spec"}, "enableServiceLinks"}, "false");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ(Json::parse(*json), Json::parse(R"({"metadata": {"name": "x", "annotations": {"k": "v="}},
                                                "spec": {"a": 1, "enableServiceLinks": false}})"));
  for (const char* odd : {"[]", "", "spec:\n", "spec: text\n", "spec: {}\n"})
    EXPECT_FALSE(SetField(odd, "p", {0, {"spec"}, "k"}, "v").ok()) << odd;
  EXPECT_FALSE(SetField("spec:\n  a: b\n", "p", {1, {"spec"}, "k"}, "v").ok());
}

// What a manifest for a cluster becomes.
Result<policy::PodPolicy> MakeWorkload(const std::string& manifest, const Json& config) {
  auto workloads = node::ParseWorkloads(manifest, "w.yaml", "team");
  if (!workloads.ok()) return workloads.error();
  return MakePodPolicy(workloads->at(0).pod, {{"localhost/img:latest", Image(config)}}, {});
}
std::string Deployment(const std::string& spec, const std::string& container = "") {
  return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    metadata: {labels: "
         "{app: web}}\n"
         "    spec:\n      runtimeClassName: ccgpu\n" +
         spec + "      containers:\n      - name: app\n        image: localhost/img\n" + container;
}

TEST(Workloads, ADeploymentsPodsAreSealedByTheirPrefix) {
  const Json config = {{"Cmd", {"c"}}, {"User", "web:audio"}};
  auto policy = MakeWorkload(
      Deployment(
          "      shareProcessNamespace: true\n      nodeSelector: {a: b}\n      securityContext: {fsGroup: 7, sysctls: "
          "[{name: n.x, "
          "value: '1'}]}\n"
          "      initContainers: [{name: side, image: localhost/img, restartPolicy: Always, resources: {limits: "
          "{ccgpu.dev/cc-gpu: 1}}}]\n"
          "      volumes: [{name: c, configMap: {name: x}}, {name: d, persistentVolumeClaim: {claimName: y}}]\n",
          "        env: [{name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: NS, valueFrom: "
          "{fieldRef: {fieldPath: "
          "metadata.namespace}}},\n"
          "          {name: APP, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['app']\"}}}, {name: S, valueFrom: "
          "{secretKeyRef: "
          "{name: s, key: k}}}]\n"
          "        volumeMounts: [{name: c, mountPath: /c, subPath: part}, {name: d, mountPath: /d}]\n"
          "        livenessProbe: {exec: {command: [check, it]}}\n        readinessProbe: {httpGet: {port: 80}}\n"
          "        resources: {limits: {ccgpu.dev/cc-gpu: 1}}\n"),
      config);
  ASSERT_TRUE(policy.ok()) << policy.error().ToString();
  EXPECT_EQ(policy->generate_name, "web-");
  EXPECT_EQ(policy->pod_name, "");
  EXPECT_EQ(policy->hostname, "");
  EXPECT_EQ(policy->pod_namespace, "team");
  EXPECT_EQ(policy->restart_policy, "Always");
  EXPECT_TRUE(policy->kubernetes_env && policy->share_process_namespace);
  EXPECT_EQ(policy->sysctls.at("n.x"), "1");
  EXPECT_EQ(policy->gpus.count, 2u);  // a sidecar keeps its GPU
  ASSERT_EQ(policy->containers.size(), 2u);
  EXPECT_TRUE(policy->containers[0].init && policy->containers[0].restarts);
  const policy::ContainerPolicy& app = policy->containers[1];
  EXPECT_THAT(app.pod_name_env, ElementsAre("HOSTNAME", "POD"));
  EXPECT_EQ(app.env.at("NS"), "team");
  EXPECT_EQ(app.env.at("APP"), "web");
  EXPECT_THAT(app.allowed_env_patterns, ElementsAre("S=*"));
  EXPECT_EQ(std::make_pair(app.uid, app.gid), std::make_pair(1000u, 1001u));  // kubelet drops the image's group
  EXPECT_THAT(app.additional_gids, ElementsAre(7, 63));
  EXPECT_THAT(app.allowed_exec, ElementsAre(ElementsAre("check", "it")));
  using Source = policy::MountPolicy::Source;
  EXPECT_EQ(app.mounts[0], (policy::MountPolicy{"/c", Source::kConfigMap, "c", "", true, true}));
  EXPECT_EQ(app.mounts[1], (policy::MountPolicy{"/d", Source::kPersistentVolumeClaim, "d", "", false, false}));
  // What was made can be read again, as the sandbox does.
  EXPECT_TRUE(policy::ParsePodPolicy(policy::WritePodPolicy(*policy), "p").ok());
}

TEST(Workloads, TheTokenIsMountedWhenTheManifestWantsIt) {
  const Json config = {{"Cmd", {"c"}}};
  EXPECT_TRUE(MakeWorkload(Deployment(""), config)->containers[0].mounts.empty());
  EXPECT_TRUE(
      MakeWorkload(Deployment("      automountServiceAccountToken: false\n"), config)->containers[0].mounts.empty());
  const auto with = MakeWorkload(Deployment("      automountServiceAccountToken: true\n"), config);
  ASSERT_EQ(with->containers[0].mounts.size(), 1u);
  EXPECT_EQ(with->containers[0].mounts[0].source, policy::MountPolicy::Source::kServiceAccount);
}

TEST(Workloads, WhatNoPolicyCanHoldIsRefused) {
  const Json config = {{"Cmd", {"c"}}};
  const auto code = [&](const std::string& manifest) {
    auto made = MakeWorkload(manifest, config);
    return made.ok() ? "made" : made.error().code;
  };
  EXPECT_EQ(code(Deployment("")), "made");
  for (const char* spec :
       {"enableServiceLinks: true", "hostPID: true", "hostIPC: true", "hostNetwork: true", "hostUsers: false",
        "setHostnameAsFQDN: true", "ephemeralContainers: []", "resourceClaims: []",
        "securityContext: {supplementalGroupsPolicy: Strict}", "securityContext: {seLinuxOptions: {}}",
        "volumes: [{name: a, nfs: {}}]", "volumes: [{name: a, emptyDir: {}, configMap: {}}]"})
    EXPECT_NE(code(Deployment(std::string("      ") + spec + "\n")), "made") << spec;
  for (const char* field :
       {"envFrom: []", "securityContext: {privileged: true}", "securityContext: {procMount: Unmasked}",
        "terminationMessagePath: /x", "securityContext: {seccompProfile: {type: RuntimeDefault}}",
        "securityContext: {appArmorProfile: {type: Localhost}}", "restartPolicy: Always", "volumeDevices: []",
        "env: [{name: A, valueFrom: {}}]", "args: [$(KUBERNETES_SERVICE_HOST)]", "livenessProbe: {exec: {command: []}}",
        "image: other"})
    EXPECT_NE(code(Deployment("", std::string("        ") + field + "\n")), "made") << field;
  EXPECT_EQ(code("apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec:\n  completionMode: Indexed\n  template: "
                 "{spec: {restartPolicy: "
                 "Never, containers: [{name: a, image: localhost/img}]}}\n"),
            "node.unsupported-field");
  EXPECT_EQ(
      code(
          "apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nmetadata: {name: j}\nspec: {x: {runtimeClassName: ccgpu}}\n"),
      "node.unsupported-field");
  EXPECT_EQ(code("apiVersion: v1\nkind: Service\nmetadata: {name: j}\n"), "input.no-workload");
  EXPECT_EQ(code("apiVersion: apps/v1\nkind: Pod\nmetadata: {name: j}\n"), "input.bad-value");
}

TEST(Workloads, NamesAreThoseOfTheControllers) {
  const auto prefix = [](const char* version, const char* kind, const std::string& name, const std::string& spec) {
    auto found = node::ParseWorkloads("apiVersion: " + std::string(version) + "\nkind: " + kind +
                                          "\nmetadata: {name: " + name + "}\nspec: " + spec + "\n",
                                      "w", "team");
    return found.ok() ? found->at(0).pod.generate_name : found.error().ToString();
  };
  const std::string pod = "{template: {spec: {containers: [{name: a, image: b}]}}}";
  const std::string name(57, 'n');
  EXPECT_EQ(prefix("apps/v1", "StatefulSet", "db", pod), "db-");
  EXPECT_EQ(prefix("apps/v1", "DaemonSet", "db", pod), "db-");
  EXPECT_EQ(prefix("batch/v1", "Job", name, pod), name + "-");
  EXPECT_EQ(prefix("batch/v1", "Job", name + "xyz", pod), name + "x");  // cut by the API server
  EXPECT_EQ(prefix("apps/v1", "StatefulSet", name + "xyz", pod), name + "xyz-");
  EXPECT_EQ(prefix("batch/v1", "CronJob", "c", "{schedule: x, jobTemplate: {spec: " + pod + "}}"), "c-");
}

TEST(MakeInitData, HoldsWhatTheSandboxTrusts) {
  policy::PodPolicy policy;
  policy.pod_name = "demo";
  policy::ContainerPolicy app;
  app.name = "app";
  app.image = "i";
  app.rootfs_digest = kDigest;
  app.args = {"x"};
  policy.containers = {app};
  const TrustChoices trust{"https://10.0.0.1:8080",
                           "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
                           {"PEM1\nPEM2\n"},
                           {},
                           true};
  const std::string text = MakeInitData(policy, trust);
  EXPECT_EQ(text, MakeInitData(policy, trust));
  auto init = kbs::ParseInitData(text);
  ASSERT_TRUE(init.ok()) << init.error().ToString();
  auto again = policy::ParsePodPolicy(init->data[std::string(policy::kPodPolicyEntry)], "p");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(*again, policy);
  auto broker = kbs::ParseAaToml(init->data["aa.toml"]);
  ASSERT_TRUE(broker.ok());
  EXPECT_EQ(broker->url, trust.kbs_url);
  EXPECT_EQ(init->data["ccgpu-trust.yaml"],
            "apiVersion: ccgpu.dev/v1alpha1\nkind: EvidenceTrust\nspec:\n  deviceRoots:\n  - |\n    PEM1\n    PEM2\n  "
            "insecureAcceptEmulated: true\n");
  EXPECT_EQ(DigestOf(text), "sha256:" + HexEncode(init->HostData()));
  EXPECT_FALSE(kbs::ParseInitData(MakeInitData(policy, {}))->data.contains("aa.toml"));
}

}  // namespace
}  // namespace ccgpu::cli
