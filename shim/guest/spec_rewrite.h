// What guestd changes in a container's config.json before runc reads it: after the policy has accepted it as it came.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace ccgpu::shim {

struct SpecChanges {
  bool in_pod = false;              // CRI: shared namespaces are those of the sandbox, whatever path the host wrote
  std::string rootfs = {};          // absolute path in the sandbox
  std::string gpu_folder = {};      // bind-mounted read-only on /run/ccgpu in the container; empty: no GPU
  std::string library_folder = {};  // bind-mounted read-only on /run/ccgpu/lib
  bool own_cgroups = false;         // runc makes control groups itself, without systemd
};

// Namespaces with a path become the sandbox's own (/proc/1/ns/..), a shared pid namespace is simply not made;
// root.path; a cgroups path in systemd's form becomes the folder that it means (own_cgroups: containerd gives a handler
// other than runc's no way to say that kubelet uses systemd's cgroup driver); the device plugin's marker variables go;
// a container with GPUs gets the driver socket and libraries, and LD_LIBRARY_PATH.
Result<std::string> RewriteSpec(std::string_view config_json, const SpecChanges& changes);
// The process of an exec: the same variables as the container, terminal as the request says.
Result<std::string> RewriteProcess(std::string_view process_json, bool terminal, bool has_gpu);

}  // namespace ccgpu::shim
