// One layer of an image put on top of those below it. Private to node/images.
#pragma once

#include <map>
#include <string>

#include "node/images/tar_reader.h"
#include "trust/policy/rootfs_digest.h"

namespace ccgpu::images {

class LayerStack {
 public:
  // `blob`: the layer's bytes as they stand in the image, compressed or not. Fails with "image.digest-mismatch" when
  // the plain bytes are not those of `diff_id` ("sha256:..").
  Status Add(ByteSource blob, const std::string& diff_id);
  std::string Digest() const { return policy::TreeDigest(tree_.tree()); }
  // A small file of the finished tree (/etc/passwd, /etc/group); "" when absent or larger than 1 MiB.
  std::string SmallFile(const std::string& path) const;

 private:
  Status AddEntry(TarReader& tar, archive_entry* entry);
  policy::LayeredTree tree_;
  std::map<std::string, std::string> small_;  // SHA-256 in hex -> content
};

}  // namespace ccgpu::images
