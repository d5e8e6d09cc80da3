// `ccgpu evidence`: collecting a pod's evidence, reading it, and judging it offline with the same code as the broker.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/crypto/digest.h"
#include "cli/context.h"

namespace ccgpu::cli {

struct CollectOptions {
  std::string pod, output, nonce_hex;  // nonce empty: 32 random bytes; output empty: standard output
};
int CollectEvidence(Context& context, const CollectOptions& options, crypto::Random& random);

int ShowEvidence(Context& context, const std::string& file);

struct VerifyOptions {
  std::string file;
  std::string at;                       // time to judge at; empty: now
  std::string nonce_hex;                // the nonce that was asked for; empty: whatever the evidence says
  std::string collateral_dir;           // rim/<id>.xml, ocsp/*.der, crl/*.der, beside what the evidence brings
  std::vector<std::string> root_files;  // PEM; each certificate is an anchor of the kind that its name says
  bool insecure_accept_emulated = false;
  std::optional<int> gpus;  // exactly so many
  std::string host_data;    // "sha256:..": the pod that must have been running
};
int VerifyEvidence(Context& context, const VerifyOptions& options);

}  // namespace ccgpu::cli
