#include "trust/verify/testing/azure_world.h"

#include "base/encoding.h"
#include "base/json.h"

namespace ccgpu::verify {

std::string RuntimeJson(const evidence::TpmPublic& ak, ByteView user_data) {
  const std::string modulus = Base64UrlEncode(ak.rsa_modulus);
  nlohmann::ordered_json out;
  out["keys"] = {
      {{"kid", "HCLAkPub"}, {"key_ops", {"sign"}}, {"kty", "RSA"}, {"e", "AQAB"}, {"n", modulus}},
      {{"kid", "HCLEkPub"}, {"key_ops", {"encrypt"}}, {"kty", "RSA"}, {"e", "AQAB"}, {"n", modulus}},
  };
  out["vm-configuration"] = {{"console-enabled", true},
                             {"secure-boot", true},
                             {"tpm-enabled", true},
                             {"tpm-persisted", true},
                             {"vmUniqueId", "00000000-1"}};
  out["user-data"] = HexEncode(user_data);
  return out.dump();
}

AzureWorld::AzureWorld(bool with_snp) : is_snp(with_snp), tpm({}, crypto::KeyType::kRsa2048) {
  options.tpm = tpm.options;
  options.snp = snp.options;
  options.tdx = tdx.options;
  options.amd_intermediates = {snp.chain[1].certificate};
  anchors.amd_roots = snp.anchors.amd_roots;
  anchors.intel_roots = tdx.anchors.intel_roots;
  anchors.insecure_accept_emulated = true;
  collateral = tdx.collateral;
  evidence.tee = is_snp ? "az-snp-vtpm" : "az-tdx-vtpm";
  runtime_json = RuntimeJson(tpm.area, tpm.options.nonce);
  hcl.type = is_snp ? evidence::HclReportType::kSnp : evidence::HclReportType::kTdx;
  Make();
}

void AzureWorld::Make() {
  Bytes report_data = crypto::Sha256(AsBytes(runtime_json));
  report_data.resize(64);
  MakeFor(report_data);
}

void AzureWorld::MakeFor(const Bytes& report_data) {
  hcl.runtime_json = runtime_json;
  if (is_snp) {
    snp.report.report_data = report_data;
    snp.Sign();
    hcl.hardware = snp.evidence.report;
    evidence.vcek = snp.chain[0].certificate.Der();
    collateral.crls = tdx.collateral.crls;
  } else {
    tdx.quote.body.report_data = report_data;
    tdx.Sign();
    evidence.td_quote = tdx.evidence.quote;
    hcl.hardware = Bytes(evidence::kHclHardwareSize);
    std::copy(report_data.begin(), report_data.end(), hcl.hardware.begin() + evidence::kTdReportDataOffset);
  }
  evidence.hcl_report = evidence::EncodeHclReport(hcl);
  evidence.quote = tpm.evidence.quote;
  evidence.signature = evidence::ParseTpmSignature(tpm.evidence.signature)->rsa;
  evidence.pcrs = tpm.evidence.pcrs;
}

Verdict AzureWorld::Run() const {
  return VerifyAzure(evidence::Unverified<evidence::AzureEvidence>(evidence), collateral, anchors, options, kTestNow);
}

}  // namespace ccgpu::verify
