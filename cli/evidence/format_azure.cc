// Evidence of Azure's confidential VMs in CoCo's JSON (tees az-snp-vtpm and az-tdx-vtpm, docs/formats/tpm.md).
#include "base/encoding.h"
#include "cli/evidence/formats.h"
#include "trust/evidence/azure_evidence.h"
#include "trust/evidence/hcl_report.h"
#include "trust/evidence/tpm_quote.h"
#include "trust/verify/azure/azure.h"

namespace ccgpu::cli {
namespace {

// The JSON does not say its tee: only TDX's brings a quote of the hardware.
std::string TeeOfJson(const Json& json) { return json.contains("td_quote") ? "az-tdx-vtpm" : "az-snp-vtpm"; }

Result<evidence::AzureEvidence> Parse(const EvidenceCase& files) {
  if (files.evidence.size() != 1)
    return Err("input.two-formats", files.evidence[1].path, "is a second machine's evidence: one at a time");
  const InputFile& file = files.evidence[0];
  auto out = evidence::AzureEvidenceFromJson(TeeOfJson(file.json), file.bytes);
  if (!out.ok()) return out.error().In(file.path);
  return out;
}

}  // namespace

bool DetectAzure(const InputFile& file) {
  if (!file.json.is_object()) return false;
  // Without a version the paravisor's report of SNP is called "report" and the quote of the vTPM "quote".
  return file.json.contains("hcl_report") || (file.json.contains("quote") && file.json.contains("vcek"));
}

Result<OrderedJson> ShowAzure(const EvidenceCase& files) {
  ASSIGN_OR_RETURN(const evidence::AzureEvidence azure, Parse(files));
  OrderedJson out = {{"format", files.format->name}, {"tee", azure.tee}, {"version", azure.version}};
  if (auto quote = evidence::ParseTpmQuote(azure.quote); quote.ok()) out["nonce"] = HexEncode(quote->extra_data);
  else out["unreadable"] = quote.error().ToString();
  if (auto hcl = evidence::ParseHclReport(azure.hcl_report); hcl.ok()) {
    out["hcl"] = {{"hardware", hcl->type == evidence::HclReportType::kSnp ? "snp" : "tdx"},
                  {"runtime_digest", HexEncode(hcl->RuntimeDigest())}};
    if (auto runtime = evidence::ParseHclRuntime(hcl->runtime_json); runtime.ok()) {
      out["hcl"]["vm_id"] = runtime->vm_id;
      out["hcl"]["secure_boot"] = runtime->secure_boot;
      out["hcl"]["user_data"] = HexEncode(runtime->user_data);
      out["hcl"]["attestation_key_sha256"] = HexEncode(crypto::Sha256(runtime->ak.Der()));
    } else {
      out["hcl"]["unreadable"] = runtime.error().ToString();
    }
  } else {
    out["hcl"] = {{"unreadable", hcl.error().ToString()}};
  }
  out["pcrs"] = OrderedJson::object();
  for (const auto& [index, value] : azure.pcrs) out["pcrs"][std::to_string(index)] = HexEncode(value);
  return out;
}

Result<Judgement> VerifyAzure(const EvidenceCase& files, const Expectations& expect) {
  ASSIGN_OR_RETURN(const evidence::AzureEvidence azure, Parse(files));
  verify::AzureOptions options{expect.policy.tpm, expect.policy.snp, expect.policy.tdx, {}};
  for (const InputFile& chain : files.chains) {
    auto certificates = crypto::Certificate::ListFromPem(chain.bytes);
    if (!certificates.ok()) return certificates.error().In(chain.path);
    for (auto& certificate : *certificates) options.amd_intermediates.push_back(std::move(certificate));
  }
  Bytes said;
  if (auto quote = evidence::ParseTpmQuote(azure.quote); quote.ok()) said = quote->extra_data;
  options.tpm.nonce = expect.nonce.value_or(said);
  Judgement out;
  out.verdict = verify::VerifyAzure(evidence::Unverified<evidence::AzureEvidence>(azure),
                                    collateral::ToCollateral(files.documents), expect.anchors, options, expect.at);
  AskNonce(expect, said, "tpm/quote", out);
  out.documents["tpm/quote"] = azure.quote;
  out.documents["azure/hcl-report"] = azure.hcl_report;
  if (!azure.td_quote.empty()) out.documents["tdx/quote"] = azure.td_quote;
  return out;
}

}  // namespace ccgpu::cli
