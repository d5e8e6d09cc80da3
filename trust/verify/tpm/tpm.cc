#include "trust/verify/tpm/tpm.h"

#include "base/encoding.h"
#include "trust/verify/cpu_case.h"
#include "trust/verify/tpm/context.h"

namespace ccgpu::verify {
namespace {

constexpr uint32_t kInitDataRegister = 8;  // CoCo extends the initdata document's digest into it

std::string PcrName(uint32_t index) { return (index < 10 ? "pcr0" : "pcr") + std::to_string(index); }

// The pod's image is measured into this one, by the emulator and by UEFI.
constexpr uint32_t kImageRegister = 4;

CpuFacts FactsOf(const TpmContext& c) {
  CpuFacts out;
  out.tee = "tpm";
  if (!c.registers_hold) return out;
  const auto hex = [&](uint32_t index) {
    const auto value = c.evidence.pcrs.find(index);
    return value == c.evidence.pcrs.end() ? "" : HexEncode(value->second);
  };
  out.measurement = hex(kImageRegister);
  out.init_data = hex(kInitDataRegister);
  return out;
}

class TpmCase final : public CpuCase {
 public:
  TpmCase(const evidence::TpmEvidence& evidence, const CompositeOptions& options, SharedContext& shared)
      : options_(options.tpm), context_{evidence, options_, shared} {
    options_.nonce = options.report_data;
    if (options.init_data_digest) options_.expected_pcrs[kInitDataRegister] = InitDataForm(*options.init_data_digest);
  }
  bool Run(std::vector<Check>& checks) override { return RunTpmChecks(context_, "tpm.", checks); }
  nlohmann::ordered_json Claims() const override { return TpmClaims(context_); }
  CpuFacts Facts() const override { return FactsOf(context_); }
  std::optional<InitDataField> InitData() const override {
    const auto value = context_.evidence.pcrs.find(kInitDataRegister);
    if (!context_.registers_hold || value == context_.evidence.pcrs.end()) return std::nullopt;
    return InitDataField{value->second, "tpm/pcrs", 0};
  }
  Bytes InitDataForm(ByteView digest) const override { return TpmInitDataForm(digest, options_.bank); }

 private:
  TpmOptions options_;
  TpmContext context_;
};

}  // namespace

Bytes TpmInitDataForm(ByteView digest, uint16_t bank) {
  const size_t size = evidence::TpmHashSize(bank).value_or(0);
  return size == 0 ? Bytes() : evidence::TpmExtend(bank, Bytes(size), digest);
}

std::unique_ptr<CpuCase> MakeCpuCase(const evidence::TpmEvidence& evidence, const CompositeOptions& options,
                                     SharedContext& shared) {
  return std::make_unique<TpmCase>(evidence, options, shared);
}

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
    verdict.verified = Seal({verdict.claims_json, verdict.environment, {}, FactsOf(context)});
  }
  return verdict;
}

}  // namespace ccgpu::verify
