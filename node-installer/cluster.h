// What the installer asks of and tells the cluster.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "kube/client.h"

namespace ccgpu::installer {

// Errors: those of kube::Client.
class Cluster {
 public:
  virtual ~Cluster() = default;
  // Whether our DaemonSet asks to be taken back from all nodes.
  virtual Result<bool> UninstallWanted() = 0;
  // Whether our node is still to have ccgpu.
  virtual Result<bool> NodeEnabled() = 0;
  // Labels of our node; nothing removes the label.
  virtual Status Label(const std::optional<std::string>& installed, bool ready) = 0;
};

struct ClusterPlace {
  std::string node, name_space, daemon_set = "ccgpu-node-installer";
};
// `client` must outlive it.
std::unique_ptr<Cluster> MakeCluster(kube::Client& client, ClusterPlace place);

}  // namespace ccgpu::installer
