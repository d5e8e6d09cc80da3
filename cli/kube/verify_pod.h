// `kubectl ccgpu verify POD`: fresh evidence from the pod's own agent, judged on this machine.
#pragma once

#include <string>

#include "base/crypto/digest.h"
#include "cli/evidence_commands.h"
#include "cli/kube/cluster.h"

namespace ccgpu::cli {

struct VerifyPodOptions {
  std::string pod;
  JudgeOptions judge;               // roots, policy, collateral; the evidence and the nonce are ours to fill in
  bool trust_from_cluster = false;  // roots, and whether emulated evidence is accepted, out of ConfigMap ccgpu-trust
  std::string sealed_file;          // the manifest that the pod must have been made from
  std::string output;               // keep the evidence there too
};

// The API, kubelet and everything between may lie: it only carries the evidence. What it can do is to carry none, or
// another pod's with the same policy. Without --sealed and --host-data, however, the API says which policy the pod
// should have; that is said as a warning. Exit codes: `ccgpu evidence verify`'s; 4 no API server or agent answers.
int VerifyPod(Context& context, const Cluster& cluster, VerifyPodOptions options, crypto::Random& random);

}  // namespace ccgpu::cli
