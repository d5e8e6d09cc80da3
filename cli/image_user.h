// Which user, group and supplementary groups containerd's CRI gives a process, from the image's /etc/passwd and
// /etc/group.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace ccgpu::cli {

struct ProcessUser {
  uint32_t uid = 0, gid = 0;
  std::vector<uint32_t> additional_gids;  // sorted, without gid
};

struct UserRequest {
  std::optional<int64_t> run_as_user, run_as_group;
  std::string image_user;  // the image config's User: "", "1000", "web", "web:audio", "1000:63"
  std::vector<int64_t> supplemental_groups;
  // kubelet asks for the image's user as if the pod had named it: the group behind its colon is lost, and its
  // supplementary groups are looked up.
  bool kubelet = false;
};

// Error: cli.unknown-user, when a name is not in the files.
Result<ProcessUser> ResolveUser(const UserRequest& request, const std::string& etc_passwd,
                                const std::string& etc_group);

}  // namespace ccgpu::cli
