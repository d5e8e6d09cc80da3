// VerifyGpu on real evidence, under the vendor's pinned roots and at the evidence's time.
#include <gmock/gmock.h>

#include <algorithm>

#include "base/json.h"
#include "trust/evidence/test_vectors.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

using crypto::Certificate;
using ::testing::HasSubstr;

GpuWorld RealWorld(const std::string& report, const std::string& chain, TimePoint now) {
  GpuWorld w;
  w.evidence = {"HOPPER", "", test::VectorHex(report), test::VectorText(chain)};
  w.anchors = BuiltinAnchors();
  w.collateral = {};
  w.options = {};
  w.options.nonce = Bytes(w.evidence.report.begin() + 4, w.evidence.report.begin() + 36);
  w.options.require_revocation = false;
  w.now = now;
  return w;
}

// Reports whose device half is whole and whose RIMs are not all at hand: every check but those of RIMs passes.
void ExpectDeviceHalf(const GpuWorld& w, const std::string& driver_rim, const std::string& vbios_rim) {
  const Verdict v = w.Run();
  EXPECT_EQ(v.environment, "hardware");
  EXPECT_EQ(FirstCode(v), "rim.not-found");
  std::vector<std::string> looked_for;
  for (const Check& check : v.checks) {
    if (check.outcome != Check::Outcome::kFailed) continue;
    EXPECT_EQ(check.reason.code, "rim.not-found") << check.name << ": " << check.reason.text;
    looked_for.push_back(check.expected);
  }
  EXPECT_THAT(looked_for, ::testing::ElementsAre(driver_rim, vbios_rim));
}

// The report, its chain and one of its RIMs: Blackwell's framing, DiceTcbInfo and RIM names.
TEST(VerifyRealGpu, Blackwell) {
  SKIP_WITHOUT_VECTORS();
  const std::string dir = "nvidia/nvat/gpu/";
  GpuWorld w = RealWorld(dir + "blackwellAttestationReport.txt", dir + "blackwellCertChain.txt",
                         ParseTime("2025-06-01").value());
  w.evidence.arch = "BLACKWELL";
  ExpectDeviceHalf(w, "NV_GPU_CC_DRIVER_GB100_575.32", "NV_GPU_VBIOS_G525_0220_886_970088000F");
  GpuWorld hopper = w;
  hopper.evidence.arch = "HOPPER";
  EXPECT_EQ(FirstCode(hopper.Run()), "gpu.arch-mismatch");
  GpuWorld other_firmware = w;  // one bit of the FWID in the opaque data: signature first, firmware id behind it
  const Bytes fwid = evidence::ParseGpuReport(w.evidence.report)->opaque.Fwid().value();
  const auto at = std::search(other_firmware.evidence.report.begin(), other_firmware.evidence.report.end(),
                              fwid.begin(), fwid.end());
  *at ^= 1;
  EXPECT_EQ(FirstCode(other_firmware.Run()), "gpu.signature-invalid");
}

TEST(VerifyRealGpu, HopperWithNewerAndOlderFirmware) {
  SKIP_WITHOUT_VECTORS();
  const std::string dir = "nvidia/nvat/gpu/";
  const TimePoint now = ParseTime("2024-06-01").value();
  ExpectDeviceHalf(RealWorld(dir + "hopperAttestationReport.txt", dir + "hopperCertChain.txt", now),
                   "NV_GPU_DRIVER_GH100_535.86.09", "NV_GPU_VBIOS_1010_0200_882_96005E0001");
  ExpectDeviceHalf(RealWorld(dir + "hopperAttestationReportExpired.txt", dir + "hopperCertChainExpired.txt", now),
                   "NV_GPU_DRIVER_GH100_570.124.03", "NV_GPU_VBIOS_1010_0205_862_96005E0004");
}

// rule 13: gpu
TEST(VerifyRealGpu, RimOfOtherValuesIsRefusedAndTheDifferencesAreNamed) {
  SKIP_WITHOUT_VECTORS();
  const std::string dir = "nvidia/nvat/";
  GpuWorld w = RealWorld(dir + "gpu/hopperAttestationReport.txt", dir + "gpu/hopperCertChain.txt",
                         ParseTime("2024-06-01").value());
  w.collateral.rims["NV_GPU_DRIVER_GH100_535.86.09"] =
      test::VectorText(dir + "rims/NV_GPU_DRIVER_GH100_535.86.09_measurement_mismatch.xml");
  w.collateral.rims["NV_GPU_VBIOS_1010_0200_882_96005E0001"] =
      test::VectorText("nvidia/samples/1010_0200_882_96005E0001_PROD.swidtag");
  const Verdict v = w.Run();
  EXPECT_FALSE(v.accepted);
  const Check* found = nullptr;
  for (const Check& check : v.checks) {
    if (check.name == "gpu0.measurements") found = &check;
  }
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->reason.code, "gpu.measurement-mismatch") << v.ToJson();
  EXPECT_EQ(found->document, "gpu0/report");
  const Json records = Json::parse(v.claims_json)["x-nvidia-mismatch-measurement-records"];
  ASSERT_FALSE(records.empty());
  for (const Json& record : records) EXPECT_EQ(record["rim"], "NV_GPU_DRIVER_GH100_535.86.09") << record;
}

