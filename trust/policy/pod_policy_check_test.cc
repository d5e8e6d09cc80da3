// CheckCreate against what a real containerd wrote, and against every way to change it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "trust/policy/test_pod.h"

namespace ccgpu::policy {
namespace {

using test::Dump;
using test::Policy;
using test::Request;
using test::Without;
using test::Words;
using ::testing::HasSubstr;

TEST(CheckCreate, AllowsWhatContainerdWritesForThePod) {
  EXPECT_EQ(Words(CheckCreate(Policy(), Request("plain", Dump("plain")), {})), "allowed");
  EXPECT_EQ(Words(CheckCreate(Policy(), Request("full", Dump("full")), {})), "allowed");
}

struct Change {
  const char* name;
  std::function<void(Json&)> edit;
  const char* code;
  const char* subject;
};

void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }

class RefusedSpec : public ::testing::TestWithParam<Change> {};

TEST_P(RefusedSpec, WithCodeAndRule) {
  const std::string base = std::string(GetParam().subject).starts_with("containers[full]") ? "full" : "plain";
  Json spec = Dump(base);
  GetParam().edit(spec);
  const Status status = CheckCreate(Policy(), Request(base, spec), {});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, GetParam().code) << status.error().ToString();
  EXPECT_EQ(status.error().subject, GetParam().subject) << status.error().ToString();
}

