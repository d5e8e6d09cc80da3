// VerifyFabric and VerifySwitch: healthy sets are accepted; each named change is refused with its code.
#include "trust/verify/gpu/fabric.h"

#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/test_vectors.h"
#include "trust/verify/testing/fabric.h"

namespace ccgpu::verify {
namespace {

using ::testing::HasSubstr;
namespace ot = evidence::opaque_type;

TEST(VerifyFabric, HealthySetIsAccepted) {
  const FabricWorld w;
  const Verdict v = w.Run();
  ASSERT_TRUE(v.accepted) << v.ToStatus().error().ToString();
  EXPECT_EQ(v.environment, "emulated");
  const Json claims = Json::parse(v.claims_json);
  EXPECT_EQ(claims["gpus"].size(), 8u);
  EXPECT_EQ(claims["switches"].size(), 4u);
  EXPECT_EQ(claims["x-nvidia-overall-att-result"], true);
  EXPECT_EQ(claims["gpus"][3]["x-nvidia-gpu-mode"], "ppcie");
  EXPECT_EQ(claims["gpus"][3]["x-nvidia-gpu-switch-pdis"].size(), 4u);
  EXPECT_EQ(claims["switches"][0]["x-nvidia-switch-gpu-pdis"].size(), 8u);
  EXPECT_THAT(claims["gpus"][0]["protection_notes"].dump(), HasSubstr("NVLink"));
  EXPECT_EQ((*v.verified)->gpus.size(), 8u);
}

TEST(VerifyFabric, NothingIsAcceptedByDefault) {
  const Verdict v = VerifyFabric(evidence::Unverified(FabricEvidence()), {}, {}, {}, kTestNow);
  EXPECT_FALSE(v.accepted);
  FabricWorld none;
  none.gpus.clear(), none.switches.clear();
  none.options.gpu_count = none.options.switch_count = 0;
  EXPECT_FALSE(none.Run().accepted);
}

TEST(VerifyFabric, ThreadsAndCacheDoNotChangeTheVerdict) {
  FabricWorld w;
  w.switches[1].report.measurements[7] = Bytes(48, 0xee);  // refused ones are compared too: more text
  w.Sign(w.switches[1]);
  w.options.threads = 1;
  const std::string alone = w.Run().ToJson();
  Cache cache;
  for (const unsigned threads : {0u, 2u, 12u, 100u}) {
    w.options.threads = threads;
    EXPECT_EQ(w.Run().ToJson(), alone) << threads;
    EXPECT_EQ(w.Run(&cache).ToJson(), alone) << threads;
  }
}

struct FabricCase {
  const char* name;
  const char* check;
  const char* code;
  std::function<void(FabricWorld&)> change;
};
void PrintTo(const FabricCase& c, std::ostream* out) { *out << c.name; }

class FabricRefusals : public ::testing::TestWithParam<FabricCase> {};

TEST_P(FabricRefusals, SaysWhy) {
  FabricWorld world;
  GetParam().change(world);
  const Verdict v = world.Run();
  EXPECT_FALSE(v.accepted);
  EXPECT_FALSE(v.verified.has_value());
  EXPECT_EQ(CodeOf(v, GetParam().check), GetParam().code) << v.ToStatus().error().ToString();
  EXPECT_EQ(Json::parse(v.claims_json)["x-nvidia-overall-att-result"], false);
}

using W = FabricWorld;

void Set(W& w, GpuWorld& device, uint16_t type, Bytes value) {
  device.report.opaque.Set(type, std::move(value));
  w.Sign(device);
}
void Remove(W& w, GpuWorld& device, uint16_t type) {
  std::erase_if(device.report.opaque.fields, [&](const auto& f) { return f.type == type; });
  w.Sign(device);
}
std::vector<Bytes> Pdis(const std::vector<GpuWorld>& devices) {
  std::vector<Bytes> out;
  for (const GpuWorld& device : devices) out.push_back(PdiOf(device));
  return out;
}

// rule 11: switch
INSTANTIATE_TEST_SUITE_P(
    Members, FabricRefusals,
    ::testing::Values(
        FabricCase{"missing_gpu", "fabric.gpu-count", "fabric.gpu-count", [](W& w) { w.gpus.pop_back(); }},
        FabricCase{"missing_switch", "fabric.switch-count", "fabric.switch-count", [](W& w) { w.switches.pop_back(); }},
        FabricCase{"missing_gpu_is_seen_by_the_switches_too", "fabric.switch-links", "fabric.foreign-device",
                   [](W& w) {
                     w.gpus.pop_back();
                     w.options.gpu_count = 7;
                   }},
        FabricCase{"missing_switch_is_seen_by_the_gpus_too", "fabric.gpu-links", "fabric.foreign-device",
                   [](W& w) {
                     w.switches.pop_back();
                     w.options.switch_count = 3;
                   }},
        FabricCase{"extra_gpu", "fabric.gpu-count", "fabric.gpu-count", [](W& w) { w.gpus.push_back(w.gpus[0]); }},
        FabricCase{"one_gpu_twice", "fabric.distinct-devices", "fabric.duplicate-device",
                   [](W& w) { w.gpus[1] = w.gpus[0]; }},
        FabricCase{"one_switch_twice", "fabric.distinct-devices", "fabric.duplicate-device",
                   [](W& w) { w.switches[1] = w.switches[0]; }},
        FabricCase{"one_responder_nonce_twice", "fabric.distinct-devices", "fabric.duplicate-device",
                   [](W& w) {
                     w.gpus[1].report.responder_nonce = w.gpus[2].report.responder_nonce;
                     w.Sign(w.gpus[1]);
                   }},
        FabricCase{"gpu_in_place_of_a_switch", "switch0.report.parsed", "gpu.unknown-arch",
                   [](W& w) { w.switches[0] = w.gpus[0]; }},
        FabricCase{"switch_in_place_of_a_gpu", "gpu0.report.parsed", "gpu.unknown-arch",
                   [](W& w) { w.gpus[0] = w.switches[0]; }},
        FabricCase{"not_in_the_inventory", "fabric.inventory", "fabric.unknown-device",
                   [](W& w) { w.options.allowed_ueids = {"1"}; }},
        FabricCase{"more_than_any_machine_has", "fabric.gpu-count", "fabric.gpu-count",
                   [](W& w) { w.gpus.resize(100, w.gpus[0]); }}),
    [](const auto& i) { return i.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Request, FabricRefusals,
    ::testing::Values(FabricCase{"one_answers_another_nonce", "fabric.same-nonce", "fabric.mixed-nonces",
                                 [](W& w) {
                                   w.gpus[5].report.nonce = Bytes(32, 1);
                                   w.Sign(w.gpus[5]);
                                 }},
                      FabricCase{"one_switch_answers_another_nonce", "switch2.report.nonce", "gpu.nonce-mismatch",
                                 [](W& w) {
                                   w.switches[2].report.nonce = Bytes(32, 1);
                                   w.Sign(w.switches[2]);
                                 }},
                      FabricCase{"one_gpu_is_not_in_ppcie", "fabric.mode", "fabric.mixed-modes",
                                 [](W& w) {
                                   w.gpus[5].report.opaque.Set(ot::kFeatureFlag, {0, 0});
                                   Set(w, w.gpus[5], ot::kProtectedPcieStatus, {0x55});
                                 }},
                      FabricCase{"flag_and_status_contradict_each_other", "fabric.mode", "fabric.mixed-modes",
                                 [](W& w) { Set(w, w.gpus[5], ot::kProtectedPcieStatus, {0x55}); }},
                      FabricCase{"unknown_flag", "fabric.mode", "fabric.mixed-modes",
                                 [](W& w) {
                                   Set(w, w.gpus[5], ot::kFeatureFlag, {3, 0});
                                 }},
                      FabricCase{"all_are_in_single_mode", "fabric.mode", "fabric.mode",
                                 [](W& w) {
                                   for (GpuWorld& gpu : w.gpus) {
                                     gpu.report.opaque.Set(ot::kFeatureFlag, {0, 0});
                                     Set(w, gpu, ot::kProtectedPcieStatus, {0x55});
                                   }
                                 }},
                      FabricCase{"nobody_says_the_mode", "fabric.mode", "fabric.mode",
                                 [](W& w) {
                                   for (GpuWorld& gpu : w.gpus) {
                                     Remove(w, gpu, ot::kFeatureFlag);
                                     Remove(w, gpu, ot::kProtectedPcieStatus);
                                   }
                                 }}),
    [](const auto& i) { return i.param.name; });

// rule 11: gpu
INSTANTIATE_TEST_SUITE_P(
    Topology, FabricRefusals,
    ::testing::Values(FabricCase{"gpu_of_another_machine", "fabric.gpu-links", "fabric.foreign-device",
                                 [](W& w) {
                                   auto pdis = Pdis(w.switches);
                                   pdis[0] = Bytes(8, 0x77);
                                   Set(w, w.gpus[3], ot::kSwitchPdi, SwitchPdiField(pdis));
                                 }},
                      FabricCase{"switch_of_another_machine", "fabric.switch-links", "fabric.foreign-device",
                                 [](W& w) {
                                   auto pdis = Pdis(w.gpus);
                                   pdis[7] = Bytes(8, 0x77);
                                   Set(w, w.switches[3], ot::kSwitchGpuPdis, GpuPdiField(pdis));
                                 }},
                      FabricCase{"a_link_to_a_fifth_switch", "fabric.gpu-links", "fabric.foreign-device",
                                 [](W& w) {
                                   auto pdis = Pdis(w.switches);
                                   pdis.push_back(Bytes(8, 0x77));
                                   Set(w, w.gpus[3], ot::kSwitchPdi, SwitchPdiField(pdis));
                                 }},
                      FabricCase{"no_link_to_one_switch", "fabric.gpu-links", "fabric.missing-link",
                                 [](W& w) {
                                   auto pdis = Pdis(w.switches);
                                   pdis.pop_back();
                                   Set(w, w.gpus[3], ot::kSwitchPdi, SwitchPdiField(pdis));
                                 }},
                      FabricCase{"switch_names_one_gpu_twice", "fabric.switch-links", "fabric.missing-link",
                                 [](W& w) {
                                   auto pdis = Pdis(w.gpus);
                                   pdis[7] = pdis[6];
                                   Set(w, w.switches[0], ot::kSwitchGpuPdis, GpuPdiField(pdis));
                                 }},
                      FabricCase{"byte_order_of_the_other_side", "fabric.gpu-links", "fabric.foreign-device",
                                 [](W& w) {
                                   auto pdis = Pdis(w.switches);
                                   for (Bytes& pdi : pdis) std::reverse(pdi.begin(), pdi.end());
                                   Set(w, w.gpus[0], ot::kSwitchPdi, SwitchPdiField(pdis));
                                 }},
                      FabricCase{"gpu_says_nothing", "fabric.gpu-links", "fabric.topology-missing",
                                 [](W& w) { Remove(w, w.gpus[0], ot::kSwitchPdi); }},
                      FabricCase{"switch_says_nothing", "fabric.switch-links", "fabric.topology-missing",
                                 [](W& w) { Remove(w, w.switches[0], ot::kSwitchGpuPdis); }},
                      FabricCase{"field_is_too_short", "fabric.gpu-links", "fabric.topology-missing",
                                 [](W& w) { Set(w, w.gpus[0], ot::kSwitchPdi, Bytes(143, 1)); }},
                      FabricCase{"switch_signs_another_pdi", "switch0.report.pdi", "gpu.pdi-mismatch",
                                 [](W& w) { Set(w, w.switches[0], ot::kDevicePdi, Bytes(8, 9)); }},
                      FabricCase{"switch_signs_no_pdi", "switch0.report.pdi", "gpu.pdi-mismatch",
                                 [](W& w) { Remove(w, w.switches[0], ot::kDevicePdi); }}),
    [](const auto& i) { return i.param.name; });

TEST(VerifyFabric, HardwareAndEmulatedDevicesDoNotMix) {
  SKIP_WITHOUT_VECTORS();
  FabricWorld w;
  const std::string dir = "nvidia/samples/";
  w.gpus[7].evidence = {"HOPPER", "", test::VectorHex(dir + "hopperAttestationReport.txt"),
                        test::VectorText(dir + "hopperCertChain.txt")};
  w.anchors.device_roots.push_back(BuiltinAnchors().device_roots[0]);
  EXPECT_EQ(CodeOf(w.Run(), "gpu7.chain.environment"), "");
  EXPECT_EQ(CodeOf(w.Run(), "fabric.same-environment"), "environment.mixed");
}

TEST(VerifyFabric, DevicesAreSortedByArchitecture) {
  const FabricEvidence sorted = FabricOf({{"LS10", "a", {}, ""}, {"HOPPER", "b", {}, ""}, {"LS10", "c", {}, ""}});
  ASSERT_EQ(sorted.switches.size(), 2u);
  EXPECT_EQ(sorted.switches[1].uuid, "c");
  ASSERT_EQ(sorted.gpus.size(), 1u);
}

struct SwitchCase {
  const char* name;
  const char* code;
  std::function<void(GpuWorld&)> change;
};
void PrintTo(const SwitchCase& c, std::ostream* out) { *out << c.name; }

class SwitchRefusals : public ::testing::TestWithParam<SwitchCase> {};

TEST_P(SwitchRefusals, SaysWhy) {
  static const GpuWorld healthy = SwitchWorld(0x70);
  GpuWorld world = healthy;
  ASSERT_TRUE(world.RunSwitch().accepted) << world.RunSwitch().ToJson();
  GetParam().change(world);
  world.evidence.arch = world.evidence.arch == "HOPPER" ? "LS10" : world.evidence.arch;
  const Verdict v = world.RunSwitch();
  EXPECT_FALSE(v.accepted);
  EXPECT_EQ(FirstCode(v), GetParam().code) << v.ToJson();
}

constexpr char kBiosRim[] = "NV_SWITCH_BIOS_5612_0002_890_9610550001";

// rule 1: switch
// rule 2: switch
// rule 4: switch
// rule 5: switch
// rule 13: switch
// rule 14: switch
// rule 17: switch
INSTANTIATE_TEST_SUITE_P(
    Switch, SwitchRefusals,
    ::testing::Values(
        SwitchCase{"no_nonce", "gpu.nonce-missing", [](GpuWorld& w) { w.options.nonce.clear(); }},
        SwitchCase{"other_nonce", "gpu.nonce-mismatch", [](GpuWorld& w) { w.options.nonce[31] ^= 1; }},
        SwitchCase{"signature_is_zero", "gpu.signature-invalid",
                   [](GpuWorld& w) { std::fill(w.evidence.report.end() - 96, w.evidence.report.end(), 0); }},
        SwitchCase{"a_signed_byte_changed", "gpu.signature-invalid", [](GpuWorld& w) { w.evidence.report[60] ^= 1; }},
        SwitchCase{"trailing_byte", "gpu.report-malformed", [](GpuWorld& w) { w.evidence.report.push_back(0); }},
        SwitchCase{"no_anchor", "gpu.untrusted-root", [](GpuWorld& w) { w.anchors.device_roots.clear(); }},
        SwitchCase{"four_certificates", "gpu.chain-malformed",
                   [](GpuWorld& w) {
                     w.device.pop_back();
                     w.evidence.certificate_chain = evidence::ChainPem(CertificatesOf(w.device));
                   }},
        SwitchCase{"expired", "gpu.chain-expired", [](GpuWorld& w) { w.now = ParseTime("2050-01-01").value(); }},
        SwitchCase{"no_revocation", "gpu.revocation-missing", [](GpuWorld& w) { w.DropOcsp(); }},
        SwitchCase{"revoked", "gpu.revoked",
                   [](GpuWorld& w) {
                     w.Answer("device1", {evidence::CertStatus::kRevoked, 1, kTestNow - std::chrono::hours(1)});
                   }},
        SwitchCase{"no_rim", "rim.not-found", [](GpuWorld& w) { w.collateral.rims.clear(); }},
        SwitchCase{"rim_of_another_version", "rim.version-mismatch",
                   [](GpuWorld& w) {
                     w.vbios_spec.colloquial_version = "96.10.55.00.02";
                     w.collateral.rims[kBiosRim] =
                         evidence::MakeRim(w.vbios_spec, w.rim[0].key, CertificatesOf(w.rim)).value();
                   }},
        SwitchCase{"measurement", "gpu.measurement-mismatch",
                   [](GpuWorld& w) {
                     w.report.measurements[30] = Bytes(48, 0xee);
                     w.Sign();
                   }},
        SwitchCase{"block_missing", "gpu.measurement-mismatch",
                   [](GpuWorld& w) {
                     w.report.measurements.erase(30);
                     w.Sign();
                   }},
        SwitchCase{"floor", "gpu.version-floor", [](GpuWorld& w) { w.options.switch_bios_floor = "96.10.56"; }},
        SwitchCase{"emulated", "environment.emulated",
                   [](GpuWorld& w) { w.anchors.insecure_accept_emulated = false; }}),
    [](const auto& i) { return i.param.name; });

// rule 3: switch
// rule 6: switch
// The key's curve is fixed by the profile; a switch's report has no debug state besides its measurements, so that debug
// firmware is one more value that no RIM knows.
TEST(VerifySwitch, OtherCurvesAndDebugFirmware) {
  GpuWorld w = SwitchWorld(0x72);
  const auto p256 = crypto::PrivateKey::Generate(crypto::KeyType::kP256);
  crypto::CertificateSpec spec;
  spec.subject = {{"CN", "LS_10 A01 FSP FMC LF"}};
  spec.key = p256.public_key();
  spec.not_before = kTestNow - std::chrono::hours(1), spec.not_after = kTestNow + std::chrono::hours(1);
  spec.digital_signature = true;
  GpuWorld other_curve = w;
  other_curve.device[0].certificate = crypto::MakeCertificate(spec, w.device[1].key, &w.device[1].certificate).value();
  other_curve.evidence.certificate_chain = evidence::ChainPem(CertificatesOf(other_curve.device));
  EXPECT_EQ(FirstCode(other_curve.RunSwitch()), "gpu.chain-invalid");
  w.report.measurements[0] = Bytes(48, 0xdb);
  w.Sign();
  w.evidence.arch = "LS10";
  EXPECT_EQ(FirstCode(w.RunSwitch()), "gpu.measurement-mismatch");
}

// rule 15: switch
TEST(VerifySwitch, LengthsAreStrict) {
  const GpuWorld w = SwitchWorld(0x73);
  for (size_t size = 0; size < w.evidence.report.size(); size += size < 64 ? 1 : 37) {
    GpuWorld cut = w;
    cut.evidence.report.resize(size);
    ASSERT_EQ(FirstCode(cut.RunSwitch()), "gpu.report-malformed") << size;
  }
  GpuWorld one_block_more = w;
  ++one_block_more.evidence.report[41];
  EXPECT_EQ(FirstCode(one_block_more.RunSwitch()), "gpu.report-malformed");
  GpuWorld twice = w;  // the second block's index is the first one's
  twice.evidence.report[45 + 55] = 1;
  EXPECT_EQ(FirstCode(twice.RunSwitch()), "gpu.report-malformed");
}

TEST(VerifySwitch, GpuOptionsDoNotReachIt) {
  GpuWorld w = SwitchWorld(0x71);
  w.options.driver_floor = "999";
  w.options.vbios_floor = "FF";
  w.options.minimum_svn[evidence::opaque_type::kFspUcodeSvn] = 5;
  EXPECT_TRUE(w.RunSwitch().accepted) << w.RunSwitch().ToJson();
}

}  // namespace
}  // namespace ccgpu::verify
