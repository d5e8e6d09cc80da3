// One digest for a whole file tree: it binds a container's name in the policy to the bytes that run.
//
// The same digest comes out of a mounted rootfs (inside the sandbox) and out of an image's layers (where policies are
// made). What counts and what not, and the exact bytes that are hashed: docs/formats/rootfs-digest.md.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ccgpu::policy {

struct TreeEntry {
  char type = 'f';    // f file, d directory, l symbolic link, c b device, p fifo
  uint32_t mode = 0;  // 07777; not counted for links
  uint32_t uid = 0, gid = 0;
  uint64_t size = 0;              // files
  Bytes content_sha256;           // files, 32 bytes
  std::string target;             // links
  uint32_t major = 0, minor = 0;  // devices
  Bytes capability;               // the value of xattr security.capability; empty: none
  bool operator==(const TreeEntry&) const = default;
};

// Path relative to the root, without leading "/" or "./" ("bin/busybox"), to what is there. The root itself is not
// listed.
using Tree = std::map<std::string, TreeEntry>;

std::string TreeDigest(const Tree& tree);  // "sha256:<64 hex>"

// Layers of an OCI image put on top of each other as containerd does it (whiteouts, opaque folders, parents that are
// symbolic links). Feed the entries of each layer in the order of its archive.
class LayeredTree {
 public:
  void BeginLayer();
  // `path` as it stands in the archive; a path that leaves the root is an error ("image.bad-path").
  Status Add(const std::string& path, TreeEntry entry);
  // A hard link to `target`, a path of the archive or of a lower layer.
  Status AddHardLink(const std::string& path, const std::string& target);
  const Tree& tree() const { return tree_; }

 private:
  Result<std::string> Place(const std::string& path);  // normal path with parents resolved and made
  void Remove(const std::string& path, const std::set<std::string>& keep);
  Tree tree_;
  std::set<std::string> of_this_layer_;
};

struct TreeLimits {
  uint64_t bytes = 64ull << 30;
  uint64_t entries = 4u << 20;
};

// The tree below an open directory, read without following any link and without leaving it. The root must belong to 0:0
// and be writable by its owner only. Sockets are an error. For a rootfs nobody else writes to.
Result<Tree> ReadTree(int root_fd, const TreeLimits& limits = {});
Result<std::string> DigestDirectory(const std::string& path, const TreeLimits& limits = {});  // ReadTree + TreeDigest

}  // namespace ccgpu::policy
