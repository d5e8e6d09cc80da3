// What the tests of the checks share: the documents of a real containerd, and the policy of the pod that they are of.
#pragma once

#include <gmock/gmock.h>

#include "base/file.h"
#include "base/json.h"
#include "trust/policy/pod_policy.h"

namespace ccgpu::policy::test {

inline const std::string kDigest = "sha256:" + std::string(64, 'a');

inline Json DumpFile(const std::string& name) {
  auto text = ReadFile(std::string(CCGPU_SOURCE_DIR) + "/trust/policy/testdata/containerd-" + name + ".json");
  EXPECT_TRUE(text.ok()) << (text.ok() ? "" : text.error().ToString());
  return Json::parse(*text);
}

inline Json Dump(const std::string& name) {
  Json spec = DumpFile("1.6.20-" + name);
  if (name != "sandbox") {
    spec["linux"]["maskedPaths"] = {"/proc/acpi",          "/proc/kcore",      "/proc/keys",
                                    "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                                    "/proc/sched_debug",   "/proc/scsi",       "/sys/firmware"};
    spec["linux"]["readonlyPaths"] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  }
  return spec;
}

inline PodPolicy Policy() {
  PodPolicy pod;
  pod.pod_name = "demo";
  ContainerPolicy plain;
  plain.name = "plain";
  plain.image = "localhost/t/bb:latest";
  plain.rootfs_digest = kDigest;
  plain.args = {"sleep", "100"};
  plain.env = {{"PATH", "/bin:/usr/bin"}, {"HOSTNAME", "demo"}, {"IMG", "1"}};
  plain.additional_gids = {10};
  plain.capabilities = DefaultCapabilities();
  plain.mounts = {{.destination = "/vol", .source = MountPolicy::Source::kImageVolume, .volume = {}, .path = {}}};
  plain.allowed_exec = {{"cat", "/proc/1/status"}};
  ContainerPolicy full = plain;
  full.name = "full";
  full.cwd = "/tmp";
  full.env = {{"PATH", "/bin:/usr/bin"}, {"TERM", "xterm"}, {"HOSTNAME", "demo"}, {"A", "1"}, {"IMG", "2"}};
  full.uid = full.gid = 1000;
  full.additional_gids = {5, 63};
  full.no_new_privileges = full.readonly_rootfs = full.terminal = true;
  std::erase(full.capabilities, "CAP_CHOWN");
  full.capabilities.push_back("CAP_NET_ADMIN");
  full.mounts.push_back(
      {.destination = "/data", .source = MountPolicy::Source::kEmptyDir, .volume = "data", .path = {}});
  pod.containers = {plain, full};
  return pod;
}

inline ContainerRequest Request(const std::string& name, const Json& spec) {
  return {.name = name,
          .image_name = "localhost/t/bb:latest",
          .oci_spec_json = spec.dump(),
          .rootfs_digest = kDigest,
          .gpus = 0};
}

inline std::string Words(const Status& status) { return status.ok() ? "allowed" : status.error().ToString(); }

inline void Without(Json& list, const char* key, const std::string& value) {
  list.erase(std::remove_if(list.begin(), list.end(), [&](const Json& item) { return item[key] == value; }),
             list.end());
}

}  // namespace ccgpu::policy::test