Json Bind(const char* destination, const char* source) {
  return {{"destination", destination}, {"type", "bind"}, {"source", source}, {"options", {"rbind", "rprivate", "rw"}}};
}
Json& MountAt(Json& spec, const std::string& destination) {
  for (Json& mount : spec["mounts"]) {
    if (mount["destination"] == destination) return mount;
  }
  throw std::runtime_error("no mount " + destination);
}
Json& Namespace(Json& spec, const std::string& type) {
  for (Json& one : spec["linux"]["namespaces"]) {
    if (one["type"] == type) return one;
  }
  throw std::runtime_error("no namespace " + type);
}
const Change kChanges[] = {
    {"image", [](Json& s) { s["annotations"]["io.kubernetes.cri.image-name"] = "docker.io/evil"; }, "policy.image",
     "containers[plain].image"},
    {"arg-changed", [](Json& s) { s["process"]["args"][1] = "101"; }, "policy.command", "containers[plain].args[1]"},
    {"arg-added", [](Json& s) { s["process"]["args"].push_back("x"); }, "policy.command", "containers[plain].args[2]"},
    {"arg-missing", [](Json& s) { s["process"]["args"].erase(1); }, "policy.command", "containers[plain].args[1]"},
    {"args-gone", [](Json& s) { s["process"].erase("args"); }, "policy.command", "containers[plain].args[0]"},
    {"args-no-list", [](Json& s) { s["process"]["args"] = "sleep 100"; }, "policy.bad-spec", "process.args"},
    {"arg-nul", [](Json& s) { s["process"]["args"][1] = std::string("100\0x", 5); }, "policy.bad-spec", "process.args"},
    {"cwd", [](Json& s) { s["process"]["cwd"] = "/tmp"; }, "policy.cwd", "containers[plain].cwd"},
    {"env-changed", [](Json& s) { s["process"]["env"][2] = "IMG=3"; }, "policy.env", "containers[plain].env[IMG]"},
    {"env-added", [](Json& s) { s["process"]["env"].push_back("LD_PRELOAD=/x.so"); }, "policy.env",
     "containers[plain].env[LD_PRELOAD]"},
    {"env-missing", [](Json& s) { s["process"]["env"].erase(2); }, "policy.env", "containers[plain].env[IMG]"},
    {"env-doubled", [](Json& s) { s["process"]["env"].push_back("IMG=9"); }, "policy.env",
     "containers[plain].env[IMG]"},
    {"env-no-name", [](Json& s) { s["process"]["env"].push_back("=1"); }, "policy.env", "containers[plain].env"},
    {"env-gpu-marker-without-gpu", [](Json& s) { s["process"]["env"].push_back("CCGPU_GPU_UUIDS=GPU-1"); },
     "policy.env", "containers[plain].env[CCGPU_GPU_UUIDS]"},
    {"uid", [](Json& s) { s["process"]["user"]["uid"] = 0; }, "policy.user", "containers[full].user.uid"},
    {"gid", [](Json& s) { s["process"]["user"]["gid"] = 7; }, "policy.user", "containers[plain].user.gid"},
    {"group-added", [](Json& s) { s["process"]["user"]["additionalGids"].push_back(6); }, "policy.user",
     "containers[plain].user.additionalGids"},
    {"group-missing",
     [](Json& s) {
       s["process"]["user"]["additionalGids"] = {5, 1000};
     },
     "policy.user", "containers[full].user.additionalGids"},
    {"uid-negative", [](Json& s) { s["process"]["user"]["uid"] = -1; }, "policy.bad-spec", "process.user.uid"},
    {"umask", [](Json& s) { s["process"]["user"]["umask"] = 18; }, "policy.unknown-field", "process.user.umask"},
    {"cap-added", [](Json& s) { s["process"]["capabilities"]["effective"].push_back("CAP_SYS_ADMIN"); },
     "policy.capability", "containers[plain].capabilities"},
    {"cap-missing", [](Json& s) { s["process"]["capabilities"]["bounding"].erase(0); }, "policy.capability",
     "containers[plain].capabilities"},
    {"cap-ambient", [](Json& s) { s["process"]["capabilities"]["ambient"] = {"CAP_CHOWN"}; }, "policy.capability",
     "containers[plain].capabilities"},
    {"cap-inheritable", [](Json& s) { s["process"]["capabilities"]["inheritable"] = {"CAP_CHOWN"}; },
     "policy.capability", "containers[plain].capabilities"},
    {"caps-gone", [](Json& s) { s["process"].erase("capabilities"); }, "policy.capability",
     "containers[plain].capabilities"},
    {"no-new-privileges-gone", [](Json& s) { s["process"].erase("noNewPrivileges"); }, "policy.privilege",
     "containers[full].noNewPrivileges"},
    {"terminal", [](Json& s) { s["process"]["terminal"] = true; }, "policy.terminal", "containers[plain].terminal"},
    {"rlimit",
     [](Json& s) {
       s["process"]["rlimits"] = {{{"type", "RLIMIT_CORE"}, {"soft", 1}, {"hard", 1}}};
     },
     "policy.rlimit", "containers[plain].rlimits"},
    {"apparmor", [](Json& s) { s["process"]["apparmorProfile"] = "unconfined"; }, "policy.security-label",
     "containers[plain].apparmorProfile"},
    {"selinux", [](Json& s) { s["process"]["selinuxLabel"] = "x"; }, "policy.security-label",
     "containers[plain].selinuxLabel"},
    {"process-field",
     [](Json& s) {
       s["process"]["scheduler"] = {{"policy", "SCHED_FIFO"}};
     },
     "policy.unknown-field", "process.scheduler"},
    {"mount-added", [](Json& s) { s["mounts"].push_back(Bind("/host", "/")); }, "policy.mount",
     "containers[plain].mounts[/host]"},
    {"mount-over-binary", [](Json& s) { s["mounts"].push_back(Bind("/bin/sleep", "/tmp/evil")); }, "policy.mount",
     "containers[plain].mounts[/bin/sleep]"},
    {"mount-missing", [](Json& s) { Without(s["mounts"], "destination", "/data"); }, "policy.mount",
     "containers[full].mounts[/data]"},
    {"mount-relative-source", [](Json& s) { MountAt(s, "/data")["source"] = "../../empty-dir/data"; }, "policy.mount",
     "containers[full].mounts[/data].source"},
    {"mount-dotdot-source", [](Json& s) { MountAt(s, "/data")["source"] = "/x/../empty-dir/data"; }, "policy.mount",
     "containers[full].mounts[/data].source"},
    {"mount-other-volume", [](Json& s) { MountAt(s, "/data")["source"] = "/v/empty-dir/other"; }, "policy.mount",
     "containers[full].mounts[/data].volume"},
    {"mount-read-only",
     [](Json& s) {
       MountAt(s, "/data")["options"] = {"rbind", "ro"};
     },
     "policy.mount", "containers[full].mounts[/data].readOnly"},
    {"mount-shared",
     [](Json& s) {
       MountAt(s, "/data")["options"] = {"rbind", "rshared"};
     },
     "policy.mount", "containers[full].mounts[/data].options"},
    {"mount-type", [](Json& s) { MountAt(s, "/data")["type"] = "overlay"; }, "policy.mount",
     "containers[full].mounts[/data].type"},
    {"mount-twice", [](Json& s) { s["mounts"].push_back(Bind("/etc/hosts", "/x/sandboxes/1/hosts")); }, "policy.mount",
     "containers[plain].mounts[/etc/hosts]"},
    {"mount-dotdot-destination", [](Json& s) { s["mounts"].push_back(Bind("/etc/../bin", "/x")); }, "policy.mount",
     "containers[plain].mounts"},
    {"mount-hosts-from-elsewhere", [](Json& s) { MountAt(s, "/etc/hosts")["source"] = "/etc/shadow"; }, "policy.mount",
     "containers[plain].mounts[/etc/hosts].source"},
    {"mount-idmap",
     [](Json& s) {
       MountAt(s, "/etc/hosts")["uidMappings"] = {{{"hostID", 0}}};
     },
     "policy.unknown-field", "spec.mounts[8].uidMappings"},
    {"proc-options", [](Json& s) { MountAt(s, "/proc")["options"] = Json::array({"nosuid"}); }, "policy.mount",
     "containers[plain].mounts[/proc].options"},
    {"proc-bind", [](Json& s) { MountAt(s, "/proc")["type"] = "bind"; }, "policy.mount",
     "containers[plain].mounts[/proc].type"},
    {"dev-missing", [](Json& s) { Without(s["mounts"], "destination", "/dev"); }, "policy.mount",
     "containers[plain].mounts[/dev]"},
    {"sys-writable",
     [](Json& s) {
       MountAt(s, "/sys")["options"] = {"nosuid", "noexec", "nodev", "rw"};
     },
     "policy.mount", "containers[plain].mounts[/sys].options"},
    {"image-volume-from-elsewhere", [](Json& s) { MountAt(s, "/vol")["source"] = "/etc"; }, "policy.mount",
     "containers[plain].mounts[/vol].source"},
    {"hook",
     [](Json& s) {
       s["hooks"]["createRuntime"] = {{{"path", "/bin/evil"}}};
     },
     "policy.hook", "containers[plain].hooks.createRuntime"},
    {"hook-prestart",
     [](Json& s) {
       s["hooks"]["prestart"] = {{{"path", "/bin/evil"}}};
     },
     "policy.hook", "containers[plain].hooks.prestart"},
    {"top-field",
     [](Json& s) {
       s["vm"] = {{"kernel", 1}};
     },
     "policy.unknown-field", "containers[plain].vm"},
    {"hostname", [](Json& s) { s["hostname"] = "x"; }, "policy.unknown-field", "containers[plain].hostname"},
    {"root-path", [](Json& s) { s["root"]["path"] = "/"; }, "policy.rootfs", "containers[plain].root.path"},
    {"root-writable", [](Json& s) { s["root"]["readonly"] = false; }, "policy.rootfs-mode",
     "containers[full].readOnlyRootFilesystem"},
    {"pid-namespace-of-host", [](Json& s) { Without(s["linux"]["namespaces"], "type", "pid"); }, "policy.namespace",
     "containers[plain].namespaces[pid]"},
    {"pid-namespace-of-init", [](Json& s) { Namespace(s, "pid")["path"] = "/proc/1/ns/pid"; }, "policy.namespace",
     "containers[plain].namespaces[pid]"},
    {"mount-namespace-of-host", [](Json& s) { Without(s["linux"]["namespaces"], "type", "mount"); }, "policy.namespace",
     "containers[plain].namespaces[mount]"},
    {"network-of-host", [](Json& s) { Without(s["linux"]["namespaces"], "type", "network"); }, "policy.namespace",
     "containers[plain].namespaces[network]"},
    {"network-new", [](Json& s) { Namespace(s, "network").erase("path"); }, "policy.namespace",
     "containers[plain].namespaces[network]"},
    {"network-of-other", [](Json& s) { Namespace(s, "network")["path"] = "/proc/1/ns/net"; }, "policy.namespace",
     "containers[plain].namespaces[network]"},
    {"ipc-odd-path", [](Json& s) { Namespace(s, "ipc")["path"] = "/proc/1/../1/ns/ipc"; }, "policy.namespace",
     "containers[plain].namespaces[ipc]"},
    {"user-namespace",
     [](Json& s) {
       s["linux"]["namespaces"].push_back({{"type", "user"}});
     },
     "policy.namespace", "containers[plain].namespaces[\"user\"]"},
    {"namespace-twice",
     [](Json& s) {
       s["linux"]["namespaces"].push_back({{"type", "pid"}});
     },
     "policy.namespace", "containers[plain].namespaces[\"pid\"]"},
    {"uid-mappings",
     [](Json& s) {
       s["linux"]["uidMappings"] = {{{"hostID", 0}}};
     },
     "policy.unknown-field", "linux.uidMappings"},
    {"device",
     [](Json& s) {
       s["linux"]["devices"] = {{{"path", "/dev/sda"}}};
     },
     "policy.device", "containers[plain].devices"},
    {"device-rule",
     [](Json& s) {
       s["linux"]["resources"]["devices"].push_back({{"allow", true}, {"access", "rwm"}});
     },
     "policy.device", "containers[plain].resources.devices"},
    {"device-rule-odd",
     [](Json& s) {
       s["linux"]["resources"]["devices"].push_back({{"allow", "no"}});
     },
     "policy.device", "containers[plain].resources.devices"},
    {"block-io",
     [](Json& s) {
       s["linux"]["resources"]["blockIO"] = {{"weight", 1}};
     },
     "policy.unknown-field", "linux.resources.blockIO"},
    {"seccomp",
     [](Json& s) {
       s["linux"]["seccomp"] = {{"defaultAction", "SCMP_ACT_ERRNO"}};
     },
     "policy.seccomp", "containers[plain].seccomp"},
    {"mount-label", [](Json& s) { s["linux"]["mountLabel"] = "x"; }, "policy.security-label",
     "containers[plain].mountLabel"},
    {"propagation", [](Json& s) { s["linux"]["rootfsPropagation"] = "rshared"; }, "policy.mount",
     "containers[plain].rootfsPropagation"},
    {"masked-missing", [](Json& s) { s["linux"].erase("maskedPaths"); }, "policy.paths",
     "containers[plain].maskedPaths"},
    {"masked-file-of-image", [](Json& s) { s["linux"]["maskedPaths"].push_back("/etc/passwd"); }, "policy.paths",
     "containers[plain].maskedPaths"},
    {"readonly-missing", [](Json& s) { s["linux"]["readonlyPaths"].erase(0); }, "policy.paths",
     "containers[plain].readonlyPaths"},
    {"readonly-dotdot", [](Json& s) { s["linux"]["readonlyPaths"].push_back("/proc/../etc"); }, "policy.paths",
     "containers[plain].readonlyPaths"},
    {"sysctl",
     [](Json& s) {
       s["linux"]["sysctl"] = {{"kernel.core_pattern", "|/x"}};
     },
     "policy.sysctl", "containers[plain].sysctls[kernel.core_pattern]"},
    {"personality",
     [](Json& s) {
       s["linux"]["personality"] = {{"domain", "LINUX32"}};
     },
     "policy.unknown-field", "linux.personality"},
    {"intel-rdt",
     [](Json& s) {
       s["linux"]["intelRdt"] = {{"closID", "x"}};
     },
     "policy.unknown-field", "linux.intelRdt"},
    {"annotation-unknown", [](Json& s) { s["annotations"]["run.oci.handler"] = "krun"; }, "policy.annotation",
     "containers[plain].annotations[\"run.oci.handler\"]"},
    {"annotation-kubernetes-unknown", [](Json& s) { s["annotations"]["io.kubernetes.cri.other"] = "1"; },
     "policy.annotation", "containers[plain].annotations[\"io.kubernetes.cri.other\"]"},
    {"annotation-type", [](Json& s) { s["annotations"]["io.kubernetes.cri.container-type"] = "sandbox"; },
     "policy.annotation", "containers[plain].annotations[\"io.kubernetes.cri.container-type\"]"},
    {"annotation-pod", [](Json& s) { s["annotations"]["io.kubernetes.cri.sandbox-name"] = "x"; }, "policy.annotation",
     "containers[plain].annotations[\"io.kubernetes.cri.sandbox-name\"]"},
    {"annotation-name", [](Json& s) { s["annotations"]["io.kubernetes.cri.container-name"] = "full"; },
     "policy.annotation", "containers[plain].annotations[\"io.kubernetes.cri.container-name\"]"},
    {"annotation-hypervisor", [](Json& s) { s["annotations"]["io.katacontainers.config.hypervisor.path"] = "/x"; },
     "policy.annotation", "containers[plain].annotations[\"io.katacontainers.config.hypervisor.path\"]"},
    {"not-an-object", [](Json& s) { s = Json::array(); }, "policy.bad-spec", "containers[plain].spec"},
    {"mounts-no-list", [](Json& s) { s["mounts"] = "x"; }, "policy.bad-spec", "spec.mounts"},
    {"linux-gone", [](Json& s) { s.erase("linux"); }, "policy.namespace", "containers[plain].namespaces[mount]"},
};