// rule 13: rim
TEST(VerifyRealGpu, RimWhoseSignatureDoesNotHold) {
  SKIP_WITHOUT_VECTORS();
  const std::string dir = "nvidia/nvat/rims/";
  const std::string good = test::VectorText(dir + "NV_GPU_DRIVER_GH100_550.144.03.xml");
  const std::string bad = test::VectorText(dir + "incorrect_signature_driver_rim.xml");
  GpuWorld w = RealWorld("nvidia/samples/hopperAttestationReport.txt", "nvidia/samples/hopperCertChain.txt",
                         ParseTime("2025-06-01").value());
  const auto code_of = [&](const std::string& xml, const std::string& name) -> std::string {
    w.collateral.rims["NV_GPU_DRIVER_GH100_550.90.07"] = xml;
    const Verdict v = w.Run();
    for (const Check& check : v.checks) {
      if (check.name == name) return check.outcome == Check::Outcome::kFailed ? check.reason.code : "";
    }
    return "no such check";
  };
  EXPECT_EQ(code_of(good, "gpu0.driver-rim.signature"), "");
  EXPECT_EQ(code_of(bad, "gpu0.driver-rim.signature"), "rim.signature-invalid");
  EXPECT_EQ(code_of(good, "gpu0.driver-rim.version"), "rim.version-mismatch");
}

TEST(VerifyRealSwitch, ReportAndBiosRimMatchInAll) {
  SKIP_WITHOUT_VECTORS();
  const std::string dir = "nvidia/nvat/";
  GpuWorld w = RealWorld(dir + "switch/switchAttestationReport.txt", dir + "switch/switchCertChain.txt",
                         ParseTime("2026-06-01").value());
  w.evidence.arch = "LS10";
  w.options.nonce = HexDecode("931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb").value();
  const std::string id = "NV_SWITCH_BIOS_5612_0002_890_9610550001";
  w.collateral.rims[id] = test::VectorText(dir + "rims/switchVBIOSRim_" + id + ".xml");
  const Verdict v = w.RunSwitch();
  EXPECT_TRUE(v.accepted) << v.ToJson();
  EXPECT_EQ(v.environment, "hardware");
  const Json claims = Json::parse(v.claims_json);
  EXPECT_EQ(claims["x-nvidia-device-type"], "nvswitch");
  EXPECT_EQ(claims["measres"], "success");
  EXPECT_EQ(claims["hwmodel"], "LS_10 A01 FSP BROM");
  EXPECT_EQ(claims["x-nvidia-switch-pdi"], "203EB31AD9ED0008");
  EXPECT_EQ(claims["x-nvidia-switch-gpu-pdis"].size(), 7u);  // the sample names one of them twice
  EXPECT_EQ(claims["code_integrity"], "yes");
  EXPECT_EQ(claims["data_confidentiality"], "no");
  EXPECT_EQ(claims["x-nvidia-overall-att-result"], false);  // nobody was asked about revocation

  GpuWorld as_gpu = w;
  EXPECT_EQ(FirstCode(as_gpu.Run()), "gpu.unknown-arch");
  GpuWorld lying = w;
  lying.evidence.arch = "HOPPER";
  EXPECT_EQ(FirstCode(lying.Run()), "gpu.chain-profile");
  GpuWorld early = w;
  early.now = ParseTime("2026-01-01").value();  // before the RIM was signed
  EXPECT_EQ(FirstCode(early.RunSwitch()), "rim.chain-expired");
  GpuWorld without = w;
  without.collateral.rims.clear();
  EXPECT_EQ(FirstCode(without.RunSwitch()), "rim.not-found");
  EXPECT_THAT(without.RunSwitch().FirstFailure()->reason.text, HasSubstr(id));
}

