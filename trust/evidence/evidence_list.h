// Device evidence as NVIDIA's own tools keep it in files (`nvattest --gpu-evidence-source=file`, NRAS'
// "evidence_list"):
// [{"version":"1.0","arch","nonce":hex,"evidence":base64 report,"certificate":base64 PEM chain, "driver_version",
//   "vbios_version"}].
// DeviceEvidenceFromJson (composite.h) reads it.
#pragma once

#include <string>
#include <vector>

#include "trust/evidence/composite.h"

namespace ccgpu::evidence {

// The nonce and the versions are those that each report itself says, so that the file cannot contradict its reports.
// Errors: gpu.report-malformed with the device's place in the list.
Result<std::string> EvidenceListJson(const std::vector<GpuEvidence>& devices);

}  // namespace ccgpu::evidence
