#include "trust/verify/tpm.h"

#include "base/encoding.h"
#include "trust/verify/tpm_context.h"

namespace ccgpu::verify {
namespace {

constexpr uint32_t kInitDataRegister = 8;  // CoCo extends the initdata document's digest into it

std::string PcrName(uint32_t index) { return (index < 10 ? "pcr0" : "pcr") + std::to_string(index); }

}  // namespace

bool RunTpmChecks(TpmContext& context, const std::string& prefix, std::vector<Check>& checks) {
  bool good = RunChecks(TpmKeyChecks(), context, prefix, checks);
  good = RunChecks(TpmQuoteChecks(), context, prefix, checks) && good;
  return RunChecks(TpmLogChecks(), context, prefix, checks) && good;
}

nlohmann::ordered_json TpmClaims(const TpmContext& c) {
  nlohmann::ordered_json out;
  out["environment"] = c.shared.environment;
  if (!c.quote) return out;
  out["report_data"] = HexEncode(c.quote->extra_data);
  if (c.registers_hold) {
    for (const auto& [index, value] : c.evidence.pcrs) out[PcrName(index)] = HexEncode(value);
    if (const auto init = c.evidence.pcrs.find(kInitDataRegister); init != c.evidence.pcrs.end())
      out["init_data"] = HexEncode(init->second);
    out["pcr_bank"] = evidence::TpmHashName(c.options.bank);
    out["x-ms-azurevm-attested-pcrs"] = nlohmann::ordered_json::array();
    for (const auto& [index, value] : c.evidence.pcrs) out["x-ms-azurevm-attested-pcrs"].push_back(index);
  }
  out["firmware_version"] = HexEncode(Writer().BigU64(c.quote->firmware_version).bytes());
  out["reset_count"] = c.quote->reset_count;
  out["restart_count"] = c.quote->restart_count;
  out["clock"] = c.quote->clock;
  out["clock_safe"] = c.quote->clock_safe;
  if (c.key) out["ak_sha256"] = HexEncode(crypto::Sha256(c.key->Der()));
  if (c.secure_boot) out["secureboot"] = c.secure_boot->enabled;
  if (!c.replayed.empty()) {
    out["event_log_events"] = c.log->events.size();
    nlohmann::ordered_json texts = nlohmann::ordered_json::array();
    for (const evidence::TcgEvent& event : c.log->events) {
      if (!c.evidence.pcrs.contains(event.index)) continue;
      if (const auto text = evidence::MeasuredText(event, c.options.bank)) texts.push_back(*text);
    }
    out["boot_commands"] = std::move(texts);
  }
  return out;
}

Verdict VerifyTpm(const evidence::Unverified<evidence::TpmEvidence>& tpm, const Collateral& collateral,
                  const Anchors& anchors, const TpmOptions& options, TimePoint now) {
  Verdict verdict;
  SharedContext shared(collateral, anchors, now);
  TpmContext context{tpm.unverified(), options, shared};
  verdict.accepted = RunTpmChecks(context, "tpm.", verdict.checks);
  verdict.environment = shared.environment;
  verdict.claims_json = TpmClaims(context).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (verdict.accepted) {
    Claims facts;
    facts.json = verdict.claims_json;
    facts.environment = verdict.environment;
    verdict.verified = Seal(std::move(facts));
  }
  return verdict;
}

}  // namespace ccgpu::verify
