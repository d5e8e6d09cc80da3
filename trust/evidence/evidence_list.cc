#include "trust/evidence/evidence_list.h"

#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/gpu_report.h"

namespace ccgpu::evidence {

Result<std::string> EvidenceListJson(const std::vector<GpuEvidence>& devices) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const GpuEvidence& device : devices) {
    auto report = ParseGpuReport(device.report);
    if (!report.ok())
      return Err("gpu.report-malformed", "evidence_list[" + std::to_string(list.size()) + "]", report.error().text);
    nlohmann::ordered_json item;
    item["version"] = "1.0";
    item["arch"] = device.arch;
    item["nonce"] = HexEncode(report->nonce);
    item["evidence"] = Base64Encode(device.report);
    item["certificate"] = Base64Encode(AsBytes(device.certificate_chain));
    if (const std::string version = report->opaque.DriverVersion(); !version.empty()) item["driver_version"] = version;
    if (const std::string version = report->opaque.VbiosVersion(); !version.empty()) item["vbios_version"] = version;
    list.push_back(std::move(item));
  }
  return list.dump(1);
}

}  // namespace ccgpu::evidence