std::string NameOf(const ::testing::TestParamInfo<Change>& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Changes, RefusedSpec, ::testing::ValuesIn(kChanges), NameOf);

TEST(CheckCreate, SaysWhatWasExpectedAndFound) {
  Json spec = Dump("plain");
  spec["process"]["args"][1] = "101";
  EXPECT_EQ(Words(CheckCreate(Policy(), Request("plain", spec), {})),
            "containers[plain].args[1]: expected \"100\", found \"101\" [policy.command]");
}

TEST(CheckCreate, UnknownContainerNamesTheKnown) {
  const Status status = CheckCreate(Policy(), Request("other", Dump("plain")), {});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, "policy.container");
  EXPECT_THAT(status.error().text, HasSubstr("plain, full"));
}

TEST(CheckCreate, BindsTheRootfs) {
  ContainerRequest request = Request("plain", Dump("plain"));
  request.rootfs_digest = "sha256:" + std::string(64, 'b');
  EXPECT_EQ(CheckCreate(Policy(), request, {}).error().code, "policy.rootfs");
  request.rootfs_digest.clear();
  EXPECT_EQ(CheckCreate(Policy(), request, {}).error().code, "policy.rootfs");
  EXPECT_TRUE(CheckCreateSpec(Policy(), request, {}).ok());
}

