#include "base/encoding.h"
#include "trust/verify/cpu_case.h"
#include "trust/verify/tdx/context.h"

namespace ccgpu::verify {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::string LittleHex64(uint64_t value) {
  Writer out;
  out.U64(value);
  return HexEncode(out.bytes());
}

OrderedJson AttributesJson(uint64_t attributes) {
  namespace bit = evidence::td_attribute;
  return {{"debug", (attributes & bit::kDebug) != 0},
          {"septve_disable", (attributes & bit::kSeptVeDisable) != 0},
          {"protection_keys", (attributes & bit::kPks) != 0},
          {"perfmon", (attributes & bit::kPerfmon) != 0}};
}

CpuFacts FactsOf(const TdxContext& c) {
  if (!c.quote) return {"tdx", "", ""};
  return {"tdx", HexEncode(c.quote->body.mr_td), HexEncode(c.quote->body.mr_config_id)};
}

class TdxCase final : public CpuCase {
 public:
  TdxCase(const evidence::TdxEvidence& evidence, const CompositeOptions& options, SharedContext& shared)
      : options_(options.tdx), context_{evidence, options_, shared, {}, {}, {}, {}, {}, {}, {}, false} {
    options_.report_data = options.report_data;
    if (options.init_data_digest) options_.mr_config_id = InitDataForm(*options.init_data_digest);
  }
  bool Run(std::vector<Check>& checks) override { return RunTdxChecks(context_, checks); }
  OrderedJson Claims() const override { return TdxClaims(context_); }
  CpuFacts Facts() const override { return FactsOf(context_); }
  std::optional<InitDataField> InitData() const override {
    if (!context_.quote) return std::nullopt;
    return InitDataField{context_.quote->body.mr_config_id, kTdxQuoteDocument,
                         context_.At(evidence::td_offset::kMrConfigId)};
  }
  Bytes InitDataForm(ByteView digest) const override { return CutOrFill(digest, 48); }

 private:
  TdxOptions options_;
  TdxContext context_;
};

}  // namespace

OrderedJson TdxClaims(const TdxContext& c) {
  OrderedJson out;
  out["environment"] = c.shared.environment;
  if (!c.quote) return out;
  const evidence::TdReport& body = c.quote->body;
  out["quote_version"] = c.quote->version;
  out["report_data"] = HexEncode(body.report_data);
  out["init_data"] = HexEncode(body.mr_config_id);
  out["tcb_svn"] = HexEncode(body.tee_tcb_svn);
  out["mr_seam"] = HexEncode(body.mr_seam);
  out["mrsigner_seam"] = HexEncode(body.mr_signer_seam);
  out["seam_attributes"] = LittleHex64(body.seam_attributes);
  out["xfam"] = LittleHex64(body.xfam);
  out["mr_td"] = HexEncode(body.mr_td);
  out["mr_config_id"] = HexEncode(body.mr_config_id);
  out["mr_owner"] = HexEncode(body.mr_owner);
  out["mr_owner_config"] = HexEncode(body.mr_owner_config);
  for (size_t i = 0; i < 4; ++i) out["rtmr_" + std::to_string(i)] = HexEncode(body.rtmrs[i]);
  if (body.tee_tcb_svn2) {
    out["tee_tcb_svn2"] = HexEncode(*body.tee_tcb_svn2);
    out["mr_service_td"] = HexEncode(*body.mr_service_td);
  }
  out["td_attributes"] = AttributesJson(body.td_attributes);
  out["event_log_replayed"] = c.log_replayed;
  if (c.pck) {
    out["fmspc"] = HexEncode(c.pck->fmspc);
    if (c.pck->platform_instance) out["platform_instance_id"] = HexEncode(*c.pck->platform_instance);
  }
  if (c.tcb_info) out["tcb_evaluation_number"] = c.tcb_info->evaluation_number;
  if (c.tcb) {
    out["tcb_status"] = evidence::TcbStatusName(c.tcb->status);
    out["tcb_date"] = c.tcb->platform.date;
    out["advisory_ids"] = c.tcb->advisories;
  }
  return out;
}

bool RunTdxChecks(TdxContext& context, std::vector<Check>& checks) {
  bool good = true;
  for (const auto list : {TdxQuoteChecks(), TdxTcbChecks(), TdxGuestChecks()})
    good = RunChecks(list, context, "tdx.", checks) && good;
  return good;
}

std::unique_ptr<CpuCase> MakeCpuCase(const evidence::TdxEvidence& evidence, const CompositeOptions& options,
                                     SharedContext& shared) {
  return std::make_unique<TdxCase>(evidence, options, shared);
}

Verdict VerifyTdx(const evidence::Unverified<evidence::TdxEvidence>& tdx, const Collateral& collateral,
                  const Anchors& anchors, const TdxOptions& options, TimePoint now, Cache* cache) {
  Verdict verdict;
  SharedContext shared(collateral, anchors, now, cache);
  TdxContext context{tdx.unverified(), options, shared, {}, {}, {}, {}, {}, {}, {}, false};
  verdict.accepted = RunTdxChecks(context, verdict.checks);
  verdict.environment = shared.environment;
  verdict.claims_json = TdxClaims(context).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (verdict.accepted) verdict.verified = Seal({verdict.claims_json, verdict.environment, {}, FactsOf(context)});
  return verdict;
}

}  // namespace ccgpu::verify
