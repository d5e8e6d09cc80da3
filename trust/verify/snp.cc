#include "base/encoding.h"
#include "trust/verify/snp_context.h"

namespace ccgpu::verify {

nlohmann::ordered_json SnpClaims(const SnpContext& c) {
  nlohmann::ordered_json out;
  out["environment"] = c.shared.environment;
  if (!c.report) return out;
  const evidence::SnpReport& r = *c.report;
  const evidence::TcbParts tcb = evidence::SplitTcb(r.reported_tcb, r.IsTurin());
  out["report_version"] = r.version;
  out["policy_abi_major"] = (r.policy >> 8) & 0xff;
  out["policy_abi_minor"] = r.policy & 0xff;
  out["policy_smt_allowed"] = (r.policy & evidence::snp_policy::kSmtAllowed) != 0;
  out["policy_migrate_ma"] = (r.policy & evidence::snp_policy::kMigrationAgent) != 0;
  out["policy_debug_allowed"] = (r.policy & evidence::snp_policy::kDebug) != 0;
  out["policy_single_socket"] = (r.policy & evidence::snp_policy::kSingleSocket) != 0;
  if (tcb.fmc) out["reported_tcb_fmc"] = *tcb.fmc;
  out["reported_tcb_bootloader"] = tcb.bootloader;
  out["reported_tcb_tee"] = tcb.tee;
  out["reported_tcb_snp"] = tcb.snp;
  out["reported_tcb_microcode"] = tcb.microcode;
  out["platform_smt_enabled"] = (r.platform_info & 1) != 0;
  out["platform_tsme_enabled"] = (r.platform_info & 2) != 0;
  out["vmpl"] = r.vmpl;
  out["guest_svn"] = r.guest_svn;
  out["measurement"] = HexEncode(r.measurement);
  out["report_data"] = HexEncode(r.report_data);
  out["init_data"] = HexEncode(r.host_data);
  out["chip_id"] = HexEncode(r.chip_id);
  if (c.extensions) out["product"] = c.extensions->product;
  return out;
}

Verdict VerifySnp(const evidence::Unverified<evidence::SnpEvidence>& snp, const Collateral& collateral,
                  const Anchors& anchors, const SnpOptions& options, TimePoint now) {
  Verdict verdict;
  SharedContext shared(collateral, anchors, now);
  SnpContext context{snp.unverified(), options, shared, {}, {}, {}, {}};
  verdict.accepted = RunSnpChecks(context, verdict.checks);
  verdict.environment = shared.environment;
  verdict.claims_json = SnpClaims(context).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (verdict.accepted) {
    verdict.verified = Seal({verdict.claims_json,
                             verdict.environment,
                             {},
                             HexEncode(context.report->measurement),
                             HexEncode(context.report->host_data)});
  }
  return verdict;
}

}  // namespace ccgpu::verify
