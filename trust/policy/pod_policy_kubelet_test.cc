// The checks against what a real kubelet makes containerd write, under both containerds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trust/policy/image_name.h"
#include "trust/policy/test_pod.h"

namespace ccgpu::policy {
namespace {

using test::DumpFile;
using test::kDigest;
using test::Without;
using test::Words;

// The pods that testdata/README.md describes.
PodPolicy FullPod() {
  using Source = MountPolicy::Source;
  PodPolicy pod;
  pod.pod_name = "full";
  pod.pod_namespace = "kubectl";
  pod.restart_policy = "Always";
  pod.kubernetes_env = true;
  ContainerPolicy full;
  full.name = "full";
  full.image = "localhost/ccgpu-kind/netd:1";
  full.rootfs_digest = kDigest;
  full.args = {"sleep", "100000"};
  full.env = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
              {"TERM", "xterm"},
              {"HOSTNAME", "full"},
              {"A", "1"},
              {"NAME", "full"}};
  full.allowed_env_patterns = {"IP=*.*.*.*", "CM=*"};
  full.uid = full.gid = 1000;
  full.additional_gids = {63};
  full.capabilities = DefaultCapabilities();
  std::erase(full.capabilities, "CAP_CHOWN");
  full.capabilities.push_back("CAP_NET_ADMIN");
  full.no_new_privileges = full.readonly_rootfs = full.terminal = true;
  const auto mount = [&](const char* destination, Source source, const char* volume, bool read_only,
                         bool part = false) {
    full.mounts.push_back({destination, source, source == Source::kHostPath ? "" : volume,
                           source == Source::kHostPath ? volume : "", read_only, part});
  };
  mount("/data", Source::kEmptyDir, "data", false);
  mount("/mem", Source::kEmptyDir, "mem", false);
  mount("/etc/settings", Source::kConfigMap, "settings", true);
  mount("/etc/token", Source::kSecret, "token", true);
  mount("/etc/all", Source::kProjected, "all", true);
  mount("/etc/info", Source::kDownwardApi, "info", true);
  mount("/part", Source::kEmptyDir, "data", false, true);
  mount("/one", Source::kConfigMap, "settings", true, true);
  mount("/host", Source::kHostPath, "/etc", true);
  mount("/var/run/secrets/kubernetes.io/serviceaccount", Source::kServiceAccount, "", true);
  pod.containers = {full};
  return pod;
}

// Of a Deployment's pod.
PodPolicy PlainPod() {
  PodPolicy pod;
  pod.generate_name = "plain-";
  pod.pod_namespace = "kubectl";
  pod.restart_policy = "Always";
  pod.kubernetes_env = true;
  ContainerPolicy plain;
  plain.name = "plain";
  plain.image = "localhost/ccgpu-kind/netd:1";
  plain.rootfs_digest = kDigest;
  plain.args = {"sleep", "100000"};
  plain.env = {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}};
  plain.pod_name_env = {"HOSTNAME"};
  plain.capabilities = DefaultCapabilities();
  pod.containers = {plain};
  return pod;
}

struct Change {
  const char* name;
  std::function<void(Json&)> edit;
  const char* code;
};

Json& MountAt(Json& spec, const std::string& destination) {
  for (Json& mount : spec["mounts"]) {
    if (mount["destination"] == destination) return mount;
  }
  throw std::runtime_error("no mount " + destination);
}
void Env(Json& spec, const std::string& variable) { spec["process"]["env"].push_back(variable); }
// The source of one mount with a part of it replaced.
void Source(Json& spec, const char* destination, const std::string& from, const std::string& to) {
  std::string source = MountAt(spec, destination)["source"];
  const size_t at = source.find(from);
  ASSERT_NE(at, std::string::npos);
  MountAt(spec, destination)["source"] = source.replace(at, from.size(), to);
}

class Kubelet : public ::testing::TestWithParam<const char*> {
 protected:
  Json Spec(const std::string& name) {
    Json spec = DumpFile(GetParam() + std::string("-kubelet-") + name);
    spec.erase("hooks");  // kind's own, see below
    if (name == "full") {
      Json kept = Json::array();  // service links of a Service "web", see below
      for (const Json& one : spec["process"]["env"]) {
        if (!one.get<std::string>().starts_with("WEB_")) kept.push_back(one);
      }
      spec["process"]["env"] = kept;
    }
    return spec;
  }
  static ContainerRequest Request(const std::string& name, const Json& spec) {
    ContainerRequest request = test::Request(name, spec);
    request.image_name = "localhost/ccgpu-kind/netd:1";
    return request;
  }
  std::string CodeOf(const PodPolicy& pod, const std::string& name, const Json& spec) {
    const Status status = CheckCreate(pod, Request(name, spec), {});
    return status.ok() ? "allowed" : status.error().code;
  }
};
INSTANTIATE_TEST_SUITE_P(Containerds, Kubelet, ::testing::Values("1.6.20", "2.4.2"), [](const auto& info) {
  return std::string(info.param).starts_with("1.") ? "OneSix" : "TwoFour";
});

