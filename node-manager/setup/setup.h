// What the chart's two hooks do: `ccgpu-node-manager setup` before the first install and each upgrade, `teardown`
// before everything is removed.
#pragma once

#include <string>
#include <vector>

#include "kube/client.h"

namespace ccgpu::nodemanager {

struct SetupOptions {
  std::string identity;        // state folder of `ccgpu-emulator --identities-only`
  std::string broker;          // state folder of `ccgpu-broker --init-only`
  std::string ns;              // where Secrets and ConfigMap are made
  std::string name = "ccgpu";  // their names begin so: NAME-identity, NAME-broker, NAME-trust
  std::string kbs_url, rim_url, ocsp_url, pcs_url;
  bool accept_emulated = false;
  std::vector<std::string> enable_nodes;
};

// Makes the Secrets where there are none and never changes one; writes the ConfigMap of what pods' owners need to know
// out of the Secrets that are there now; then EnableNodes. Called any number of times, by several at once too. Errors:
// "manager.setup-missing-file", "manager.setup-incomplete", those of the API.
Status Setup(kube::Client& client, const SetupOptions& options);

inline constexpr char kEveryNode[] = "*";

// Labels these nodes (names, or kEveryNode) ccgpu.dev/enabled=true and marks them, so that Teardown takes the label off
// again. A node that carries the label with any value stays as it is, and its label is somebody else's. Nothing is
// labelled when a name is no node's: "manager.setup-no-node".
Status EnableNodes(kube::Client& client, const std::vector<std::string>& names);

struct TeardownOptions {
  std::string ns, name = "ccgpu";
  std::chrono::seconds timeout{300};  // for the installers to put their nodes back
};

// Tells the installers to put their nodes back and waits for it, then removes our labels, taint, annotations and
// condition from all nodes, the Secrets and the ConfigMap. What is gone already is fine. "manager.teardown-timeout"
// names the nodes that still carry our runtime; nodes that are not Ready do not hold it up.
Status Teardown(kube::Client& client, const TeardownOptions& options, kube::Timer& timer);

}  // namespace ccgpu::nodemanager
