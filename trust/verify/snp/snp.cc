#include "base/encoding.h"
#include "trust/verify/cpu_case.h"
#include "trust/verify/snp/context.h"

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

namespace {

CpuFacts FactsOf(const SnpContext& c) {
  if (!c.report) return {"snp", "", ""};
  return {"snp", HexEncode(c.report->measurement), HexEncode(c.report->host_data)};
}

class SnpCase final : public CpuCase {
 public:
  SnpCase(const evidence::SnpEvidence& evidence, const CompositeOptions& options, SharedContext& shared)
      : options_(options.snp), context_{evidence, options_, shared, {}, {}, {}, {}} {
    options_.report_data = options.report_data;
    if (options.init_data_digest) options_.host_data = InitDataForm(*options.init_data_digest);
  }
  bool Run(std::vector<Check>& checks) override { return RunSnpChecks(context_, checks); }
  nlohmann::ordered_json Claims() const override { return SnpClaims(context_); }
  CpuFacts Facts() const override { return FactsOf(context_); }
  std::optional<InitDataField> InitData() const override {
    if (!context_.report) return std::nullopt;
    return InitDataField{context_.report->host_data, "snp/report", evidence::snp_offset::kHostData};
  }
  Bytes InitDataForm(ByteView digest) const override { return CutOrFill(digest, 32); }

 private:
  SnpOptions options_;
  SnpContext context_;
};

}  // namespace

std::unique_ptr<CpuCase> MakeCpuCase(const evidence::SnpEvidence& evidence, const CompositeOptions& options,
                                     SharedContext& shared) {
  return std::make_unique<SnpCase>(evidence, options, shared);
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
    verdict.verified = Seal({verdict.claims_json, verdict.environment, {}, FactsOf(context)});
  }
  return verdict;
}

}  // namespace ccgpu::verify
