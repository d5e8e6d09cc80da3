#include "gpu-emulator/platform/snp_reporter.h"

namespace ccgpu::emulator {
namespace {

constexpr uint64_t kAbiMinor = 31, kAbiMajor = 0;
constexpr uint64_t kPlatformSmt = 1 << 0, kPlatformTsme = 1 << 1, kPlatformEcc = 1 << 2, kPlatformAliasCheck = 1 << 5;

}  // namespace

SnpReporter::SnpReporter(const SnpIdentity& identity, LaunchFacts launch, crypto::Random& random)
    : identity_(&identity) {
  const uint64_t tcb = evidence::JoinTcb(identity.tcb);
  base_.version = 3;
  base_.policy = kAbiMinor | kAbiMajor << 8 | evidence::snp_policy::kSmtAllowed |
                 evidence::snp_policy::kMustBeOne;  // no debug, no migration
  base_.platform_info = kPlatformSmt | kPlatformTsme | kPlatformEcc | kPlatformAliasCheck;
  base_.key_info = 0;  // signed by the VCEK, chip id not masked
  base_.measurement = std::move(launch.measurement);
  base_.host_data = std::move(launch.host_data);
  base_.report_id = random.Take(32);
  base_.report_id_ma = Bytes(32, 0xff);  // no migration agent
  base_.current_tcb = base_.reported_tcb = base_.committed_tcb = base_.launch_tcb = tcb;
  base_.cpuid_family = identity.cpuid_family;
  base_.cpuid_model = identity.cpuid_model;
  base_.cpuid_stepping = identity.cpuid_stepping;
  base_.chip_id = identity.chip_id;
  base_.current_version = base_.committed_version = {.build = 1, .minor = 55, .major = 1};
}

Result<TsmBlobs> SnpReporter::Report(ByteView report_data, uint32_t vmpl) const {
  if (report_data.size() != 64) {
    return Err("platform.bad-report-request", "REPORT_DATA",
               "expected 64 bytes, found " + std::to_string(report_data.size()));
  }
  if (vmpl > 3) return Err("platform.bad-report-request", "VMPL", "expected 0 to 3, found " + std::to_string(vmpl));
  evidence::SnpReport report = base_;
  report.report_data = ToBytes(report_data);
  report.vmpl = vmpl;
  return TsmBlobs{evidence::SignSnpReport(report, identity_->vcek_key), identity_->cert_table};
}

std::unique_ptr<Reporter> SnpPlatform::Launched(LaunchFacts facts, crypto::Random& random) const {
  return std::make_unique<SnpReporter>(identity_, std::move(facts), random);
}

}  // namespace ccgpu::emulator
