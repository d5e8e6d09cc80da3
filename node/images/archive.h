// Images as files: what an OCI or docker archive holds, and archives made of plain files. No registry, no daemon.
//
// Formats: OCI image layout in a tar, docker-archive (manifest.json); layers as plain tar, gzip or zstd. Every digest
// an archive states is computed again. docs/formats/rootfs-digest.md says what rootfs_digest covers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace ccgpu::images {

struct ImageInfo {
  std::string reference;  // localhost/ccgpu/busybox:latest; empty when the archive names none
  std::string
      manifest_digest;  // sha256:..; for docker archives of the manifest that `ctr images import` would write: empty
  std::string config_json;    // the image config, byte for byte
  std::string rootfs_digest;  // sha256:.. of all layers (trust/policy/rootfs_digest.h)
  int64_t size = 0;           // of config and layers in the archive
  std::string
      etc_passwd;  // the image's /etc/passwd and /etc/group: they decide what `runAsUser: name` and supplementary
  std::string etc_group;  // groups become; empty when absent
};

// One ImageInfo per named image (a docker archive may name one image several times). Errors: image.*.
Result<std::vector<ImageInfo>> ReadArchive(const std::string& path);

// The config as policies and CRI see it.
struct ImageConfig {
  std::vector<std::string> entrypoint, cmd, env;
  std::string working_dir, user;
  std::vector<std::string> volumes;
};
Result<ImageConfig> ParseImageConfig(const std::string& config_json);

// One file of a new image. Parents that are not listed are made (0755 0:0).
struct FileSpec {
  std::string path;  // absolute in the image
  char type = 'f';   // f | d | l
  uint32_t mode = 0644;
  uint32_t uid = 0, gid = 0;
  std::string content;  // f: the bytes, unless source is given
  std::string source;   // f: a file of this machine to read them from
  std::string target;   // l
};

struct ImageSpec {
  std::string reference;
  std::vector<std::vector<FileSpec>> layers;  // each list one layer, lowest first
  std::vector<std::string> entrypoint, cmd, env;
  std::string working_dir, user;
  std::map<std::string, std::string> labels;
  bool gzip = false;  // compress layers
};

// Writes an OCI archive that `ctr images import` takes; the same spec gives the same bytes. Returns the manifest
// digest.
Result<std::string> WriteOciArchive(const ImageSpec& spec, const std::string& path);

// What ccgpu-node keeps of an image it has imported, one JSON object.
std::string ImageInfoToJson(const ImageInfo& info);
Result<ImageInfo> ImageInfoFromJson(const std::string& json);

}  // namespace ccgpu::images