TEST(VerifyRealGpu, TheCompleteHopperSet) {
  SKIP_WITHOUT_VECTORS();
  const std::string dir = "nvidia/nvtrust_v1_initial/";
  GpuWorld w = RealWorld(dir + "attestationReport.txt", dir + "gpuAkCertChain.txt", ParseTime("2024-06-01").value());
  w.options.nonce = HexDecode("4cff7f5380ead8fad8ec2c531c110aca4302a88f603792801a8ca29ee151af2e").value();
  w.collateral.rims["NV_GPU_DRIVER_GH100_545.00"] = test::VectorText(dir + "Driver_RIM_test_no_gpu.swidtag");
  w.collateral.rims["NV_GPU_VBIOS_1010_0200_882_96005E0001"] =
      test::VectorText(dir + "1010_0200_882_96005E0001_test_no_gpu.swidtag");
  const Verdict v = w.Run();
  EXPECT_TRUE(v.accepted) << v.ToJson();
  EXPECT_EQ(v.environment, "hardware");
  const Json claims = Json::parse(v.claims_json);
  EXPECT_EQ(claims["oemid"], "5703");
  EXPECT_EQ(claims["hwmodel"], "GH100 A01 GSP BROM");

  GpuWorld later = w;  // the RIM signers ended in 2025
  later.now = ParseTime("2026-01-01").value();
  EXPECT_EQ(FirstCode(later.Run()), "rim.chain-expired");
  GpuWorld demanding = w;
  demanding.options.require_revocation = true;
  EXPECT_EQ(FirstCode(demanding.Run()), "gpu.revocation-missing");
  GpuWorld unrooted = w;
  unrooted.anchors.device_roots.clear();
  EXPECT_EQ(FirstCode(unrooted.Run()), "gpu.untrusted-root");
  GpuWorld mixed = w;  // a hardware device with an emulator's RIMs
  mixed.anchors.rim_roots = GpuWorld().anchors.rim_roots;
  mixed.anchors.insecure_accept_emulated = true;
  GpuWorld emulated;
  emulated.driver_spec.colloquial_version = "545.00";
  emulated.Endorse();
  mixed.collateral.rims["NV_GPU_DRIVER_GH100_545.00"] = emulated.collateral.rims.at("NV_GPU_DRIVER_GH100_550.90.07");
  EXPECT_EQ(FirstCode(mixed.Run()), "environment.mixed");
}

TEST(VerifyRealGpu, NewerReportWithoutItsRims) {
  SKIP_WITHOUT_VECTORS();
  GpuWorld w = RealWorld("nvidia/samples/hopperAttestationReport.txt", "nvidia/samples/hopperCertChain.txt",
                         ParseTime("2024-06-01").value());
  const Verdict v = w.Run();
  EXPECT_EQ(FirstCode(v), "rim.not-found");
  EXPECT_THAT(v.FirstFailure()->reason.text, HasSubstr("NV_GPU_DRIVER_GH100_550.90.07"));
}

TEST(VerifyRealGpu, ExampleThatNvidiasVerifierAccepted) {
  SKIP_WITHOUT_VECTORS();
  const std::string dir = "nvidia/emulated_example/";
  GpuWorld w;
  w.evidence = {"HOPPER", "", test::VectorBytes(dir + "report.bin"), test::VectorText(dir + "chain.pem")};
  w.options = {};
  w.options.nonce = Bytes(32, 0xab);
  w.options.require_revocation = false;
  w.anchors = {.device_roots = {Certificate::FromPem(test::VectorText(dir + "device_root.pem")).value()},
               .rim_roots = {Certificate::FromPem(test::VectorText(dir + "rim_root.pem")).value()},
               .amd_roots = {},
               .intel_roots = {},
               .insecure_accept_emulated = true};
  w.collateral = {};
  for (const char* id : {"NV_GPU_DRIVER_GH100_550.90.07", "NV_GPU_VBIOS_1010_0200_882_96009F0001"})
    w.collateral.rims[id] = test::VectorText(dir + id + ".xml");
  const Verdict v = w.Run();
  EXPECT_TRUE(v.accepted) << v.ToJson();
  const Json ours = Json::parse(v.claims_json),
             theirs = Json::parse(test::VectorText(dir + "nvidia_python_verifier_claims.json"));
  for (const char* claim : {"measres", "hwmodel", "ueid", "oemid", "eat_nonce", "secboot", "dbgstat",
                            "x-nvidia-gpu-driver-version", "x-nvidia-gpu-vbios-version"}) {
    EXPECT_EQ(ours[claim], theirs[claim]) << claim;
  }
}

}  // namespace
}  // namespace ccgpu::verify
