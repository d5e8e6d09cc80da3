// VerifyComposite: what only the set of a pod's evidence can say.
#include <gmock/gmock.h>

#include <deque>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

using crypto::CertificateSpec;

// A second device of the same vendor.
SpecEdits SecondDevice() {
  return {{"device1", [](CertificateSpec& s) { s.serial = {0x41, 9, 9, 9, 9, 9, 9, 9, 9}; }}};
}

struct PodWorld {
  explicit PodWorld(size_t gpus = 1) {
    for (size_t i = 0; i < gpus; ++i) {
      devices.emplace_back(i == 0 ? SpecEdits{} : SecondDevice(), i == 0 ? "" : "second");
      devices.back().report.responder_nonce = Bytes(32, static_cast<uint8_t>(i));
      devices.back().Sign();
      devices.back().evidence.uuid = "GPU-" + std::to_string(i);
    }
    evidence.init_data = "version = \"0.1.0\"\n";
    cpu.report.host_data = crypto::Sha256(AsBytes(evidence.init_data));
    cpu.Sign();
    Assemble();
  }

  void Assemble() {
    evidence.cpu = cpu.evidence;
    evidence.gpus.clear();
    for (GpuWorld& device : devices) {
      evidence.gpus.push_back(device.evidence);
      for (const auto& [id, xml] : device.collateral.rims) collateral.rims[id] = xml;
      for (const Bytes& der : device.collateral.ocsp_responses) collateral.ocsp_responses.push_back(der);
    }
    evidence.additional_evidence = evidence::AdditionalEvidence(evidence.gpus);
    anchors = cpu.anchors;
    for (const GpuWorld& device : devices) {
      anchors.device_roots.insert(anchors.device_roots.end(), device.anchors.device_roots.begin(),
                                  device.anchors.device_roots.end());
      anchors.rim_roots.insert(anchors.rim_roots.end(), device.anchors.rim_roots.begin(),
                               device.anchors.rim_roots.end());
    }
    if (!devices.empty()) options.gpu = devices[0].options;
    options.snp = cpu.options;
    options.report_data = cpu.options.report_data;
  }
  Verdict Run() const {
    return VerifyComposite(evidence::Unverified(evidence), collateral, anchors, options, kTestNow);
  }

  std::deque<GpuWorld> devices;
  SnpWorld cpu;
  evidence::CompositeEvidence evidence;
  Collateral collateral;
  Anchors anchors;
  CompositeOptions options;
};

TEST(VerifyComposite, HealthyPods) {
  for (size_t gpus : {0, 1, 2}) {
    PodWorld pod(gpus);
    pod.options.gpu_count = gpus;
    const Verdict v = pod.Run();
    ASSERT_TRUE(v.accepted) << gpus << ": " << v.ToJson();
    EXPECT_EQ((*v.verified)->gpus.size(), gpus);
    EXPECT_EQ((*v.verified)->environment, "emulated");
    const Json claims = Json::parse(v.claims_json);
    EXPECT_EQ(claims["gpus"].size(), gpus);
    EXPECT_EQ(claims["snp"]["init_data"], HexEncode(pod.cpu.report.host_data));
  }
}

TEST(VerifyComposite, SurvivesItsJson) {
  PodWorld pod(2);
  pod.evidence.nonce = Bytes(32, 1);
  pod.evidence = evidence::ParseComposite(evidence::EncodeComposite(pod.evidence)).value();
  EXPECT_TRUE(pod.Run().accepted) << pod.Run().ToJson();
}

struct PodCase {
  const char* name;
  const char* code;
  size_t gpus;
  std::function<void(PodWorld&)> change;
};
void PrintTo(const PodCase& c, std::ostream* out) { *out << c.name; }
class PodRefusals : public ::testing::TestWithParam<PodCase> {};

TEST_P(PodRefusals, SaysWhy) {
  PodWorld pod(GetParam().gpus);
  GetParam().change(pod);
  const Verdict v = pod.Run();
  EXPECT_FALSE(v.accepted);
  EXPECT_FALSE(v.verified.has_value());
  EXPECT_EQ(FirstCode(v), GetParam().code) << v.ToJson();
}

