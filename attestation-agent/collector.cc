#include "attestation-agent/collector.h"

#include "attestation-agent/tsm.h"
#include "base/encoding.h"
#include "trust/kbs/binding.h"

namespace ccgpu::agent {

Result<std::optional<ConfidentialState>> Collector::State() {
  std::lock_guard lock(mutex_);
  if (!nvml_) return std::optional<ConfidentialState>();
  ASSIGN_OR_RETURN(ConfidentialState state, nvml_->State());
  return std::optional(state);
}

Result<std::vector<GpuInfo>> Collector::GpuList() {
  std::lock_guard lock(mutex_);
  if (!nvml_) return std::vector<GpuInfo>();
  return nvml_->Gpus();
}

Status Collector::SetReady(bool ready) {
  std::lock_guard lock(mutex_);
  return nvml_ ? nvml_->SetReady(ready) : Ok();
}

Result<std::vector<evidence::GpuEvidence>> Collector::Gpus(ByteView nonce) {
  std::lock_guard lock(mutex_);
  std::vector<evidence::GpuEvidence> out;
  if (!nvml_) return out;
  ASSIGN_OR_RETURN(ConfidentialState state, nvml_->State());
  if (!state.cc_enabled) return out;
  ASSIGN_OR_RETURN(std::vector<GpuInfo> gpus, nvml_->Gpus());
  for (const GpuInfo& gpu : gpus) {
    evidence::GpuEvidence one;
    one.arch = gpu.arch;
    one.uuid = gpu.uuid;
    ASSIGN_OR_RETURN(one.report, nvml_->Report(gpu.index, nonce));
    ASSIGN_OR_RETURN(one.certificate_chain, nvml_->CertificateChain(gpu.index));
    out.push_back(std::move(one));
  }
  return out;
}

Result<evidence::CpuEvidence> Collector::Cpu(ByteView report_data64) {
  std::lock_guard lock(mutex_);
  return CollectCpu(tsm_folder_, report_data64);
}

Result<std::string> Collector::Tee() {
  std::lock_guard lock(mutex_);
  return TeeOfProvider(tsm_folder_);
}

Result<evidence::CompositeEvidence> Collector::Composite(std::string_view nonce, const kbs::PublicJwk& key) {
  evidence::CompositeEvidence out;
  ASSIGN_OR_RETURN(out.nonce, Base64Decode(nonce));
  out.tee_pubkey = key.ToJson();
  ASSIGN_OR_RETURN(out.gpus, Gpus(kbs::GpuNonce(kbs::DeviceReportData(nonce, key))));
  out.additional_evidence = evidence::AdditionalEvidence(out.gpus);
  ASSIGN_OR_RETURN(out.cpu, Cpu(kbs::SnpReportData(kbs::PrimaryReportData(nonce, key, out.additional_evidence))));
  return out;
}

}  // namespace ccgpu::agent
