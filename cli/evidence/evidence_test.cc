// Recognising, showing, judging, explaining and comparing evidence files, on real vectors where the machine has them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/evidence/diff.h"
#include "cli/evidence/explain.h"
#include "cli/evidence/failure_class.h"
#include "cli/evidence/format.h"
#include "trust/evidence/azure_evidence.h"
#include "trust/evidence/test_vectors.h"

namespace ccgpu::cli {
namespace {

using ::testing::HasSubstr;

Expectations RealAt(const std::string& time) {
  Expectations out;
  out.at = ParseTime(time).value();
  out.anchors = verify::BuiltinAnchors();
  out.policy.gpu.require_revocation = false;
  return out;
}

Result<EvidenceCase> Vectors(const std::vector<std::string>& names) {
  std::vector<std::string> paths;
  for (const std::string& name : names) paths.push_back(test::VectorsDir() + "/" + name);
  return OpenCase(paths);
}

const std::vector<std::string> kHopper = {"nvidia/nvtrust_v1_initial/1010_0200_882_96005E0001_test_no_gpu.swidtag",
                                          "nvidia/nvtrust_v1_initial/attestationReport.txt",
                                          "nvidia/nvtrust_v1_initial/Driver_RIM_test_no_gpu.swidtag",
                                          "nvidia/nvtrust_v1_initial/gpuAkCertChain.txt"};

TEST(Formats, RealFilesAreRecognised) {
  SKIP_WITHOUT_VECTORS();
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {kHopper, "gpu-report"},
      {{"nvidia/nvat/gpu/blackwellAttestationReport.txt"}, "gpu-report"},
      {{"nvidia/emulated_example/report.bin"}, "gpu-report"},
      {{"nvidia/emulated_example/evidence.json"}, "nvidia-json"},
      {{"snp/virtee_report_milan.bin", "snp/virtee_vcek_milan.der"}, "snp-report"},
      {{"snp/azure_genoa_report.bin", "snp/azure_genoa_vcek.pem"}, "snp-report"},
      {{"nvidia/nvat/rims/NV_GPU_DRIVER_GH100_550.144.03.xml"}, "rim"},
      {{"nvidia/nvat/nras/hopperClaimsv3_detached_eat.json"}, "nras-token"},
      {{"tdx/gotdx_tdx_prod_quote_SPR_E4.dat"}, "tdx-quote"},
      {{"tdx/gotdx_cos-113-tdx-quote.dat", "tdx/gotdx_ccel_data.dat"}, "tdx-quote"},
      {{"cose/veraison_signed-good-corim.cbor"}, "corim"},
  };
  for (const auto& [files, format] : cases) {
    auto opened = Vectors(files);
    ASSERT_TRUE(opened.ok()) << files[0] << ": " << opened.error().ToString();
    EXPECT_EQ(opened->format->name, format) << files[0];
    auto shown = opened->format->show(*opened);
    EXPECT_TRUE(shown.ok()) << files[0] << ": " << (shown.ok() ? "" : shown.error().ToString());
  }
}

// Recognised, shown and refused; that good ones are accepted is trust/verify's azure_test.
TEST(Formats, AzureEvidence) {
  for (const char* tee : {"az-snp-vtpm", "az-tdx-vtpm"}) {
    evidence::AzureEvidence azure;
    azure.tee = tee;
    azure.quote = azure.signature = azure.hcl_report = azure.vcek = azure.td_quote = Bytes(40, 1);
    for (uint32_t index = 0; index < 24; ++index) azure.pcrs[index] = Bytes(32, 2);
    auto opened = MakeCase({MakeInput("ev.json", evidence::AzureEvidenceToJson(azure))});
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    EXPECT_EQ(opened->format->name, "azure-json");
    auto shown = opened->format->show(*opened);
    ASSERT_TRUE(shown.ok()) << shown.error().ToString();
    EXPECT_EQ((*shown)["tee"], tee);
    EXPECT_TRUE((*shown)["hcl"].contains("unreadable"));
    auto judged = opened->format->verify(*opened, Expectations{});
    ASSERT_TRUE(judged.ok()) << judged.error().ToString();
    EXPECT_FALSE(judged->verdict.accepted);
    EXPECT_THAT(judged->verdict.ToJson(), HasSubstr("azure.hcl-malformed"));
  }
}

TEST(Formats, WhatIsNoEvidenceIsRefusedWithWhatIsKnown) {
  auto nonsense = MakeCase({MakeInput("x.bin", "hello")});
  ASSERT_FALSE(nonsense.ok());
  EXPECT_EQ(nonsense.error().code, "input.unknown-format");
  EXPECT_THAT(nonsense.error().text, HasSubstr("composite, nvidia-json, gpu-report"));
  auto keys = MakeCase({MakeInput("t.jwks", "{\"keys\":[]}")});
  EXPECT_THAT(keys.error().text, HasSubstr("--key"));
  auto bundle = MakeCase({MakeInput("b.json", "{\"format\":\"ccgpu.collateral-bundle/v1\"}")});
  EXPECT_THAT(bundle.error().text, HasSubstr("--collateral"));
  EXPECT_EQ(MakeCase({}).error().code, "input.no-evidence");
}

// A real H100, its two RIMs under names of somebody else's choice, no network.
TEST(RealHopper, OneCommandWithoutANetwork) {
  SKIP_WITHOUT_VECTORS();
  auto files = Vectors(kHopper);
  ASSERT_TRUE(files.ok()) << files.error().ToString();
  Expectations expect = RealAt("2024-06-01");
  expect.nonce = HexDecode("4cff7f5380ead8fad8ec2c531c110aca4302a88f603792801a8ca29ee151af2e").value();
  auto judged = files->format->verify(*files, expect);
  ASSERT_TRUE(judged.ok()) << judged.error().ToString();
  EXPECT_TRUE(judged->verdict.accepted) << judged->verdict.ToJson();
  EXPECT_EQ(judged->verdict.environment, "hardware");

  expect.nonce = Bytes(32, 1);
  judged = files->format->verify(*files, expect);
  EXPECT_FALSE(judged->verdict.accepted);
  EXPECT_EQ(ClassOf(judged->verdict)->word, "freshness");
  expect = RealAt("2024-06-01");
  expect.policy.gpu.require_revocation = true;
  judged = files->format->verify(*files, expect);
  EXPECT_EQ(ClassOf(judged->verdict)->word, "collateral");
}

TEST(RealHopper, AMissingManifestSaysWhatThereIs) {
  SKIP_WITHOUT_VECTORS();
  auto files = Vectors({"nvidia/samples/hopperAttestationReport.txt", "nvidia/samples/hopperCertChain.txt",
                        "nvidia/nvat/rims/NV_GPU_DRIVER_GH100_550.144.03.xml"});
  ASSERT_TRUE(files.ok()) << files.error().ToString();
  auto judged = files->format->verify(*files, RealAt("2024-06-01"));
  ASSERT_TRUE(judged.ok());
  EXPECT_FALSE(judged->verdict.accepted);
  std::ostringstream out;
  PrintExplanations(out, *files, *judged);
  EXPECT_THAT(out.str(), HasSubstr("rim.not-found"));
  EXPECT_THAT(out.str(), HasSubstr("looked for NV_GPU_DRIVER_GH100_550.90.07 in"));
  EXPECT_THAT(out.str(), HasSubstr("there is NV_GPU_DRIVER_GH100_550.144.03"));
  EXPECT_THAT(out.str(), HasSubstr("to do "));
}

TEST(RealHopper, AFlippedMeasurementIsNamedWithItsBytes) {
  SKIP_WITHOUT_VECTORS();
  auto files = Vectors(kHopper);
  ASSERT_TRUE(files.ok());
  Bytes report = BinaryOf(files->evidence[0].bytes);
  report[45 + 55 * 24 + 7] ^= 1;  // the first byte of measurement 24
  files->evidence[0].bytes = ToText(report);
  auto judged = files->format->verify(*files, RealAt("2024-06-01"));
  ASSERT_TRUE(judged.ok());
  std::ostringstream out;
  PrintExplanations(out, *files, *judged);
  EXPECT_THAT(out.str(), HasSubstr("gpu.signature-invalid"));
  EXPECT_THAT(out.str(), HasSubstr("gpu.measurement-mismatch"));
  EXPECT_THAT(out.str(), HasSubstr("(index 24)"));
  EXPECT_THAT(out.str(), HasSubstr("bytes 1372 to 1419 (0x55c, length 48)"));
  EXPECT_THAT(out.str(), HasSubstr("no manifest at hand fits better"));
}

TEST(RealSnp, WithItsCertificateInAnyForm) {
  SKIP_WITHOUT_VECTORS();
  for (const auto& names :
       std::vector<std::vector<std::string>>{{"snp/virtee_report_milan.bin", "snp/virtee_vcek_milan.der"},
                                             {"snp/azure_genoa_vcek.pem", "snp/azure_genoa_report.bin"}}) {
    auto files = Vectors(names);
    ASSERT_TRUE(files.ok()) << files.error().ToString();
    auto judged = files->format->verify(*files, RealAt("2025-06-01"));
    ASSERT_TRUE(judged.ok()) << judged.error().ToString();
    EXPECT_TRUE(judged->verdict.accepted) << names[0] << judged->verdict.ToJson();
    EXPECT_THAT(judged->warnings, ::testing::Contains(HasSubstr("freshness")));
  }
  auto debug = Vectors({"snp/gosev_attestation.bin", "snp/gosev_vcek.testcer"});
  ASSERT_TRUE(debug.ok()) << debug.error().ToString();
  auto judged = debug->format->verify(*debug, RealAt("2024-06-01"));
  ASSERT_TRUE(judged.ok());
  EXPECT_EQ(ClassOf(judged->verdict)->word, "mode") << judged->verdict.ToJson();
  auto bare = Vectors({"snp/virtee_report_milan.bin"});
  judged = bare->format->verify(*bare, RealAt("2024-06-01"));
  ASSERT_TRUE(judged.ok());
  EXPECT_FALSE(judged->verdict.accepted);
}

TEST(RealRim, Alone) {
  SKIP_WITHOUT_VECTORS();
  auto files = Vectors({"nvidia/nvat/rims/NV_GPU_DRIVER_GH100_550.144.03.xml"});
  ASSERT_TRUE(files.ok());
  auto judged = files->format->verify(*files, RealAt("2025-03-01"));
  ASSERT_TRUE(judged.ok());
  EXPECT_TRUE(judged->verdict.accepted) << judged->verdict.ToJson();
  auto bad = Vectors({"nvidia/nvat/rims/incorrect_signature_driver_rim.xml"});
  judged = bad->format->verify(*bad, RealAt("2025-03-01"));
  EXPECT_EQ(ClassOf(judged->verdict)->word, "signature");
  EXPECT_EQ(judged->verdict.FirstFailure()->reason.code, "rim.signature-invalid");
}

TEST(RealDiff, NamesWhatChanged) {
  SKIP_WITHOUT_VECTORS();
  auto a = Vectors({"nvidia/nvtrust_v1_initial/attestationReport.txt", "nvidia/nvtrust_v1_initial/gpuAkCertChain.txt"});
  auto b = Vectors({"nvidia/samples/hopperAttestationReport.txt", "nvidia/samples/hopperCertChain.txt"});
  const auto before = a->format->show(*a), after = b->format->show(*b);
  const std::vector<Change> changes = Diff(*before, *after);
  std::string all;
  for (const Change& change : changes) all += change.Sentence() + "\n";
  EXPECT_THAT(all, HasSubstr("GPU 0: driver version changed from 545.00 to 550.90.07"));
  EXPECT_THAT(all, HasSubstr("GPU 0: measurement "));
  EXPECT_THAT(all, HasSubstr("GPU 0: nonce changed"));
  EXPECT_THAT(all, HasSubstr("GPU 0: certificate 0, serial number changed"));
  EXPECT_TRUE(Diff(*before, *before).empty());
}

// Intel's own sample quote beside Intel's own (too new) TCB info: bodies, chain and lists as files, in any order.
TEST(RealTdx, WithIntelsDocumentsAsFiles) {
  SKIP_WITHOUT_VECTORS();
  auto files =
      Vectors({"tdx/tcbInfoIssuerChain.pem", "tdx/gotdx_tdx_prod_quote_SPR_E4.dat", "tdx/gotdx_rootcrl.der",
               "tdx/gotdx_sample_tcbInfo_response", "tdx/gotdx_pckcrl", "tdx/gotdx_sample_qeIdentity_response"});
  ASSERT_TRUE(files.ok()) << files.error().ToString();
  auto judged = files->format->verify(*files, RealAt("2023-07-01"));
  ASSERT_TRUE(judged.ok()) << judged.error().ToString();
  std::vector<std::string> failed;
  for (const verify::Check& check : judged->verdict.checks) {
    if (check.outcome == verify::Check::Outcome::kFailed) failed.push_back(check.reason.code);
  }
  EXPECT_THAT(failed, ::testing::ElementsAre("tdx.tcb-unsupported", "tdx.sept-ve"));
  EXPECT_EQ(ClassOf(judged->verdict)->word, "tcb");
  EXPECT_EQ(judged->verdict.environment, "hardware");
}

TEST(RealDiff, NamesTheTcbsParts) {
  SKIP_WITHOUT_VECTORS();
  auto a = Vectors({"snp/virtee_report_milan.bin"}), b = Vectors({"snp/azure_genoa_report.bin"});
  std::string all;
  for (const Change& change : Diff(*a->format->show(*a), *b->format->show(*b))) all += change.Sentence() + "\n";
  EXPECT_THAT(all, HasSubstr("CPU: reported TCB changed from bootloader 3, tee 0, snp 8, microcode"));
}

TEST(Explain, ExcerptMarksTheBytes) {
  Bytes bytes(40);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  EXPECT_EQ(HexExcerpt(bytes, 14, 4),
            "00000000 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d[0e 0f\n"
            "00000010 10 11]12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f\n");
  EXPECT_EQ(HexExcerpt(bytes, 36, 4), "00000020 20 21 22 23[24 25 26 27]\n");
  EXPECT_EQ(HexExcerpt(bytes, 40, 4), "");
  EXPECT_EQ(HexExcerpt(bytes, 0, 0), "");
}

TEST(FailureClass, EachKindOfCode) {
  for (const auto& [code, word] :
       std::vector<std::pair<std::string, std::string>>{{"gpu.signature-invalid", "signature"},
                                                        {"gpu.nonce-mismatch", "freshness"},
                                                        {"gpu.nonce-missing", "freshness"},
                                                        {"snp.report-data-mismatch", "freshness"},
                                                        {"rim.revoked", "revoked"},
                                                        {"gpu.revocation-unknown", "revoked"},
                                                        {"gpu.revocation-missing", "collateral"},
                                                        {"gpu.revocation-stale", "collateral"},
                                                        {"rim.not-found", "collateral"},
                                                        {"gpu.measurement-mismatch", "measurement"},
                                                        {"snp.measurement-mismatch", "measurement"},
                                                        {"gpu.version-floor", "tcb"},
                                                        {"snp.tcb-too-old", "tcb"},
                                                        {"snp.debug-enabled", "mode"},
                                                        {"gpu.mode-off", "mode"},
                                                        {"composite.mixed-modes", "mode"},
                                                        {"composite.gpu-count", "binding"},
                                                        {"composite.init-data-mismatch", "binding"},
                                                        {"environment.emulated", "environment"},
                                                        {"gpu.report-malformed", "form"},
                                                        {"snp.policy-malformed", "form"},
                                                        {"tdx.sept-ve", "mode"},
                                                        {"tdx.tcb-status", "tcb"},
                                                        {"tdx.mr-config-id-mismatch", "binding"},
                                                        {"tpm.pcr-mismatch", "measurement"},
                                                        {"tpm.secure-boot-off", "mode"},
                                                        {"token.expired", "freshness"},
                                                        {"fabric.foreign-device", "binding"},
                                                        {"policy.not-accepted", "policy"}}) {
    EXPECT_EQ(ClassOf(code).word, word) << code;
  }
  EXPECT_THAT(TextOf("gpu.revoked").remedy, HasSubstr("out of service"));
  EXPECT_EQ(TextOf("no.such-code").meaning, "");
}

}  // namespace
}  // namespace ccgpu::cli