TEST(CheckCreate, GpuCountIsExact) {
  PodPolicy pod = Policy();
  pod.gpus.count = 2;
  pod.containers[0].gpus = 1;
  Json spec = Dump("plain");
  spec["process"]["env"].push_back("CCGPU_GPU_UUIDS=GPU-00000000-0000-0000-0000-000000000001");
  ContainerRequest request = Request("plain", spec);
  request.gpus = 1;
  EXPECT_EQ(Words(CheckCreate(pod, request, {})), "allowed");
  for (const uint32_t wrong : {0u, 2u}) {
    request.gpus = wrong;
    const Status status = CheckCreate(pod, request, {});
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, "policy.gpu-count");
    EXPECT_EQ(status.error().subject, "containers[plain].gpus");
  }
  request.gpus = 1;
  spec["process"]["env"].back() = "CCGPU_GPU_UUIDS=$(reboot)";
  request.oci_spec_json = spec.dump();
  EXPECT_EQ(CheckCreate(pod, request, {}).error().code, "policy.env");
}

TEST(CheckCreate, EachContainerStartsOnceUnlessThePodRestarts) {
  PodPolicy pod = Policy();
  const PodState state{{{"plain", 1}}};
  const ContainerRequest request = Request("plain", Dump("plain"));
  EXPECT_EQ(CheckCreate(pod, request, state).error().code, "policy.container-again");
  pod.restart_policy = "Always";
  EXPECT_TRUE(CheckCreate(pod, request, state).ok());
}

