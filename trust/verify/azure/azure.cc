#include "trust/verify/azure/azure.h"

#include <algorithm>

#include "base/encoding.h"
#include "trust/verify/azure/context.h"
#include "trust/verify/cpu_case.h"

namespace ccgpu::verify {
namespace {

const std::string kHclDocument = "azure/hcl-report";
const std::string kNoHcl = "there is no paravisor report that could be parsed";
constexpr size_t kReportDataSize = 64;
constexpr uint32_t kInitDataRegister = 8;

// What the hardware must report: the digest of the runtime data, and zeros.
Bytes ReportDataFor(const evidence::HclReport& hcl) {
  Bytes out = hcl.RuntimeDigest();
  out.resize(kReportDataSize);
  return out;
}

// Where the paravisor's copy of the hardware report holds REPORT_DATA.
size_t ReportDataOffset(const AzureContext& c) {
  return c.IsSnp() ? evidence::snp_offset::kReportData : evidence::kTdReportDataOffset;
}

Finding HclParsed(AzureContext& c) {
  auto hcl = evidence::ParseHclReport(c.evidence.hcl_report);
  if (!hcl.ok()) {
    return Finding::Fail(Err("azure.hcl-malformed", "", hcl.error().text))
        .At(kHclDocument, 0, c.evidence.hcl_report.size());
  }
  c.hcl = std::move(*hcl);
  return Finding::Pass();
}

// What the evidence is called must be what it is: a vendor's own sample has the wrong name.
Finding HclType(AzureContext& c) {
  if (!c.hcl) return Finding::Skip(kNoHcl);
  const auto wanted = c.IsSnp() ? evidence::HclReportType::kSnp : evidence::HclReportType::kTdx;
  if (c.hcl->type == wanted) return Finding::Pass();
  const auto word = [](evidence::HclReportType type) {
    return type == evidence::HclReportType::kSnp ? "SEV-SNP" : "TDX";
  };
  return Finding::Fail(
             Err("azure.hcl-type", "", "the evidence is called " + c.evidence.tee + ", and is of another kind"))
      .Claim("report type", word(wanted), word(c.hcl->type))
      .At(kHclDocument, evidence::kHclRuntimeOffset + 8, 4);
}

Finding HclHash(AzureContext& c) {
  if (!c.hcl) return Finding::Skip(kNoHcl);
  if (c.hcl->hash == evidence::HclHash::kSha256) return Finding::Pass();
  return Finding::Fail(Err("azure.hcl-hash", "", "the runtime data are hashed with another algorithm than SHA-256"))
      .Claim("hash type", "1", std::to_string(static_cast<uint32_t>(c.hcl->hash)))
      .At(kHclDocument, evidence::kHclRuntimeOffset + 12, 4);
}

Finding RuntimeParsed(AzureContext& c) {
  if (!c.hcl) return Finding::Skip(kNoHcl);
  auto runtime = evidence::ParseHclRuntime(c.hcl->runtime_json);
  if (!runtime.ok()) {
    return Finding::Fail(Err("azure.runtime-malformed", "", runtime.error().text))
        .At(kHclDocument, evidence::kHclJsonOffset, c.hcl->runtime_json.size());
  }
  c.runtime = std::move(*runtime);
  return Finding::Pass();
}

// The paravisor's own copy; that the *signed* report says the same is checked with that report.
Finding RuntimeBound(AzureContext& c) {
  if (!c.hcl) return Finding::Skip(kNoHcl);
  const ByteView found = ByteView(c.hcl->hardware).subspan(ReportDataOffset(c), kReportDataSize);
  const Bytes wanted = ReportDataFor(*c.hcl);
  if (EqualConstantTime(found, wanted)) return Finding::Pass();
  return Finding::Fail(Err("azure.runtime-mismatch", "",
                           "the hardware does not vouch for these runtime data, and so not for the key that they name"))
      .Claim("report_data", HexEncode(wanted), HexEncode(found))
      .At(kHclDocument, evidence::kHclHardwareOffset + ReportDataOffset(c), kReportDataSize);
}

Bytes Filled(Bytes bytes) {
  bytes.resize(std::max(bytes.size(), kReportDataSize));
  return bytes;
}

Finding UserData(AzureContext& c) {
  if (c.evidence.version < 2) return Finding::Skip("evidence before version 2 leaves the user data alone");
  if (!c.runtime) return Finding::Skip("there are no runtime data that could be parsed");
  if (EqualConstantTime(Filled(c.runtime->user_data), Filled(c.options.tpm.nonce))) return Finding::Pass();
  return Finding::Fail(Err("azure.user-data-mismatch", "", "the runtime data were made for another challenge"))
      .Claim("user-data", HexEncode(c.options.tpm.nonce), HexEncode(c.runtime->user_data))
      .At(kHclDocument, evidence::kHclJsonOffset, c.hcl->runtime_json.size());
}

constexpr NamedCheck<AzureContext> kChecks[] = {
    {"hcl.form", HclParsed},         {"hcl.type", HclType},           {"hcl.hash", HclHash},
    {"runtime.form", RuntimeParsed}, {"runtime.bound", RuntimeBound}, {"runtime.user-data", UserData, true},
};

class AzureCase final : public CpuCase {
 public:
  AzureCase(const evidence::AzureEvidence& evidence, const CompositeOptions& asked, SharedContext& shared)
      : context_(evidence, {asked.tpm, asked.snp, asked.tdx, {}}, shared) {
    TpmOptions& tpm = context_.options.tpm;
    tpm.nonce = asked.report_data;
    // CoCo's attester hands a SHA-384 digest to the vTPM as it is, other hardware gets it filled up with zeros.
    const auto quote = evidence::ParseTpmQuote(evidence.quote);
    if (quote.ok() && quote->extra_data.size() == kSha384Size && EndsInZeros(tpm.nonce)) tpm.nonce.resize(kSha384Size);
    if (asked.init_data_digest) tpm.expected_pcrs[kInitDataRegister] = InitDataForm(*asked.init_data_digest);
  }
  bool Run(std::vector<Check>& checks) override { return RunAzureChecks(context_, checks); }
  nlohmann::ordered_json Claims() const override { return AzureClaims(context_); }
  CpuFacts Facts() const override { return AzureFacts(context_); }
  std::optional<InitDataField> InitData() const override {
    const auto value = context_.evidence.pcrs.find(kInitDataRegister);
    if (!context_.tpm.registers_hold || value == context_.evidence.pcrs.end()) return std::nullopt;
    return InitDataField{value->second, "tpm/pcrs", 0};
  }
  Bytes InitDataForm(ByteView digest) const override { return TpmInitDataForm(digest, context_.options.tpm.bank); }