TEST_P(Kubelet, ItsContainersAreAdmitted) {
  EXPECT_EQ(Words(CheckCreate(FullPod(), Request("full", Spec("full")), {})), "allowed");
  EXPECT_EQ(Words(CheckCreate(PlainPod(), Request("plain", Spec("plain")), {})), "allowed");
}

TEST_P(Kubelet, ItsSandboxIsAdmitted) {
  EXPECT_EQ(Words(CheckSandbox(PlainPod(), Spec("sandbox").dump(), {})), "allowed");
}

TEST_P(Kubelet, WhatThePolicyDoesNotNameIsRefused) {
  const Json whole = DumpFile(GetParam() + std::string("-kubelet-full"));
  Json links = whole, hooks = whole;
  links.erase("hooks");
  hooks["process"]["env"] = Spec("full")["process"]["env"];
  EXPECT_EQ(CodeOf(FullPod(), "full", links), "policy.env");
  EXPECT_EQ(CodeOf(FullPod(), "full", hooks), "policy.hook");
  PodPolicy pod = FullPod();
  pod.kubernetes_env = false;
  EXPECT_EQ(CodeOf(pod, "full", Spec("full")), "policy.env");
  for (size_t i = 0; i < FullPod().containers[0].mounts.size(); ++i) {
    pod = FullPod();
    auto& mounts = pod.containers[0].mounts;
    mounts.erase(mounts.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_EQ(CodeOf(pod, "full", Spec("full")), "policy.mount") << i;
    // A mount of another kind of volume is another mount.
    pod = FullPod();
    MountPolicy& one = pod.containers[0].mounts[i];
    one = {one.destination, MountPolicy::Source::kSecret, "other", "", one.read_only, one.sub_path};
    EXPECT_EQ(CodeOf(pod, "full", Spec("full")), "policy.mount") << i;
  }
}

TEST_P(Kubelet, EachChangeIsRefused) {
  const Change changes[] = {
      {"variable-of-a-service", [](Json& s) { Env(s, "WEB_SERVICE_HOST=10.0.0.1"); }, "policy.env"},
      {"api-host-no-address", [](Json& s) { Env(s, "KUBERNETES_SERVICE_HOST=evil.example"); }, "policy.env"},
      {"api-host-empty", [](Json& s) { Env(s, "KUBERNETES_SERVICE_HOST="); }, "policy.env"},
      {"api-port-words", [](Json& s) { Env(s, "KUBERNETES_SERVICE_PORT=443;x"); }, "policy.env"},
      {"api-url-scheme", [](Json& s) { Env(s, "KUBERNETES_PORT=udp://10.0.0.1:443"); }, "policy.env"},
      {"api-url-long", [](Json& s) { Env(s, "KUBERNETES_PORT=tcp://" + std::string(200, '1')); }, "policy.env"},
      {"api-proto", [](Json& s) { Env(s, "KUBERNETES_PORT_443_TCP_PROTO=udp"); }, "policy.env"},
      {"api-other-name", [](Json& s) { Env(s, "KUBERNETES_PORT_443_TCP_EXTRA=1"); }, "policy.env"},
      {"api-no-port-in-name", [](Json& s) { Env(s, "KUBERNETES_PORT_x_TCP_PORT=1"); }, "policy.env"},
      {"api-near-name", [](Json& s) { Env(s, "KUBERNETES_SERVICE_HOSTS=10.0.0.1"); }, "policy.env"},
      {"other-volume", [](Json& s) { Source(s, "/etc/settings", "configmap/settings", "configmap/other"); },
       "policy.mount"},
      {"other-plugin", [](Json& s) { Source(s, "/etc/token", "~secret/", "~configmap/"); }, "policy.mount"},
      {"token-elsewhere",
       [](Json& s) { MountAt(s, "/var/run/secrets/kubernetes.io/serviceaccount")["source"] = "/tmp/token"; },
       "policy.mount"},
      {"token-other-volume",
       [](Json& s) { Source(s, "/var/run/secrets/kubernetes.io/serviceaccount", "kube-api-access-", "kube-api-"); },
       "policy.mount"},
      {"part-of-other-volume", [](Json& s) { Source(s, "/part", "volume-subpaths/data", "volume-subpaths/mem"); },
       "policy.mount"},
      {"part-is-whole", [](Json& s) { MountAt(s, "/part")["source"] = MountAt(s, "/data")["source"]; }, "policy.mount"},
      {"whole-is-part", [](Json& s) { MountAt(s, "/data")["source"] = MountAt(s, "/part")["source"]; }, "policy.mount"},
      {"settings-writable",
       [](Json& s) {
         MountAt(s, "/etc/settings")["options"] = {"rbind", "rw"};
       },
       "policy.mount"},
      {"hosts-elsewhere", [](Json& s) { MountAt(s, "/etc/hosts")["source"] = "/etc/hosts"; }, "policy.mount"},
      {"group-of-fs-missing", [](Json& s) { s["process"]["user"]["additionalGids"] = {1000}; }, "policy.user"},
      {"namespace-of-pod", [](Json& s) { s["annotations"]["io.kubernetes.cri.sandbox-namespace"] = "other"; },
       "policy.annotation"},
      {"sysctl-of-runtime-in-container",
       [](Json& s) {
         s["linux"]["sysctl"] = {{"net.ipv4.ping_group_range", "0 2147483647"}};
       },
       "policy.sysctl"},
  };
  for (const Change& change : changes) {
    Json spec = Spec("full");
    change.edit(spec);
    EXPECT_EQ(CodeOf(FullPod(), "full", spec), change.code) << change.name;
  }
}

TEST_P(Kubelet, NamesThatControllersMakeFitTheirPrefixOnly) {
  const auto named = [&](const std::string& name) {
    Json spec = Spec("sandbox");
    spec["annotations"]["io.kubernetes.cri.sandbox-name"] = name;
    spec["hostname"] = HostnameOf(name);
    const Status status = CheckSandbox(PlainPod(), spec.dump(), {});
    return status.ok() ? "allowed" : status.error().code;
  };
  EXPECT_EQ(named("plain-0"), "allowed");
  EXPECT_EQ(named("plain-7c9f8b6d5-x2x4z"), "allowed");
  for (const char* other :
       {"", "plain-", "plain", "plan-x", "xplain-0", "plain-X", "plain-a b", "plain-a/b", "plain-a.b"})
    EXPECT_EQ(named(other), "policy.annotation") << other;
  EXPECT_EQ(named("plain-" + std::string(248, 'a')), "policy.annotation");  // no DNS name
  Json spec = Spec("sandbox");
  spec["hostname"] = "plain-other";
  EXPECT_EQ(CheckSandbox(PlainPod(), spec.dump(), {}).error().code, "policy.hostname");
  spec = Spec("sandbox");
  spec["annotations"].erase("io.kubernetes.cri.sandbox-name");
  EXPECT_EQ(CheckSandbox(PlainPod(), spec.dump(), {}).error().code, "policy.annotation");

  spec = Spec("plain");
  Env(spec, "HOSTNAME=other-x");
  EXPECT_EQ(CodeOf(PlainPod(), "plain", spec), "policy.env");
  spec = Spec("plain");
  Env(spec, "HOSTNAME=plain-$(reboot)");
  EXPECT_EQ(CodeOf(PlainPod(), "plain", spec), "policy.env");
  spec = Spec("plain");
  Json& env = spec["process"]["env"];
  env.erase(std::remove_if(env.begin(), env.end(),
                           [](const Json& e) { return e.get<std::string>().starts_with("HOSTNAME="); }),
            env.end());
  EXPECT_EQ(CodeOf(PlainPod(), "plain", spec), "policy.env");
  spec = Spec("plain");
  spec["annotations"]["io.kubernetes.cri.sandbox-name"] = "other-x";
  EXPECT_EQ(CodeOf(PlainPod(), "plain", spec), "policy.annotation");
}

TEST_P(Kubelet, SysctlsOfPodAndRuntime) {
  Json spec = Spec("sandbox");
  spec["linux"]["sysctl"]["net.ipv4.ip_local_port_range"] = "1024 65000";
  EXPECT_EQ(CheckSandbox(PlainPod(), spec.dump(), {}).error().code, "policy.sysctl");
  PodPolicy pod = PlainPod();
  pod.sysctls = {{"net.ipv4.ip_local_port_range", "1024 65000"}};
  EXPECT_EQ(Words(CheckSandbox(pod, spec.dump(), {})), "allowed");
  for (const auto& [name, value] : std::map<std::string, Json>{{"net.ipv4.ip_unprivileged_port_start", "1"},
                                                               {"net.ipv4.ip_unprivileged_port_start", 0},
                                                               {"net.ipv4.ping_group_range", "0 1"}}) {
    spec["linux"]["sysctl"][name] = value;
    EXPECT_EQ(CheckSandbox(pod, spec.dump(), {}).error().code, "policy.sysctl") << name << value;
  }
}

TEST_P(Kubelet, SidecarsMayComeAgain) {
  PodPolicy pod = PlainPod();
  pod.restart_policy = "Never";
  pod.containers[0].init = pod.containers[0].restarts = true;
  const PodState state{{{"plain", 2}}};
  EXPECT_EQ(Words(CheckCreate(pod, Request("plain", Spec("plain")), state)), "allowed");
  pod.containers[0].restarts = false;
  EXPECT_EQ(CheckCreate(pod, Request("plain", Spec("plain")), state).error().code, "policy.container-again");
}

TEST(PersistentVolumes, AreKubeletsMountsOfThePod) {
  PodPolicy pod = FullPod();
  MountPolicy& data = pod.containers[0].mounts[0];
  data.source = MountPolicy::Source::kPersistentVolumeClaim;
  Json spec = DumpFile("2.4.2-kubelet-full");
  spec.erase("hooks");
  std::erase_if(spec["process"]["env"].get_ref<Json::array_t&>(),
                [](const Json& e) { return e.get<std::string>().starts_with("WEB_"); });
  const auto code = [&](const std::string& source) {
    MountAt(spec, "/data")["source"] = source;
    ContainerRequest request = test::Request("full", spec);
    request.image_name.clear();
    const Status status = CheckCreate(pod, request, {});
    return status.ok() ? "allowed" : status.error().code;
  };
  const std::string folder = "/var/lib/kubelet/pods/5e40e1f4/volumes/";
  EXPECT_EQ(code(folder + "kubernetes.io~csi/pvc-1/mount"), "allowed");
  EXPECT_EQ(code(folder + "kubernetes.io~local-volume/disk"), "allowed");
  EXPECT_EQ(code("/var/lib/kubelet/plugins/x"), "policy.mount");
  EXPECT_EQ(code("/"), "policy.mount");
  EXPECT_EQ(code(folder + "../../../../etc"), "policy.mount");
}

TEST(HostnameOf, CutsAsKubeletDoes) {
  EXPECT_EQ(HostnameOf("a.b"), "a.b");
  EXPECT_EQ(HostnameOf(std::string(63, 'a')), std::string(63, 'a'));
  EXPECT_EQ(HostnameOf(std::string(62, 'a') + "-b"), std::string(62, 'a'));
  EXPECT_EQ(HostnameOf(std::string(60, 'a') + ".-.-b"), std::string(60, 'a'));
}

TEST(ImageNames, AreComparedInFull) {
  EXPECT_EQ(FullImageName("busybox"), "docker.io/library/busybox:latest");
  EXPECT_EQ(FullImageName("a/b:1"), "docker.io/a/b:1");
  EXPECT_EQ(FullImageName("localhost/b"), "localhost/b:latest");
  EXPECT_EQ(FullImageName("host:5000/b"), "host:5000/b:latest");
  EXPECT_EQ(FullImageName("r.example/b@" + kDigest), "r.example/b@" + kDigest);
  EXPECT_TRUE(MayNameImage("docker.io/library/busybox:latest", "busybox"));
  EXPECT_TRUE(MayNameImage("docker.io/library/busybox@" + kDigest, "busybox:1"));
  EXPECT_TRUE(MayNameImage(kDigest, "busybox"));
  EXPECT_FALSE(MayNameImage("docker.io/library/busybox:2", "busybox:1"));
  EXPECT_FALSE(MayNameImage("docker.io/evil/busybox@" + kDigest, "busybox:1"));
  EXPECT_FALSE(MayNameImage("docker.io/library/busybox@sha256:12", "busybox:1"));
  EXPECT_FALSE(MayNameImage("busybox@" + kDigest, "busybox@sha256:" + std::string(64, 'b')));
  EXPECT_FALSE(MayNameImage("sha256:" + std::string(64, 'X'), "busybox"));
}

}  // namespace
}  // namespace ccgpu::policy
