// Runtimes make the cgroups they are told to use and leave the parents behind; these remove a pod's own.
#pragma once

#include <string>

namespace ccgpu::node {

// Removes `path` ("/ccgpu/pod<uid>") with what is below it in every hierarchy (cgroup v1 and v2), as far as it is empty
// of processes. `root` is /sys/fs/cgroup.
void RemoveCgroup(const std::string& path, const std::string& root = "/sys/fs/cgroup");

}  // namespace ccgpu::node
