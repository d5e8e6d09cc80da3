#include "collateral/fetch/nvidia.h"

#include "base/encoding.h"
#include "collateral/document.h"
#include "trust/evidence/gpu_report.h"
#include "trust/evidence/ocsp.h"
#include "trust/evidence/rim.h"

namespace ccgpu::collateral {

std::vector<crypto::Certificate> CheckableChain(const evidence::GpuEvidence& gpu) {
  const auto chain = crypto::Certificate::ListFromPem(gpu.certificate_chain);
  if (!chain.ok() || chain->empty()) return {};
  // The leaf is issued by the device itself, for which no service answers.
  return {chain->begin() + 1, chain->end()};
}

Result<std::vector<std::string>> RimIdsOf(const evidence::GpuEvidence& gpu) {
  ASSIGN_OR_RETURN(const evidence::GpuReport report, evidence::ParseGpuReport(gpu.report, 16));
  if (gpu.arch == "LS10") return std::vector{evidence::SwitchBiosRimId(report.opaque)};
  return std::vector{evidence::DriverRimId(report.opaque), evidence::VbiosRimId(report.opaque)};
}

Result<FetchRequest> RimRequest(const std::string& service, const std::string& id) {
  if (!IsName(id)) return Err("collateral.rim-unavailable", "RIM", "the evidence leads to a RIM id that cannot exist");
  return FetchRequest{service + (service.ends_with('/') ? "" : "/") + id, "", ""};
}

FetchRequest OcspRequest(const std::string& service, const crypto::Certificate& subject,
                         const crypto::Certificate& issuer) {
  return {service, ToText(evidence::MakeOcspRequest(subject, issuer, {})), "application/ocsp-request"};
}

std::string OcspKey(const crypto::Certificate& subject, const crypto::Certificate& issuer) {
  return HexEncode(crypto::Sha256(Concat({issuer.Der(), subject.Der()})));
}

}  // namespace ccgpu::collateral
