#include "gpu-emulator/services/pcs_documents.h"

#include "base/encoding.h"
#include "trust/evidence/crl.h"

namespace ccgpu::emulator {
namespace {

using evidence::TcbStatus;

constexpr uint32_t kEvaluationNumber = 18;
constexpr char kLevelDate[] = "2025-05-14T00:00:00Z", kOldLevelDate[] = "2023-08-09T00:00:00Z";

evidence::TcbVerdict Level(TcbStatus status) {
  evidence::TcbVerdict out{status, status == TcbStatus::kUpToDate ? kLevelDate : kOldLevelDate, {}};
  if (status != TcbStatus::kUpToDate) out.advisories = {"EMULATED-SA-00001"};
  return out;
}

}  // namespace

TimePoint PcsDocuments::Ends() const {
  const TimePoint now = clock_.Now();
  return fault_ == TdxFault::kStaleCollateral ? now - std::chrono::hours(24) : now + std::chrono::hours(24 * 29);
}
TimePoint PcsDocuments::Issued() const { return Ends() - std::chrono::hours(24 * 30); }

std::string PcsDocuments::TcbInfo() const {
  evidence::TcbInfo info;
  info.issue_date = Issued();
  info.next_update = Ends();
  info.fmspc = identity_.facts.fmspc;
  info.pce_id = identity_.facts.pce_id;
  info.evaluation_number = kEvaluationNumber;
  evidence::PlatformTcbLevel own;
  own.sgx = identity_.facts.components;
  own.pce_svn = identity_.facts.pce_svn;
  std::copy(identity_.tee_tcb_svn.begin(), identity_.tee_tcb_svn.end(), own.tdx.begin());
  own.tdx[1] = 0;  // the module's version is judged by its identity
  own.verdict = Level(TcbStatus::kUpToDate);
  if (fault_ == TdxFault::kTcbOutOfDate) {
    evidence::PlatformTcbLevel newer = own;
    ++newer.sgx[0];
    info.levels.push_back(newer);
    own.verdict = Level(TcbStatus::kOutOfDate);
  }
  if (fault_ == TdxFault::kTcbRevoked) own.verdict = Level(TcbStatus::kRevoked);
  info.levels.push_back(own);
  evidence::TdxModuleIdentity module;
  module.id = "TDX_01";
  module.levels = {{identity_.tee_tcb_svn[0], Level(TcbStatus::kUpToDate)}, {2, Level(TcbStatus::kOutOfDate)}};
  info.modules = {module};
  return evidence::MakeTcbInfo(info, identity_.tcb_signing.key);
}

std::string PcsDocuments::QeIdentity() const {
  evidence::QeIdentity out;
  out.issue_date = Issued();
  out.next_update = Ends();
  out.evaluation_number = kEvaluationNumber;
  out.attributes[0] = 0x11;
  out.attributes_mask = HexDecode("fbffffffffffffff0000000000000000").value();
  out.mr_signer = identity_.qe.mr_signer;
  out.isv_prod_id = identity_.qe.isv_prod_id;
  out.levels = {{identity_.qe.isv_svn, Level(TcbStatus::kUpToDate)}};
  return evidence::MakeQeIdentity(out, identity_.tcb_signing.key);
}

Bytes PcsDocuments::PckCrl() const {
  std::vector<evidence::CrlEntry> entries;
  if (fault_ == TdxFault::kPckRevoked) entries = {{identity_.pck.certificate.SerialNumber(), Issued(), 1}};
  return evidence::MakeCrl(identity_.platform_ca.certificate, identity_.platform_ca.key, Issued(), Ends(), entries)
      .value();
}

Bytes PcsDocuments::RootCrl() const {
  return evidence::MakeCrl(identity_.root.certificate, identity_.root.key, Issued(), Ends(), {}).value();
}

}  // namespace ccgpu::emulator
