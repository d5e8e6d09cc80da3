// Documents and specs from outside: no input ends the program, and what is read can be written and read again.
#include <cstdlib>
#include <string>

#include "trust/policy/key_release.h"
#include "trust/policy/pod_policy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu::policy;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (auto policy = ParsePodPolicy(text, "fuzz"); policy.ok()) {
    auto again = ParsePodPolicy(WritePodPolicy(*policy), "again");
    if (!again.ok() || !(*again == *policy)) abort();
  }
  if (auto policy = ParseKeyReleasePolicy(text, "fuzz"); policy.ok()) {
    if (Decide(*policy, "{}").allow) abort();
  }
  static const PodPolicy kPolicy = [] {
    PodPolicy pod;
    pod.pod_name = "p";
    ContainerPolicy app;
    app.name = "app";
    app.args = {"x"};
    pod.containers = {app};
    return pod;
  }();
  (void)CheckCreate(kPolicy, {.name = "app", .image_name = "", .oci_spec_json = text, .rootfs_digest = "", .gpus = 0},
                    {});
  (void)CheckExec(kPolicy, "app", text);
  (void)CheckSandbox(kPolicy, text, {});
  KeyReleasePolicy release;
  release.sandbox.any_pod = true;
  (void)Decide(release, text);
  return 0;
}
