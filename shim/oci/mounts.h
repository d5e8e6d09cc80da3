// Mounts as containerd lists them: type, source and fstab-style options.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace ccgpu::shim {

struct MountEntry {
  std::string type;
  std::string source;
  std::vector<std::string> options;
};

struct MountOptions {
  unsigned long flags = 0;
  unsigned long propagation = 0;  // MS_SHARED and the like: a mount(2) call of its own
  std::string data;               // what the file system itself reads
  bool operator==(const MountOptions&) const = default;
};
MountOptions ParseMountOptions(const std::vector<std::string>& options);

// Mounts all entries on `target` in order. An overlay whose lowerdir list is longer than the one page that mount(2)
// takes is mounted with its folders named relative to their common parent. After an error nothing of it stays mounted.
Status MountAll(const std::vector<MountEntry>& entries, const std::string& target);
// Takes down all that is mounted on `target`. Fine when nothing is.
Status UnmountAll(const std::string& target);

// lowerdir and friends with the common parent taken out: {parent, shorter data}; parent "" when there is none. For
// tests.
std::pair<std::string, std::string> CompactOverlay(const std::string& data);

}  // namespace ccgpu::shim
