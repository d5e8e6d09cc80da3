// The commands that talk to ccgpu-node: pods and images of the machine. Each returns the program's exit code.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/context.h"
#include "node/images/archive.h"

namespace ccgpu::cli {

struct RunOptions {
  std::string manifest;  // path; "-" is standard input
  int timeout_seconds = 0;
  bool detach = false, keep = true, events = true;
};
int RunPod(Context& context, const RunOptions& options);

struct PodName {
  std::string name, pod_namespace;
};
// "demo" or "namespace/demo".
PodName ParsePodName(const std::string& text);

int ListPods(Context& context);
int DescribePod(Context& context, const PodName& pod);
int PodLogs(Context& context, const PodName& pod, const std::string& container, bool follow);
int RemovePods(Context& context, const std::vector<PodName>& pods, bool force);
int ExecInPod(Context& context, const PodName& pod, const std::string& container,
              const std::vector<std::string>& command, int timeout_seconds);
int ListImages(Context& context);
int ImportImages(Context& context, const std::vector<std::string>& archives);
// The rootfs digest of an archive's images, or of a folder; needs no node.
int DigestImage(Context& context, const std::string& path);

// For commands that work on what the node tells.
Result<std::map<std::string, images::ImageInfo>> ImagesOfNode(const Context& context);
Result<std::string> EvidenceOfPod(const Context& context, const PodName& pod, const std::string& nonce_bytes);

}  // namespace ccgpu::cli
