#include "trust/evidence/cpu_evidence.h"

namespace ccgpu::evidence {
namespace {

std::string_view Tee(const SnpEvidence&) { return "snp"; }
std::string ToJson(const SnpEvidence& evidence) { return SnpEvidenceToJson(evidence); }
std::string_view Tee(const TdxEvidence&) { return "tdx"; }
std::string ToJson(const TdxEvidence& evidence) { return TdxEvidenceToJson(evidence); }
std::string_view Tee(const TpmEvidence&) { return "tpm"; }
std::string ToJson(const TpmEvidence& evidence) { return TpmEvidenceToJson(evidence); }
std::string_view Tee(const AzureEvidence& evidence) { return evidence.tee; }
std::string ToJson(const AzureEvidence& evidence) { return AzureEvidenceToJson(evidence); }
Result<AzureEvidence> AzureSnpFromJson(std::string_view json) { return AzureEvidenceFromJson("az-snp-vtpm", json); }
Result<AzureEvidence> AzureTdxFromJson(std::string_view json) { return AzureEvidenceFromJson("az-tdx-vtpm", json); }

template <class T, Result<T> (*Parse)(std::string_view)>
Result<CpuEvidence> As(std::string_view json) {
  ASSIGN_OR_RETURN(T evidence, Parse(json));
  return CpuEvidence(std::move(evidence));
}

struct Kind {
  std::string_view tee;
  Result<CpuEvidence> (*parse)(std::string_view json);
};
constexpr Kind kKinds[] = {
    {"snp", As<SnpEvidence, SnpEvidenceFromJson>},        {"tdx", As<TdxEvidence, TdxEvidenceFromJson>},
    {"tpm", As<TpmEvidence, TpmEvidenceFromJson>},        {"az-snp-vtpm", As<AzureEvidence, AzureSnpFromJson>},
    {"az-tdx-vtpm", As<AzureEvidence, AzureTdxFromJson>},
};

const Kind* Find(std::string_view tee) {
  for (const Kind& kind : kKinds) {
    if (kind.tee == tee) return &kind;
  }
  return nullptr;
}

}  // namespace

std::string_view TeeOf(const CpuEvidence& evidence) {
  return std::visit([](const auto& one) { return Tee(one); }, evidence);
}

bool IsKnownTee(std::string_view tee) { return Find(tee) != nullptr; }

std::string KnownTees() {
  std::string out;
  for (const Kind& kind : kKinds) out += (out.empty() ? "" : ", ") + std::string(kind.tee);
  return out;
}

std::string CpuEvidenceToJson(const CpuEvidence& evidence) {
  return std::visit([](const auto& one) { return ToJson(one); }, evidence);
}

Result<CpuEvidence> CpuEvidenceFromJson(std::string_view tee, std::string_view json) {
  if (const Kind* kind = Find(tee)) return kind->parse(json);
  return Err("evidence.unknown-tee", "tee", "is \"" + std::string(tee) + "\"; this version knows " + KnownTees());
}

}  // namespace ccgpu::evidence
