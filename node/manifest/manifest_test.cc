#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "node/manifest/pod_spec.h"
#include "node/manifest/quantity.h"

namespace ccgpu::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kHead[] = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: demo\n";

std::string WithContainer(const std::string& fields, const std::string& spec = "") {
  return std::string(kHead) + "spec:\n" + spec + "  containers:\n  - name: app\n    image: img\n" + fields;
}

// "subject: text [code]" of the first error; "" when it parses.
std::string ErrorOf(const std::string& text) {
  auto pod = ParsePod(text, "pod.yaml");
  return pod.ok() ? "" : pod.error().ToString();
}

TEST(Manifest, Defaults) {
  auto pod = ParsePod(WithContainer(""), "pod.yaml");
  ASSERT_TRUE(pod.ok()) << pod.error().ToString();
  EXPECT_EQ(pod->name, "demo");
  EXPECT_EQ(pod->pod_namespace, "default");
  EXPECT_EQ(pod->hostname, "demo");
  EXPECT_EQ(pod->restart_policy, RestartPolicy::kAlways);
  EXPECT_EQ(pod->termination_grace_seconds, 30);
  EXPECT_TRUE(pod->containers[0].security.allow_privilege_escalation);
}

TEST(Manifest, ReadsEveryHonouredField) {
  auto pod = ParsePod(R"(---
apiVersion: v1
kind: Pod
metadata:
  name: demo.example
  namespace: team
  labels: {app: x}
  annotations: {io.katacontainers.config.hypervisor.cc_init_data: aGk=}
  creationTimestamp: null
spec:
  runtimeClassName: ccgpu
  restartPolicy: OnFailure
  hostname: h
  terminationGracePeriodSeconds: 5
  activeDeadlineSeconds: 60
  automountServiceAccountToken: false
  enableServiceLinks: false
  dnsPolicy: None
  dnsConfig: {nameservers: [10.0.0.1], searches: [a.b]}
  os: {name: linux}
  securityContext: {runAsUser: 5, runAsGroup: 6, supplementalGroups: [7, 8], seccompProfile: {type: RuntimeDefault}}
  initContainers:
  - {name: first, image: i}
  containers:
  - name: app
    image: img:1
    imagePullPolicy: Never
    command: [a, b]
    args: ["c d"]
    workingDir: /w
    ports: [{containerPort: 80, name: http, protocol: TCP}]
    env:
    - {name: A, value: "1"}
    - {name: B, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: status.podIP}}}
    resources:
      limits: {cpu: "1.5", memory: 64Mi, ccgpu.dev/cc-gpu: 2}
      requests: {cpu: 500m, ccgpu.dev/cc-gpu: 2}
    volumeMounts:
    - {name: e, mountPath: /e, readOnly: true}
    - {name: m, mountPath: /m}
    - {name: h, mountPath: /h}
    securityContext:
      runAsUser: 9
      runAsGroup: 10
      runAsNonRoot: true
      privileged: false
      readOnlyRootFilesystem: true
      allowPrivilegeEscalation: false
      capabilities: {add: [CAP_NET_ADMIN, SYS_TIME], drop: [ALL]}
    tty: true
    stdin: true
  volumes:
  - {name: e, emptyDir: {}}
  - {name: m, emptyDir: {medium: Memory, sizeLimit: 1Gi}}
  - {name: h, hostPath: {path: /srv, type: Directory}}
status: {}
)",
                      "pod.yaml");
  ASSERT_TRUE(pod.ok()) << pod.error().ToString();
  EXPECT_EQ(pod->runtime_class, "ccgpu");
  EXPECT_EQ(pod->restart_policy, RestartPolicy::kOnFailure);
  EXPECT_EQ(pod->active_deadline_seconds, 60);
  EXPECT_THAT(pod->supplemental_groups, ElementsAre(7, 8));
  EXPECT_THAT(pod->nameservers, ElementsAre("10.0.0.1"));
  EXPECT_EQ(pod->init_containers[0].security.run_as_user, 5);
  const ContainerSpec& app = pod->containers[0];
  EXPECT_THAT(app.command, ElementsAre("a", "b"));
  EXPECT_EQ(app.env[1].field_path, "status.podIP");
  EXPECT_EQ(app.resources.cpu_limit_milli, 1500);
  EXPECT_EQ(app.resources.cpu_request_milli, 500);
  EXPECT_EQ(app.resources.memory_limit, 64 << 20);
  EXPECT_EQ(app.resources.memory_request, 64 << 20);
  EXPECT_EQ(app.resources.extended.at("ccgpu.dev/cc-gpu"), 2);
  EXPECT_EQ(app.security.run_as_user, 9);
  EXPECT_THAT(app.security.add_capabilities, ElementsAre("NET_ADMIN", "SYS_TIME"));
  EXPECT_EQ(app.security.seccomp.type, SeccompProfile::Type::kRuntimeDefault);
  EXPECT_TRUE(app.mounts[0].read_only);
  EXPECT_EQ(pod->volumes[1].size_limit, 1 << 30);
  EXPECT_EQ(pod->volumes[2].host_path_type, "Directory");
}

