// KeyReleasePolicy: who gets a resource. A YAML document that a person writes, kept by the broker beside the resource.
//
// Decide() looks only at the claims of evidence that trust/verify has accepted: it never sees evidence, and never
// weakens a verdict. What the policy does not name is not asked for, with three exceptions that fail closed: the
// environment (hardware, unless the policy says emulated), the pod (hostData, unless the policy says anyPod) and
// protected PCIe (denied, unless the policy says protectedPcie).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace ccgpu::policy {

struct KeyReleasePolicy {
  std::string name;
  std::vector<std::string> resources;  // patterns "repository/type/tag" this policy may be put on; empty: any
  std::vector<std::string> environments = {"hardware"};  // hardware | emulated
  struct Sandbox {
    std::string tee = "snp";
    std::vector<std::string> host_data;     // 64 hex each, lower case; one of them must fit
    bool any_pod = false;                   // instead of host_data: whatever pod, whatever policy it runs under
    std::vector<std::string> measurements;  // launch digests (tdx: MRTD), 96 hex each; empty: any
    bool allow_debug = false;
    std::map<std::string, uint32_t> min_tcb;  // snp: bootloader, tee, snp, microcode, fmc
    // tdx only: register number (0 to 3) -> values that RTMR may have, 96 hex each; statuses that the TCB may have
    // (the verifier's own list bounds it, UpToDate by default).
    std::map<uint32_t, std::vector<std::string>> rtmrs;
    std::vector<std::string> tcb_statuses;
    // tpm only: register number (0 to 23) -> values that the SHA-256 bank's PCR may have, 64 hex each.
    std::map<uint32_t, std::vector<std::string>> pcrs;
  } sandbox;
  struct Gpus {
    bool required = false;  // the policy has a `gpus` section
    uint32_t min = 0, max = 16;
    std::vector<std::string> modes;           // hopper-cc, apm, ...; empty: hopper-cc, or hardware, which says none
    std::vector<std::string> models;          // hardware model names as the verifier's claims spell them; empty: any
    std::string min_driver_version;           // compared number by number
    std::vector<std::string> vbios_versions;  // empty: any
    // Also GPUs in protected PCIe, whose NVLinks carry plain text between the proven devices of their set.
    bool protected_pcie = false;
  } gpus;
};

Result<KeyReleasePolicy> ParseKeyReleasePolicy(const std::string& yaml, const std::string& file);

// May this policy stand on "repository/type/tag"?
bool AppliesTo(const KeyReleasePolicy& policy, const std::string& resource);

struct Decision {
  bool allow = false;
  struct Reason {
    std::string check;  // "sandbox.hostData", "gpus[0].driverVersion": the field of the policy
    bool passed = false;
    std::string expected, found;
  };
  std::vector<Reason> reasons;  // every check, in order
  // The first check that failed; nullptr when allow. As an error: code "release.<..>", see docs/reason-codes/policy.md.
  const Reason* FirstFailure() const;
  Error ToError() const;            // precondition: !allow
  std::string ToJson() const;       // {"allow":..,"reasons":[{"check","result","expected","found"}]}
  std::string ReasonsJson() const;  // "reasons" of it alone
};

// `claims_json` is Verdict::claims_json of an accepted verdict (docs/formats/claims.md). A claim that the policy needs
// and that is missing or of another type is a failed check.
Decision Decide(const KeyReleasePolicy& policy, const std::string& claims_json);

}  // namespace ccgpu::policy
