#include "gpu-emulator/platform/vtpm_reporter.h"

#include <filesystem>

#include "base/encoding.h"

namespace ccgpu::emulator {
namespace {

class VtpmReporter final : public Reporter {
 public:
  explicit VtpmReporter(Result<std::unique_ptr<VtpmGuest>> guest) : guest_(std::move(guest)) {}
  Result<TsmBlobs> Report(ByteView report_data, uint32_t privlevel) const override {
    if (!guest_.ok()) return guest_.error();
    if (report_data.size() != 64) {
      return Err("platform.bad-report-request", "extraData",
                 "expected 64 bytes, found " + std::to_string(report_data.size()));
    }
    if (privlevel != 0)
      return Err("platform.bad-report-request", "privlevel", "a TPM has none; found " + std::to_string(privlevel));
    ASSIGN_OR_RETURN(const evidence::TpmEvidence evidence, (*guest_)->Evidence(report_data));
    return TsmBlobs{ToBytes(AsBytes(evidence::TpmEvidenceToJson(evidence))), {}};
  }

 private:
  Result<std::unique_ptr<VtpmGuest>> guest_;
};

}  // namespace

VtpmPlatform::VtpmPlatform(const VtpmIdentity& identity, std::string folder, const Clock& clock)
    : identity_(identity), folder_(std::move(folder)), clock_(clock) {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

std::unique_ptr<Reporter> VtpmPlatform::Launched(LaunchFacts facts, crypto::Random& random) const {
  return std::make_unique<VtpmReporter>(VtpmGuest::Start(identity_, folder_ + "/" + HexEncode(random.Take(8)),
                                                         {std::move(facts.measurement), std::move(facts.host_data)},
                                                         clock_.Now()));
}

}  // namespace ccgpu::emulator