TEST(Manifest, ExpandsReferencesAsKubernetesDoes) {
  auto pod = ParsePod(
      WithContainer("    args: ['$(A) $(B) $(hostname) $$(A) $$$$ $A $( $', '$(P)']\n    env:\n    - {name: A, value: "
                    "a}\n    - {name: B, value: '<$(A)$(C)>'}\n"
                    "    - {name: C, value: c}\n    - {name: P, valueFrom: {fieldRef: {fieldPath: metadata.name}}}\n"),
      "pod.yaml");
  ASSERT_TRUE(pod.ok()) << pod.error().ToString();
  EXPECT_THAT(pod->containers[0].args, ElementsAre("a <a$(C)> $(hostname) $(A) $$ $A $( $", "demo"));
  EXPECT_EQ(pod->containers[0].env[1].value, "<a$(C)>");
}

TEST(Manifest, NamesTheFieldItCannotHonour) {
  EXPECT_EQ(ErrorOf(WithContainer("    livenessProbe: {}\n")),
            "pod.yaml:9:5: spec.containers[0].livenessProbe: is not honoured by ccgpu-node; remove it, or run the pod "
            "on a Kubernetes cluster [node.unsupported-field]");
  for (const auto& [text, where] : std::vector<std::pair<std::string, std::string>>{
           {WithContainer("    envFrom: []\n"), "9:5: spec.containers[0].envFrom"},
           {WithContainer("    lifecycle: {}\n"), "spec.containers[0].lifecycle"},
           {WithContainer("    env: [{name: A, valueFrom: {secretKeyRef: {name: x}}}]\n"),
            "spec.containers[0].env[0].valueFrom.secretKeyRef"},
           {WithContainer(
                "    env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.podIP}}}, {name: B, value: x$(A)}]\n"),
            "spec.containers[0].env[1].value"},
           {WithContainer("    args: [$(A)]\n    env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}]\n"),
            "spec.containers[0].args"},
           {WithContainer("    ports: [{hostPort: 80}]\n"), "spec.containers[0].ports[0].hostPort"},
           {WithContainer("    volumeMounts: [{name: v, mountPath: /a, subPath: b}]\n"),
            "spec.containers[0].volumeMounts[0].subPath"},
           {WithContainer("    securityContext: {privileged: true}\n"),
            "spec.containers[0].securityContext.privileged"},
           {WithContainer("    securityContext: {procMount: Unmasked}\n"), "procMount"},
           {WithContainer("    imagePullPolicy: Always\n"), "imagePullPolicy"},
           {WithContainer("    resources: {limits: {hugepages-2Mi: 4Mi}}\n"), "hugepages-2Mi"},
           {WithContainer("", "  nodeSelector: {a: b}\n"), "6:3: spec.nodeSelector"},
           {WithContainer("", "  serviceAccountName: x\n"), "spec.serviceAccountName"},
           {WithContainer("", "  hostPID: true\n"), "spec.hostPID"},
           {WithContainer("", "  automountServiceAccountToken: true\n"), "spec.automountServiceAccountToken"},
           {WithContainer("", "  runtimeClassName: ccgpu\n  hostNetwork: true\n"), "spec.hostNetwork"},
           {WithContainer("", "  volumes: [{name: c, configMap: {name: x}}]\n"), "spec.volumes[0].configMap"},
           {WithContainer("", "  securityContext: {fsGroup: 1}\n"), "spec.securityContext.fsGroup"},
           {WithContainer("") + "extra: 1\n", "extra"}}) {
    const std::string error = ErrorOf(text);
    EXPECT_THAT(error, HasSubstr(where));
    EXPECT_THAT(error, HasSubstr("[node.unsupported-field]")) << text;
  }
}