TEST(CheckCreate, InitContainersComeFirst) {
  PodPolicy pod = Policy();
  pod.containers[0].init = true;
  EXPECT_EQ(CheckCreate(pod, Request("full", Dump("full")), {}).error().code, "policy.order");
  EXPECT_EQ(Words(CheckCreate(pod, Request("plain", Dump("plain")), {})), "allowed");
  EXPECT_EQ(Words(CheckCreate(pod, Request("full", Dump("full")), {{{"plain", 1}}})), "allowed");
}

TEST(CheckCreate, AllowedEnvPatterns) {
  PodPolicy pod = Policy();
  pod.containers[0].allowed_env_patterns = {"POD_IP=10.*"};
  Json spec = Dump("plain");
  spec["process"]["env"].push_back("POD_IP=10.1.2.3");
  EXPECT_EQ(Words(CheckCreate(pod, Request("plain", spec), {})), "allowed");
  spec["process"]["env"].back() = "POD_IP=11.1.2.3";
  EXPECT_EQ(CheckCreate(pod, Request("plain", spec), {}).error().code, "policy.env");
  spec["process"]["env"].back() = "POD_IP2=10.1.2.3";
  EXPECT_EQ(CheckCreate(pod, Request("plain", spec), {}).error().code, "policy.env");
}