using P = PodWorld;
INSTANTIATE_TEST_SUITE_P(
    Pods, PodRefusals,
    ::testing::Values(
        PodCase{"missing_gpu", "composite.gpu-count", 1, [](P& p) { p.options.gpu_count = 2; }},
        PodCase{"extra_gpu", "composite.gpu-count", 2, [](P& p) { p.options.gpu_count = 1; }},
        PodCase{"no_gpu_at_all", "composite.gpu-count", 0, [](P& p) { p.options.gpu_count = 1; }},
        // rule 11: composite
        // advisory: TEE.fail
        PodCase{"same_report_twice", "composite.duplicate-gpu", 1,
                [](P& p) {
                  p.evidence.gpus.push_back(p.evidence.gpus[0]);
                  p.evidence.additional_evidence = evidence::AdditionalEvidence(p.evidence.gpus);
                }},
        PodCase{"same_gpu_twice_with_fresh_reports", "composite.duplicate-gpu", 1,
                [](P& p) {
                  GpuWorld again = p.devices[0];
                  again.report.responder_nonce = Bytes(32, 9);
                  again.Sign();
                  again.evidence.uuid = "GPU-another";
                  p.devices.push_back(again);
                  p.Assemble();
                }},
        PodCase{"one_attestation_key_under_two_certificates", "composite.duplicate-gpu", 1,
                [](P& p) {
                  p.devices.emplace_back(SecondDevice());
                  p.devices[1].report.responder_nonce = Bytes(32, 9);
                  p.devices[1].Sign();
                  p.devices[1].evidence.uuid = "GPU-another";
                  p.Assemble();
                }},
        // rule 1: composite
        // rule 11: composite
        PodCase{"second_gpu_with_another_nonce", "gpu.nonce-mismatch", 2,
                [](P& p) {
                  p.devices[1].report.nonce[0] ^= 1;
                  p.devices[1].Sign();
                  p.Assemble();
                }},
        PodCase{"one_gpu_in_devtools", "composite.mixed-modes", 2,
                [](P& p) {
                  p.devices[1].report.measurements[13] = evidence::CcModeMeasurement("devtools");
                  p.devices[1].Sign();
                  p.Assemble();
                  p.options.gpu.allow_devtools = true;
                }},
        PodCase{"protected_pcie_without_its_switches", "composite.links-unproven", 1,
                [](P& p) {
                  p.devices[0].report.opaque.Set(evidence::opaque_type::kProtectedPcieStatus, {0xaa});
                  p.devices[0].Sign();
                  p.Assemble();
                }},
        PodCase{"contradicts_itself_about_its_links", "composite.links-unproven", 1,
                [](P& p) {
                  p.devices[0].report.opaque.Set(evidence::opaque_type::kProtectedPcieStatus, {0x5a});
                  p.devices[0].Sign();
                  p.Assemble();
                }},
        PodCase{"gpus_differ_from_the_committed_text", "composite.additional-evidence", 2,
                [](P& p) { p.evidence.additional_evidence = evidence::AdditionalEvidence({p.evidence.gpus[0]}); }},
        PodCase{"gpu_not_in_the_inventory", "composite.unknown-gpu", 1, [](P& p) { p.options.allowed_ueids = {"1"}; }},
        PodCase{"initdata_replaced", "composite.init-data-mismatch", 1, [](P& p) { p.evidence.init_data += "#"; }},
        // rule 12: composite
        PodCase{"other_report_data", "snp.report-data-mismatch", 1, [](P& p) { p.options.report_data[0] ^= 1; }},
        // rule 17: composite
        PodCase{"emulated_without_the_flag", "environment.emulated", 1,
                [](P& p) { p.anchors.insecure_accept_emulated = false; }},
        // rule 1: composite
        PodCase{"no_gpu_nonce", "gpu.nonce-missing", 1, [](P& p) { p.options.gpu.nonce.clear(); }}),
    [](const auto& i) { return i.param.name; });

// rule 17: composite
TEST(VerifyComposite, EmulatedCpuWithHardwareGpuRootIsMixed) {
  // The device root of a pod whose CPU is emulated claims to be NVIDIA's: another key under NVIDIA's name does not pass
  // as hardware.
  PodWorld pod(1);
  pod.anchors.device_roots = BuiltinAnchors().device_roots;
  EXPECT_EQ(FirstCode(pod.Run()), "gpu.untrusted-root");
}

TEST(VerifyComposite, InventoryHolds) {
  PodWorld pod(1);
  pod.options.allowed_ueids = {evidence::Ueid(pod.devices[0].device[0].certificate)};
  EXPECT_TRUE(pod.Run().accepted);
}

}  // namespace
}  // namespace ccgpu::verify
