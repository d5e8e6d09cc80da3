// Evidence of an Azure confidential VM: the paravisor's report, a quote of the vTPM that it vouches for, and the
// hardware's endorsement (a VCEK, or a TDX quote over the same REPORT_DATA).
//
// CoCo's JSON, tee "az-snp-vtpm": {"version":1 or 2,"tpm_quote":{"signature":hex,"message":hex,"pcrs":[hex]},
//   "hcl_report":b64url,"vcek":b64url DER}; without "version": {"quote":{..numbers..},"report":[..],"vcek":PEM}.
// tee "az-tdx-vtpm": the same with "td_quote" instead of "vcek"; without "version":
//   {"tpm_quote":{..numbers..},"hcl_report":[..],"td_quote":[..]}.
// The signature is RSASSA with SHA-256, without the TPM's header. Version 2 puts the report data into HCL's user-data.
#pragma once

#include <map>
#include <string>

#include "base/bytes.h"

namespace ccgpu::evidence {

struct AzureEvidence {
  std::string tee = "az-snp-vtpm";  // or az-tdx-vtpm
  uint32_t version = 2;
  Bytes quote, signature;  // TPMS_ATTEST; the bare RSA signature
  std::map<uint32_t, Bytes> pcrs;
  Bytes hcl_report;
  Bytes vcek;      // DER; az-snp-vtpm
  Bytes td_quote;  // az-tdx-vtpm
};

std::string AzureEvidenceToJson(const AzureEvidence& evidence);  // in its own version's form
// Errors: evidence.malformed; evidence.unknown-tee.
Result<AzureEvidence> AzureEvidenceFromJson(std::string_view tee, std::string_view json);

}  // namespace ccgpu::evidence
