// Images of the node: imported from archives into containerd, with what only the archive tells (the digest of the
// unpacked tree) kept beside.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "node/cri/client.h"

namespace ccgpu::node {

struct NodeImage {
  std::string reference, manifest_digest, config_json, rootfs_digest;
  int64_t size = 0;
};

// Any thread.
class ImageStore {
 public:
  // `dir`: where facts are kept; `containerd`: its socket; `ctr`: the program that imports.
  ImageStore(CriClient& cri, std::string dir, std::string containerd, std::string ctr = "ctr");
  // Imports every image of an OCI or docker archive; `reference` gives a single image another name. Returns when the
  // runtime knows them. Errors: image.* of the archive, node.import-failed.
  Result<std::vector<NodeImage>> Import(const std::string& archive, const std::string& reference);
  // Images that came in another way have no rootfs_digest.
  Result<std::vector<NodeImage>> List();

 private:
  Result<NodeImage> Describe(const runtime::v1::Image& image, const std::string& reference);
  CriClient& cri_;
  std::string dir_, containerd_, ctr_;
};

// Runs a program to its end; fails with "node.import-failed" and what it printed when it does not exit with 0.
Status RunProgram(const std::vector<std::string>& words);

}  // namespace ccgpu::node
