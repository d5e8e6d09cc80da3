// An emulated Azure confidential VM for tests: hardware world, paravisor report and vTPM, all healthy until a test
// changes something.
#pragma once

#include <string>

#include "trust/evidence/hcl_report.h"
#include "trust/verify/azure/azure.h"
#include "trust/verify/testing/tdx_world.h"
#include "trust/verify/testing/tpm_world.h"

namespace ccgpu::verify {

struct AzureWorld {
  explicit AzureWorld(bool with_snp = true);

  bool is_snp;
  SnpWorld snp;
  TdxWorld tdx;
  TpmWorld tpm;  // its RSA key is the paravisor's
  std::string runtime_json;
  evidence::HclReport hcl;
  AzureOptions options;
  Anchors anchors;
  Collateral collateral;
  evidence::AzureEvidence evidence;

  // runtime_json -> hardware report -> HCL report; quote -> evidence.
  void Make();
  // The same with a hardware report over something else.
  void MakeFor(const Bytes& report_data);
  Verdict Run() const;
};

// The runtime data of a machine with this attestation key.
std::string RuntimeJson(const evidence::TpmPublic& ak, ByteView user_data);

}  // namespace ccgpu::verify
