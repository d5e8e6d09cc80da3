// The broker of a cluster, through kubectl's port-forward: its certificate is checked as for its name in the cluster.
#pragma once

#include <functional>
#include <string>

#include "cli/kube/cluster.h"
#include "cli/secret_commands.h"

namespace ccgpu::cli {

struct ClusterBrokerOptions {
  std::string service = "ccgpu-broker";
  std::string ca_file;     // empty: ConfigMap ccgpu-trust
  std::string token_file;  // empty: Secret ccgpu-broker, for those who may read it
};

// Runs `act` while the broker can be reached.
int WithBroker(Context& context, const Cluster& cluster, const ClusterBrokerOptions& options,
               const std::function<int(const BrokerOptions&)>& act);

}  // namespace ccgpu::cli