TEST(Manifest, RefusesWhatIsWrong) {
  for (const auto& [text, where] : std::vector<std::pair<std::string, std::string>>{
           {"kind: Pod", "apiVersion"},
           {"apiVersion: v1\nkind: Deployment\nmetadata: {name: a}\nspec: {containers: [{name: a, image: b}]}", "kind"},
           {WithContainer("") + "---\nkind: Pod\n", "found 2"},
           {"", "found 0"},
           {std::string(kHead) + "spec: {containers: []}\n", "at least one container"},
           {std::string(kHead) + "spec: {}\n", "spec.containers"},
           {WithContainer("    tty: maybe\n"), "spec.containers[0].tty"},
           {WithContainer("  - name: app\n    image: b\n"), "\"app\" is used twice"},
           {WithContainer("    volumeMounts: [{name: nope, mountPath: /a}]\n"), "no volume named \"nope\""},
           {WithContainer("    volumeMounts: [{name: v, mountPath: a}]\n", "  volumes: [{name: v, emptyDir: {}}]\n"),
            "mountPath"},
           {WithContainer("    volumeMounts: [{name: v, mountPath: /a/../b}]\n",
                          "  volumes: [{name: v, emptyDir: {}}]\n"),
            "mountPath"},
           {WithContainer("", "  volumes: [{name: v, emptyDir: {}, hostPath: {path: /}}]\n"), "exactly one"},
           {WithContainer("", "  volumes: [{name: v}]\n"), "exactly one"},
           {WithContainer("", "  volumes: [{name: v, emptyDir: {}}, {name: v, emptyDir: {}}]\n"), "used twice"},
           {WithContainer("", "  restartPolicy: Sometimes\n"), "spec.restartPolicy"},
           {WithContainer("    resources: {limits: {ccgpu.dev/cc-gpu: 500m}}\n"), "whole number"},
           {WithContainer("    resources: {limits: {ccgpu.dev/cc-gpu: -1}}\n"), "whole number"},
           {WithContainer("    resources: {limits: {ccgpu.dev/cc-gpu: 1}, requests: {ccgpu.dev/cc-gpu: 2}}\n"),
            "must equal the limit"},
           {WithContainer("    resources: {requests: {ccgpu.dev/cc-gpu: 1}}\n"), "must equal the limit"},
           {WithContainer("    resources: {limits: {memory: 1Qi}}\n"), "memory"},
           {WithContainer("    resources: {limits: {memory: 1Mi}, requests: {memory: 2Mi}}\n"), "above the limit"},
           {WithContainer("    securityContext: {runAsGroup: 5}\n"), "needs runAsUser"},
           {WithContainer("    securityContext: {runAsUser: 0, runAsNonRoot: true}\n"), "runAsNonRoot"},
           {WithContainer("    securityContext: {capabilities: {add: [net_admin]}}\n"), "capability"},
           {WithContainer("    env: [{name: 1A, value: x}]\n"), "name of a variable"},
           {"apiVersion: v1\nkind: Pod\nmetadata: {name: Demo}\nspec: {containers: [{name: a, image: b}]}",
            "not a DNS name"},
           {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: A}\nspec: {containers: [{name: a, image: b}]}",
            "not a DNS label"},
           {"apiVersion: v1\nkind: Pod\nkind: Pod\n", "stands twice"},
           {WithContainer("    command: true\n"), "list of strings"}}) {
    EXPECT_THAT(ErrorOf(text), HasSubstr(where)) << text;
  }
}

TEST(Manifest, TellsAllErrorsAtOnce) {
  std::vector<Error> all;
  EXPECT_FALSE(
      ParsePod(WithContainer("    livenessProbe: {}\n    tty: 3\n", "  nodeName: x\n"), "pod.yaml", &all).ok());
  EXPECT_EQ(all.size(), 3u);
}

TEST(Manifest, ExamplesOfTheRepositoryParse) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(CCGPU_SOURCE_DIR "/manifests/examples")) {
    if (entry.path().extension() != ".yaml") continue;
    auto text = ReadFile(entry.path());
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(ErrorOf(*text), "") << entry.path();
    count++;
  }
  EXPECT_GE(count, 4);
}

TEST(Quantity, Values) {
  EXPECT_EQ(ParseQuantity("1", 1000), 1000);
  EXPECT_EQ(ParseQuantity("500m", 1000), 500);
  EXPECT_EQ(ParseQuantity("0.1", 1000), 100);
  EXPECT_EQ(ParseQuantity("1500u"), std::nullopt);
  EXPECT_EQ(ParseQuantity("1Ki"), 1024);
  EXPECT_EQ(ParseQuantity("1.5Gi"), 1610612736);
  EXPECT_EQ(ParseQuantity("2k"), 2000);
  EXPECT_EQ(ParseQuantity("1e3"), 1000);
  EXPECT_EQ(ParseQuantity("1m"), 1);  // rounds up
  EXPECT_EQ(ParseQuantity("9223372036854775807"), INT64_MAX);
  for (const char* bad : {"", "-1", "x", "1.2.3", "1Kib", ".", "9223372036854775808", "8Ei", "1e99", "1e",
                          "99999999999999999999999999999999999999999", "1 "}) {
    EXPECT_EQ(ParseQuantity(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace ccgpu::node