TEST(CheckCreate, SharedProcessNamespaceIsTheSandboxes) {
  PodPolicy pod = Policy();
  pod.share_process_namespace = true;
  Json spec = Dump("plain");
  EXPECT_EQ(CheckCreate(pod, Request("plain", spec), {}).error().code, "policy.namespace");
  std::string path = Namespace(spec,
                               "net"
                               "work")["path"];
  Namespace(spec, "pid")["path"] = path.substr(0, path.rfind('/')) + "/pid";
  EXPECT_EQ(Words(CheckCreate(pod, Request("plain", spec), {})), "allowed");
}

TEST(CheckCreate, NoSpecOfTheHostEndsTheProgram) {
  const std::string text = Dump("full").dump();
  for (size_t length = 0; length < text.size(); length += 7) {
    ContainerRequest request = Request("full", {});
    request.oci_spec_json = text.substr(0, length);
    EXPECT_FALSE(CheckCreate(Policy(), request, {}).ok());
  }
  // Every value of the spec replaced by one of another type is refused or harmless, never a crash.
  const Json flat = Dump("full").flatten();
  for (const auto& [pointer, value] : flat.items()) {
    for (const Json& odd : {Json(nullptr), Json(-1), Json("x"), Json::array({Json::object()}), Json{{"a", 1}}}) {
      Json spec = Dump("full");
      spec[Json::json_pointer(pointer)] = odd;
      (void)CheckCreate(Policy(), Request("full", spec), {});
    }
  }
}

}  // namespace
}  // namespace ccgpu::policy
