// `ccgpu evidence`: collecting a pod's evidence, and what can be done with evidence in files: showing, judging offline
// with the broker's code, explaining, comparing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/crypto/digest.h"
#include "cli/context.h"
#include "cli/evidence/format.h"

namespace ccgpu::cli {

struct CollectOptions {
  std::string pod, output, nonce_hex;  // nonce empty: 32 random bytes; output empty: standard output
};
int CollectEvidence(Context& context, const CollectOptions& options, crypto::Random& random);

struct JudgeOptions {
  std::vector<std::string> files;            // the evidence, and what lies beside it
  std::vector<InputFile> inputs;             // more of it, in memory
  std::vector<InputFile> root_texts;         // as root_files
  std::string at;                            // time to judge at; empty: now
  std::string nonce_hex;                     // the nonce that was asked for; empty: whatever the evidence says
  std::string report_data_hex;               // all of REPORT_DATA, for CPU evidence that stands alone
  std::vector<std::string> collateral;       // folders and bundles, besides what the evidence brings
  std::string bundle_key_file;               // PEM of the key that bundles must be signed by
  std::vector<std::string> root_files;       // PEM; each certificate is an anchor of the kind that its name says
  std::vector<std::string> reference_files;  // signed CoRIMs that measurements must fit as well
  bool references_replace_rims = false;
  std::vector<std::string> key_files;  // JWKS or PEM: what tokens and COSE messages are believed by
  std::string policy_file;             // EvidencePolicy
  std::string token, token_key_file;   // "ear" or "eat": the verdict as a token signed by this key, instead of text
  std::string token_id;                // unique
  bool insecure_accept_emulated = false;
  bool insecure_skip_revocation = false;
  bool exit_class = false;  // exit with the code of the failure's class instead of 1
  std::optional<int> gpus;  // exactly so many
  std::string host_data;    // "sha256:..": the pod that must have been running
};
// A pod's evidence for other tools: `form` "nvidia" (nvattest's evidence_list) or "coco" (KBS' composite tee-evidence).
// `output` empty: standard output.
int ExportEvidence(Context& context, const std::string& file, const std::string& form, const std::string& output);
int ShowEvidence(Context& context, const std::vector<std::string>& files);
int VerifyEvidence(Context& context, const JudgeOptions& options);
int ExplainEvidence(Context& context, const JudgeOptions& options);
// Exit code: 0 nothing notable changed, 1 something did.
int DiffEvidence(Context& context, const std::string& before, const std::string& after);

}  // namespace ccgpu::cli
