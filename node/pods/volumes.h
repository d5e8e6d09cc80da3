// The folders behind a pod's volumes, on the host.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "node/manifest/pod_spec.h"

namespace ccgpu::node {

// Volume name -> host path. emptyDirs are made below `dir` (a tmpfs for medium: Memory); hostPaths are checked as their
// type says
// ("node.bad-volume"). Again for the same pod: the same folders.
Result<std::map<std::string, std::string>> PrepareVolumes(const PodSpec& pod, const std::string& dir);
// Unmounts and deletes everything below `dir`, and `dir`. Never follows links, never leaves the filesystem of a mount.
Status RemoveVolumes(const std::string& dir);

}  // namespace ccgpu::node
