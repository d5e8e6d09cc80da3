#include "gpu-emulator/platform/tdx_reporter.h"

#include "base/encoding.h"

namespace ccgpu::emulator {
namespace {

constexpr uint64_t kXfam = 0xe7;  // x87, SSE, AVX, AVX-512
constexpr size_t kRegisterSize = 48;
constexpr uint8_t kQeDebugBit = 1u << 1;

}  // namespace

TdxReporter::TdxReporter(const TdxIdentity& identity, uint16_t quote_version, TdxFault fault, const LaunchFacts& launch)
    : identity_(&identity), qe_(identity.qe) {
  base_.version = quote_version;
  base_.vendor = HexDecode("939a7233f79c4ca9940a0db3957f0607").value();
  base_.user_data = identity.facts.ppid;  // as Intel's quoting enclave: an id of the platform
  base_.user_data.resize(20);
  base_.qe_auth_data = Bytes(32);
  base_.pck_chain = identity.PckChain();
  evidence::TdReport& body = base_.body;
  body.tee_tcb_svn = identity.tee_tcb_svn;
  body.mr_seam = identity.mr_seam;
  body.td_attributes = evidence::td_attribute::kSeptVeDisable;
  body.xfam = kXfam;
  body.mr_td = launch.measurement;
  body.mr_config_id = launch.host_data;
  body.mr_config_id.resize(kRegisterSize);
  if (quote_version == 5) {
    body.tee_tcb_svn2 = identity.tee_tcb_svn;
    body.mr_service_td = Bytes(kRegisterSize);
  }
  if (fault == TdxFault::kDebug) body.td_attributes |= evidence::td_attribute::kDebug;
  if (fault == TdxFault::kSeptVe) body.td_attributes &= ~evidence::td_attribute::kSeptVeDisable;
  if (fault == TdxFault::kForeignModule) body.mr_signer_seam = Bytes(kRegisterSize, 0x5a);
  if (fault == TdxFault::kQeDebug) qe_.attributes[0] |= kQeDebugBit;
}

Result<TsmBlobs> TdxReporter::Report(ByteView report_data, uint32_t privlevel) const {
  if (report_data.size() != 64) {
    return Err("platform.bad-report-request", "REPORTDATA",
               "expected 64 bytes, found " + std::to_string(report_data.size()));
  }
  if (privlevel != 0)
    return Err("platform.bad-report-request", "privlevel", "TDX has none; found " + std::to_string(privlevel));
  evidence::TdxQuote quote = base_;
  quote.body.report_data = ToBytes(report_data);
  return TsmBlobs{evidence::SignTdxQuote(quote, identity_->attestation_key, qe_, identity_->pck.key), {}};
}

std::unique_ptr<Reporter> TdxPlatform::Launched(LaunchFacts facts, crypto::Random&) const {
  return std::make_unique<TdxReporter>(identity_, quote_version_, fault_, facts);
}

}  // namespace ccgpu::emulator
