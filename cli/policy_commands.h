// `ccgpu policy`: making, reading and judging the policies of pods.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/context.h"
#include "cli/seal.h"
#include "trust/policy/pod_policy.h"

namespace ccgpu::cli {

struct GenerateOptions {
  std::string manifest, output;             // output empty: standard output
  std::vector<std::string> image_archives;  // read images from these instead of asking the node
  std::string kbs_url, kbs_cert_file;       // empty: the deployment's broker
  std::vector<std::string> device_root_files, rim_root_files;
  bool insecure_accept_emulated = false;  // or what the deployment was brought up with
  bool no_broker = false;                 // seal without any broker
  std::string gpu_mode;                   // empty: the deployment's
  bool allow_set_ready = false;
  std::vector<std::string> allow_exec;  // "CONTAINER:command words"
  // For a cluster's kubelet: workloads too, and what a kubelet adds. Nothing then comes from a deployment or node.
  bool kubernetes = false;
  std::string default_namespace = "default";  // of manifests that name none
  std::optional<TrustChoices> cluster;        // what the cluster says of its broker and roots
};

int GeneratePolicy(Context& context, const GenerateOptions& options);
int DigestPolicy(Context& context, const std::string& manifest);
int ShowPolicy(Context& context, const std::string& manifest);  // the document itself
int ExplainPolicy(Context& context, const std::string& manifest);
int LintPolicy(Context& context, const std::string& file);  // a sealed pod, a PodPolicy or a KeyReleasePolicy

// A warning of `policy lint`.
struct Finding {
  std::string code, subject, text;
};
std::vector<Finding> Lint(const policy::PodPolicy& policy);
// In plain words, one sentence a line.
std::vector<std::string> Explain(const policy::PodPolicy& policy);

}  // namespace ccgpu::cli
