// VerifyGpu on A100s: emulated boards in mode apm are accepted, anything else of that architecture is refused.
#include <gtest/gtest.h>

#include "base/json.h"
#include "trust/evidence/test_vectors.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

SpecEdit Named(const std::string& name) {
  return [name](crypto::CertificateSpec& spec) { spec.subject = {{"O", "EMULATED, NOT NVIDIA"}, {"CN", name}}; };
}

// A healthy A100 with its RIMs. `mode`: what the board measures; the VBIOS RIM always says apm.
GpuWorld Ampere(const std::string& mode = "apm") {
  GpuWorld w({{"device0", Named("GA100 A01 GSP FMC LF")}, {"device1", [](crypto::CertificateSpec& spec) {
                                                             Named("GA100 A01 GSP BROM")(spec);
                                                             spec.serial = {0x41, 8, 7, 6, 5, 4, 3, 2, 1};
                                                           }}});
  w.report.opaque.Set(evidence::opaque_type::kGpuInfo, {0x70, 0x01, 0, 0, 0, 0, 0, 0});
  w.report.measurements[evidence::kIndexCcMode] = evidence::CcModeMeasurement(mode);
  for (evidence::RimMeasurement& m : w.vbios_spec.measurements) {
    if (m.index == evidence::kIndexCcMode) m.alternatives = {evidence::CcModeMeasurement("apm")};
  }
  w.collateral.rims.clear();
  w.Endorse();
  w.Sign();
  w.evidence.arch = "AMPERE";
  return w;
}

TEST(VerifyAmpere, EmulatedBoardInModeApmIsAccepted) {
  const Verdict v = Ampere().Run();
  ASSERT_TRUE(v.accepted) << v.ToJson();
  EXPECT_EQ(v.environment, "emulated");
  const Json claims = Json::parse(v.claims_json);
  EXPECT_EQ(claims["mode"], "apm");
  EXPECT_EQ(claims["hwmodel"], "GA100 A01 GSP BROM");
  EXPECT_EQ(claims["x-nvidia-gpu-arch-check"], true);
}

// rule 6: gpu
TEST(VerifyAmpere, EveryOtherModeIsRefused) {
  EXPECT_EQ(FirstCode(Ampere("off").Run()), "gpu.mode-off");
  EXPECT_EQ(FirstCode(Ampere("devtools").Run()), "gpu.mode-devtools");
  EXPECT_EQ(FirstCode(Ampere("hopper-cc").Run()), "gpu.measurement-mismatch");  // no A100 can do that
}

// rule 17: gpu
TEST(VerifyAmpere, NeedsTheOptionForEmulators) {
  GpuWorld w = Ampere();
  w.anchors.insecure_accept_emulated = false;
  EXPECT_EQ(FirstCode(w.Run()), "environment.emulated");
}

// The weaker mode is for boards that are certified as A100s, not for who says AMPERE.
TEST(VerifyAmpere, AnH100CannotPassAsOne) {
  GpuWorld w;
  w.evidence.arch = "AMPERE";
  EXPECT_EQ(FirstCode(w.Run()), "gpu.arch-mismatch");
  GpuWorld reversed = Ampere();
  reversed.evidence.arch = "HOPPER";
  EXPECT_EQ(FirstCode(reversed.Run()), "gpu.arch-mismatch");
}

TEST(VerifyAmpere, UnderTheVendorsRootItIsRefused) {
  SKIP_WITHOUT_VECTORS();
  const std::string dir = "nvidia/nvtrust_v1_initial/";
  GpuWorld w = Ampere();
  w.evidence = {"AMPERE", "", test::VectorHex(dir + "attestationReport.txt"),
                test::VectorText(dir + "gpuAkCertChain.txt")};
  w.anchors = BuiltinAnchors();
  w.options.nonce = Bytes(w.evidence.report.begin() + 4, w.evidence.report.begin() + 36);
  EXPECT_EQ(FirstCode(w.Run()), "gpu.ampere-hardware");
}

}  // namespace
}  // namespace ccgpu::verify