 private:
  static constexpr size_t kSha384Size = 48;
  static bool EndsInZeros(const Bytes& report_data) {
    return report_data.size() == kReportDataSize &&
           std::all_of(report_data.begin() + kSha384Size, report_data.end(), [](uint8_t b) { return b == 0; });
  }
  AzureContext context_;
};

}  // namespace

std::unique_ptr<CpuCase> MakeCpuCase(const evidence::AzureEvidence& evidence, const CompositeOptions& options,
                                     SharedContext& shared) {
  return std::make_unique<AzureCase>(evidence, options, shared);
}

AzureContext::AzureContext(const evidence::AzureEvidence& given, const AzureOptions& asked, SharedContext& together)
    : evidence(given),
      options(asked),
      shared(together),
      snp{snp_evidence, options.snp, shared, {}, {}, {}, {}},
      tdx{tdx_evidence, options.tdx, shared, {}, {}, {}, {}, {}, {}, {}, false},
      tpm{tpm_evidence, options.tpm, shared} {
  // The evidence's other ways to vouch for a key are not open here: only the hardware may.
  options.tpm.pinned_keys.clear();
  options.snp.report_data.clear();
  options.tdx.report_data.clear();
  tpm_evidence.quote = given.quote;
  tpm_evidence.pcrs = given.pcrs;
  tpm_evidence.signature =
      evidence::EncodeTpmSignature({evidence::tpm_alg::kRsaSsa, evidence::tpm_alg::kSha256, given.signature, {}, {}});
}

bool RunAzureChecks(AzureContext& c, std::vector<Check>& checks) {
  bool good = RunChecks(std::span<const NamedCheck<AzureContext>>(kChecks), c, "azure.", checks);
  if (c.hcl) {
    c.options.snp.report_data = c.options.tdx.report_data = ReportDataFor(*c.hcl);
    c.snp_evidence.report = c.hcl->hardware;
  }
  if (c.runtime) c.tpm.vouched_key = c.runtime->ak;
  c.snp_evidence.certificates = {{"VCEK", c.evidence.vcek}};
  for (const crypto::Certificate& ask : c.options.amd_intermediates)
    c.snp_evidence.certificates.push_back({"ASK", ask.Der()});
  c.tdx_evidence.quote = c.evidence.td_quote;
  good = (c.IsSnp() ? RunSnpChecks(c.snp, checks) : RunTdxChecks(c.tdx, checks)) && good;
  return RunTpmChecks(c.tpm, "tpm.", checks) && good;
}

nlohmann::ordered_json AzureClaims(const AzureContext& c) {
  nlohmann::ordered_json out = c.IsSnp() ? SnpClaims(c.snp) : TdxClaims(c.tdx);
  out["tpm"] = TpmClaims(c.tpm);
  // At the top these are of the challenge, not of the boot.
  if (c.tpm.quote) out["report_data"] = HexEncode(c.tpm.quote->extra_data);
  out["init_data"] = AzureFacts(c).init_data;
  out["x-ms-attestation-type"] = c.IsSnp() ? "sevsnpvm" : "tdxvm";
  if (c.hcl && c.runtime) out["x-ms-runtime"] = nlohmann::ordered_json::parse(c.hcl->runtime_json, nullptr, false);
  return out;
}

CpuFacts AzureFacts(const AzureContext& c) {
  CpuFacts out;
  out.tee = c.evidence.tee;
  if (c.IsSnp() && c.snp.report) out.measurement = HexEncode(c.snp.report->measurement);
  if (!c.IsSnp() && c.tdx.quote) out.measurement = HexEncode(c.tdx.quote->body.mr_td);
  const auto init = c.evidence.pcrs.find(kInitDataRegister);
  if (c.tpm.registers_hold && init != c.evidence.pcrs.end()) out.init_data = HexEncode(init->second);
  return out;
}

Verdict VerifyAzure(const evidence::Unverified<evidence::AzureEvidence>& azure, const Collateral& collateral,
                    const Anchors& anchors, const AzureOptions& options, TimePoint now) {
  Verdict verdict;
  SharedContext shared(collateral, anchors, now);
  AzureContext context(azure.unverified(), options, shared);
  verdict.accepted = RunAzureChecks(context, verdict.checks);
  verdict.environment = shared.environment;
  verdict.claims_json = AzureClaims(context).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (verdict.accepted) verdict.verified = Seal({verdict.claims_json, verdict.environment, {}, AzureFacts(context)});
  return verdict;
}

}  // namespace ccgpu::verify
