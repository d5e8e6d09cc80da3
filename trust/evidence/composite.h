// Evidence of one pod: CPU report, GPU reports, and what they are bound to; and the JSON forms in which it travels.
//
// ccgpu.evidence/v1 (docs/formats/composite.md):
//   {"format":"ccgpu.evidence/v1","nonce":b64,"tee":"snp","tee-pubkey":{..},
//    "tee-evidence":{"primary_evidence":{..},"additional_evidence":"{\"nvidia\":{\"device_evidence_list\":[..]}}"},
//    "init-data":{"format":"toml","body":".."},
//    "collateral":{"rims":{id:xml},"ocsp":[b64],"crls":[b64],"tcb_infos":[{..}],"qe_identities":[{..}]}}
#pragma once

#include <map>
#include <string>
#include <vector>

#include "trust/evidence/cpu_evidence.h"
#include "trust/evidence/intel_documents.h"

namespace ccgpu::evidence {

// One GPU's or NVSwitch's evidence, as NVML gives it.
struct GpuEvidence {
  std::string arch = "HOPPER";  // HOPPER, BLACKWELL, LS10
  std::string uuid;             // "GPU-..."; a hint, nothing signs it
  Bytes report;
  std::string certificate_chain;  // PEM, leaf first
};

// Signed documents that may come by any hand.
struct Collateral {
  std::map<std::string, std::string> rims;  // id -> XML
  std::vector<Bytes> ocsp_responses;        // DER
  std::vector<Bytes> crls;                  // DER
  std::vector<IntelDocument> tcb_infos, qe_identities;
};

struct CompositeEvidence {
  Bytes nonce;                      // the broker's challenge, decoded
  std::string tee_pubkey;           // JSON text of the agent's key
  CpuEvidence cpu;                  // of the kind that "tee" names
  std::string additional_evidence;  // the exact string that REPORT_DATA commits to
  std::vector<GpuEvidence> gpus;    // decoded from additional_evidence; switches too
  std::string init_data;            // TOML text; empty when absent
  Collateral collateral;            // what the agent used; may be empty
};

// CoCo's and NVIDIA's list of device evidence:
// {"device_evidence_list":[{"arch","uuid","evidence":b64,"certificate":b64}]}.
std::string DeviceEvidenceToJson(const std::vector<GpuEvidence>& gpus);
// Also reads NVIDIA's bare array (nvattest's file format) and hexadecimal reports.
Result<std::vector<GpuEvidence>> DeviceEvidenceFromJson(std::string_view json);
// The additional_evidence string of a KBS attest message: {"nvidia":{..}}; "" when there are no GPUs.
std::string AdditionalEvidence(const std::vector<GpuEvidence>& gpus);
// Errors: evidence.malformed; evidence.unknown-device for a device class other than nvidia.
Result<std::vector<GpuEvidence>> GpusOfAdditionalEvidence(std::string_view additional_evidence);

// additional_evidence is written as it is when set, else made of `gpus`.
std::string EncodeComposite(const CompositeEvidence& evidence);
Result<CompositeEvidence> ParseComposite(std::string_view json);

}  // namespace ccgpu::evidence
