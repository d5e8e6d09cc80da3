// The control groups of one container or sandbox, v1 (all mounted hierarchies, hybrid too) and v2, by the path that
// config.json names (linux.cgroupsPath; the systemd form "slice:prefix:name" as well).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "shim/api/containerd.pb.h"

namespace ccgpu::shim {

// What linux.cgroupsPath means as a folder below a hierarchy's root: "/x" as it is, "a-b.slice:cri-containerd:ID" as
// systemd would place it. Empty stays empty.
std::string CgroupFolder(const std::string& cgroups_path);

// Cheap to copy, keeps nothing open. An empty path makes an empty object on which everything is a no-op.
class Cgroup {
 public:
  Cgroup() = default;
  // `root`: where the hierarchies are mounted; tests set it.
  explicit Cgroup(const std::string& cgroups_path, const std::string& root = "/sys/fs/cgroup");

  bool unified() const { return unified_; }
  const std::vector<std::string>& folders() const { return folders_; }  // one per hierarchy
  // Makes the folders and puts the process into all of them.
  Status Join(pid_t pid) const;
  std::vector<pid_t> Pids() const;  // of this group and all below it
  // The metrics message that fits the machine's cgroup version. "cgroup.gone" when the group is no longer there.
  Result<containerd::Any> Stats() const;
  // SIGKILL to all that is in it. True when it is empty.
  bool KillAll() const;
  // Removes the folders; what is busy stays.
  void Remove() const;
  // The file that says how often the kernel ran out of memory for this group: v2 memory.events, v1 memory.oom_control;
  // "" if none.
  std::string OomFile() const;

 private:
  std::string Folder(const std::string& controller) const;  // "" when there is none
  bool unified_ = false;
  std::vector<std::string> folders_;
};

}  // namespace ccgpu::shim
