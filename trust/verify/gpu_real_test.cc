// VerifyGpu on real evidence, under the vendor's pinned roots and at the evidence's time.
#include <gmock/gmock.h>

#include "base/json.h"
#include "trust/evidence/test_vectors.h"
#include "trust/verify/test_world.h"

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
  w.anchors = {{Certificate::FromPem(test::VectorText(dir + "device_root.pem")).value()},
               {Certificate::FromPem(test::VectorText(dir + "rim_root.pem")).value()},
               {},
               true};
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
