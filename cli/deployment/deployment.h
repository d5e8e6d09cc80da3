// `ccgpu up` and `ccgpu down`: one node on this machine, made of the real programs. A deployment is a state directory.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/deployment/layout.h"

namespace ccgpu::deployment {

struct UpOptions {
  Layout layout;
  int gpus = 1;
  std::string profile = "h100-ncc-v5";
  std::string platform = "snp";         // the CPU that pods run on: snp, tdx, tdx-v5
  std::string platform_fault = "none";  // of a tdx platform, for tests (docs/formats/tdx-quote.md)
  // The broker and the pods' agents accept this emulator's roots. Never for anything that must stay secret from this
  // host.
  bool insecure_accept_emulated = false;
  std::vector<std::string> image_archives;  // OCI or docker archives to import besides ours
};

// Told one short line a step; steps that take longer than a moment are named before they run.
using Progress = std::function<void(const std::string&)>;

// Returns when pods can be run. Already up with the same options: a no-op. Up with others: "deployment.other-options".
// Programs that died are started again, and those that live go on. A first start that fails halfway stops what it had
// started. One call at a time per state directory (a lock file).
Status Up(const UpOptions& options, const Progress& progress);

// Stops everything that Up started: pods, programs, sockets, the bridge, mounts. Keeps secrets, identities and images.
// Fine if nothing runs.
Status Down(const Layout& layout, const Progress& progress);

// The deployment's config.json: what clients of it must know (broker address and CA, roots, whether emulated is
// accepted).
struct DeploymentConfig {
  int gpus = 0;
  std::string profile, platform = "snp";
  bool insecure_accept_emulated = false;
  std::string broker_url, broker_ca_pem;
  std::string broker_admin_url;  // the same broker as this machine reaches it before any pod made the bridge
  std::string device_root_pem, rim_root_pem, amd_root_pem, intel_root_pem, tpm_root_pem;
  std::string rim_url, ocsp_url, pcs_url;
  std::string admin_token_file;
};
Result<DeploymentConfig> LoadConfig(const Layout& layout);  // "deployment.not-up" when there is none

}  // namespace ccgpu::deployment
