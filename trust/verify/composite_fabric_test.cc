// VerifyComposite of a pod that holds a whole machine in protected PCIe: eight GPUs and the four NVSwitches between
// them.
#include <gmock/gmock.h>

#include "base/encoding.h"
#include "base/json.h"
#include "trust/verify/testing/fabric.h"
#include "trust/verify/testing/tpm_world.h"

namespace ccgpu::verify {
namespace {

using ::testing::HasSubstr;
namespace ot = evidence::opaque_type;

const SnpWorld& HealthyCpu() {
  static const SnpWorld made;
  return made;
}

struct SetPod {
  SetPod() { Assemble(); }

  // `set` and `cpu` -> evidence, options, anchors.
  void Assemble() {
    evidence.cpu = cpu.evidence;
    evidence.gpus.clear();
    for (const auto* list : {&set.gpus, &set.switches}) {
      for (const GpuWorld& device : *list) evidence.gpus.push_back(device.evidence);
    }
    Commit();
    anchors = set.anchors;
    anchors.amd_roots = cpu.anchors.amd_roots;
    options.gpu = set.options.device;
    options.snp = cpu.options;
    options.report_data = cpu.options.report_data;
  }
  // The text that the CPU's report commits to says what evidence.gpus holds.
  void Commit() { evidence.additional_evidence = evidence::AdditionalEvidence(evidence.gpus); }
  Verdict Run(Cache* cache = nullptr) const {
    return VerifyComposite(evidence::Unverified(evidence), set.collateral, anchors, options, kTestNow, cache);
  }

  FabricWorld set;
  SnpWorld cpu = HealthyCpu();
  evidence::CompositeEvidence evidence;
  Anchors anchors;
  CompositeOptions options;
};

std::vector<std::string> UeidsOf(const SetPod& pod) {
  std::vector<std::string> out;
  for (const auto* list : {&pod.set.gpus, &pod.set.switches}) {
    for (const GpuWorld& device : *list) out.push_back(evidence::Ueid(device.device[0].certificate));
  }
  return out;
}

TEST(CompositeWithSwitches, HealthySetIsAccepted) {
  SetPod pod;
  pod.options.gpu_count = 8;
  pod.options.allowed_ueids = UeidsOf(pod);
  const Verdict v = pod.Run();
  ASSERT_TRUE(v.accepted) << v.ToStatus().error().ToString();
  EXPECT_EQ(v.environment, "emulated");
  EXPECT_EQ((*v.verified)->gpus.size(), 8u);
  EXPECT_EQ((*v.verified)->switches.size(), 4u);
  EXPECT_EQ((*v.verified)->cpu.tee, "snp");
  const Json claims = Json::parse(v.claims_json);
  EXPECT_EQ(claims["gpus"].size(), 8u);
  EXPECT_EQ(claims["gpus"][7]["x-nvidia-gpu-mode"], "ppcie");
  ASSERT_EQ(claims["switches"].size(), 4u);
  EXPECT_EQ(claims["switches"][3]["x-nvidia-device-type"], "nvswitch");
  EXPECT_EQ(claims["switches"][3]["x-nvidia-switch-gpu-pdis"].size(), 8u);
  EXPECT_THAT(claims["switches"][0]["protection_notes"].dump(), HasSubstr("plain text"));
  // Each device is named by its kind, and the set's rules are among the checks.
  EXPECT_EQ(CodeOf(v, "switch3.report.nonce"), "");
  EXPECT_EQ(CodeOf(v, "fabric.switch-links"), "");
  EXPECT_EQ(CodeOf(v, "composite.same-gpus"), "");
}

TEST(CompositeWithSwitches, TheListsOrderAndItsJsonDoNotMatter) {
  SetPod pod;
  std::rotate(pod.evidence.gpus.begin(), pod.evidence.gpus.begin() + 10, pod.evidence.gpus.end());
  pod.Commit();
  pod.evidence.nonce = Bytes(32, 1);
  pod.evidence = evidence::ParseComposite(evidence::EncodeComposite(pod.evidence)).value();
  const Verdict v = pod.Run();
  EXPECT_TRUE(v.accepted) << v.ToStatus().error().ToString();
  EXPECT_EQ(Json::parse(v.claims_json)["switches"].size(), 4u);
}

TEST(CompositeWithSwitches, ThreadsAndCacheDoNotChangeTheVerdict) {
  SetPod pod;
  pod.set.switches[1].report.measurements[7] = Bytes(48, 0xee);
  pod.set.Sign(pod.set.switches[1]);
  pod.Assemble();
  pod.options.threads = 1;
  const std::string alone = pod.Run().ToJson();
  EXPECT_THAT(alone, HasSubstr("gpu.measurement-mismatch"));
  Cache cache;
  for (const unsigned threads : {0u, 3u, 100u}) {
    pod.options.threads = threads;
    EXPECT_EQ(pod.Run(&cache).ToJson(), alone) << threads;
  }
}

struct SetCase {
  const char *name, *check, *code;
  std::function<void(SetPod&)> change;
};
void PrintTo(const SetCase& c, std::ostream* out) { *out << c.name; }
class SetRefusals : public ::testing::TestWithParam<SetCase> {};

TEST_P(SetRefusals, SaysWhy) {
  SetPod pod;
  Cache cache;
  ASSERT_TRUE(pod.Run(&cache).accepted) << "without the change";
  GetParam().change(pod);
  const Verdict v = pod.Run(&cache);
  EXPECT_FALSE(v.accepted);
  EXPECT_FALSE(v.verified.has_value());
  EXPECT_EQ(CodeOf(v, GetParam().check), GetParam().code) << v.ToStatus().error().ToString();
}

using P = SetPod;

// A switch of another machine, healthy in itself, that answers this pod's nonce.
GpuWorld SwitchOfAnotherSet(P& p) {
  FabricWorld other;
  GpuWorld device = SwitchWorld(0x66);
  std::vector<Bytes> pdis;
  for (uint8_t i = 0; i < 8; ++i) pdis.push_back(Bytes(8, static_cast<uint8_t>(0x90 + i)));
  device.report.opaque.Set(ot::kSwitchGpuPdis, GpuPdiField(pdis));
  other.Sign(device);
  p.set.collateral.rims.insert(device.collateral.rims.begin(), device.collateral.rims.end());
  for (const Bytes& answer : device.collateral.ocsp_responses) p.set.collateral.ocsp_responses.push_back(answer);
  return device;
}

// Out of protected PCIe, and honest about it.
void SetMode(P& p, GpuWorld& gpu, Bytes flag) {
  gpu.report.opaque.Set(ot::kFeatureFlag, std::move(flag));
  gpu.report.opaque.Set(ot::kProtectedPcieStatus, {0x55});
  p.set.Sign(gpu);
}

// rule 11: composite
INSTANTIATE_TEST_SUITE_P(
    Members, SetRefusals,
    ::testing::Values(SetCase{"a_switch_is_missing", "fabric.switch-count", "fabric.switch-count",
                              [](P& p) {
                                p.set.switches.pop_back();
                                p.Assemble();
                              }},
                      SetCase{"all_switches_are_missing", "composite.links", "composite.links-unproven",
                              [](P& p) {
                                p.set.switches.clear();
                                p.Assemble();
                              }},
                      SetCase{"all_gpus_are_missing", "fabric.gpu-count", "fabric.gpu-count",
                              [](P& p) {
                                p.set.gpus.clear();
                                p.Assemble();
                              }},
                      SetCase{"a_gpu_is_missing", "fabric.gpu-count", "fabric.gpu-count",
                              [](P& p) {
                                p.set.gpus.pop_back();
                                p.options.gpu_count = 7;  // what is asked for does not make seven GPUs a set
                                p.Assemble();
                              }},
                      SetCase{"a_missing_gpu_is_named_by_the_switches", "fabric.switch-links", "fabric.foreign-device",
                              [](P& p) {
                                p.set.gpus.pop_back();
                                p.Assemble();
                              }},
                      SetCase{"a_fifth_switch", "fabric.switch-count", "fabric.switch-count",
                              [](P& p) {
                                p.set.switches.push_back(SwitchOfAnotherSet(p));
                                p.Assemble();
                              }},
                      SetCase{"a_switch_of_another_set", "fabric.gpu-links", "fabric.foreign-device",
                              [](P& p) {
                                p.set.switches[2] = SwitchOfAnotherSet(p);
                                p.Assemble();
                              }},
                      SetCase{"that_switch_names_other_gpus_too", "fabric.switch-links", "fabric.foreign-device",
                              [](P& p) {
                                p.set.switches[2] = SwitchOfAnotherSet(p);
                                p.Assemble();
                              }},
                      SetCase{"one_switch_twice", "fabric.distinct-devices", "fabric.duplicate-device",
                              [](P& p) {
                                p.set.switches[1] = p.set.switches[0];
                                p.Assemble();
                              }},
                      SetCase{"one_gpu_twice", "fabric.distinct-devices", "fabric.duplicate-device",
                              [](P& p) {
                                p.set.gpus[1] = p.set.gpus[0];
                                p.Assemble();
                              }},
                      SetCase{"a_gpu_called_a_switch", "switch0.chain.profile", "gpu.chain-profile",
                              [](P& p) {
                                p.evidence.gpus[0].arch = "LS10";
                                p.Commit();
                              }},
                      SetCase{"a_link_is_down", "fabric.gpu-links", "fabric.missing-link",
                              [](P& p) {
                                std::vector<Bytes> pdis;
                                for (const GpuWorld& one : p.set.switches) pdis.push_back(PdiOf(one));
                                pdis.pop_back();
                                p.set.gpus[3].report.opaque.Set(ot::kSwitchPdi, SwitchPdiField(pdis));
                                p.set.Sign(p.set.gpus[3]);
                                p.Assemble();
                              }},
                      SetCase{"switches_do_not_count_as_gpus", "composite.gpu-count", "composite.gpu-count",
                              [](P& p) { p.options.gpu_count = 12; }},
                      SetCase{"a_switch_is_not_in_the_inventory", "fabric.inventory", "fabric.unknown-device",
                              [](P& p) {
                                p.options.allowed_ueids = UeidsOf(p);
                                p.options.allowed_ueids.pop_back();
                              }},
                      SetCase{"more_devices_than_any_machine_has", "composite.devices", "composite.too-many-devices",
                              [](P& p) {
                                p.evidence.gpus.resize(65, p.evidence.gpus[0]);
                                p.Commit();
                              }},
                      SetCase{"more_gpus_than_any_machine_has", "composite.devices", "composite.too-many-devices",
                              [](P& p) {
                                p.evidence.gpus.assign(65, p.evidence.gpus[0]);
                                p.Commit();
                              }}),
    [](const auto& i) { return i.param.name; });

// rule 1: composite
// rule 12: composite
INSTANTIATE_TEST_SUITE_P(
    Binding, SetRefusals,
    ::testing::Values(SetCase{"a_switch_answers_another_nonce", "switch1.report.nonce", "gpu.nonce-mismatch",
                              [](P& p) {
                                p.set.switches[1].report.nonce[0] ^= 1;
                                p.set.Sign(p.set.switches[1]);
                                p.Assemble();
                              }},
                      SetCase{"the_nonces_are_mixed", "fabric.same-nonce", "fabric.mixed-nonces",
                              [](P& p) {
                                p.set.gpus[6].report.nonce[0] ^= 1;
                                p.set.Sign(p.set.gpus[6]);
                                p.Assemble();
                              }},
                      SetCase{"the_whole_set_answered_another_pod", "switch3.report.nonce", "gpu.nonce-mismatch",
                              [](P& p) { p.options.gpu.nonce[31] ^= 1; }},
                      SetCase{"the_cpu_answers_another_challenge", "snp.report.data", "snp.report-data-mismatch",
                              [](P& p) { p.options.report_data[0] ^= 1; }},
                      SetCase{"a_switch_that_the_committed_text_does_not_name", "composite.same-gpus",
                              "composite.additional-evidence",
                              [](P& p) {
                                auto less = p.evidence.gpus;
                                less.pop_back();
                                p.evidence.additional_evidence = evidence::AdditionalEvidence(less);
                              }},
                      SetCase{"a_switch_only_in_the_committed_text", "composite.same-gpus",
                              "composite.additional-evidence", [](P& p) { p.evidence.gpus.pop_back(); }},
                      SetCase{"a_switch_with_other_firmware", "switch2.measurements", "gpu.measurement-mismatch",
                              [](P& p) {
                                p.set.switches[2].report.measurements[30] = Bytes(48, 0xee);
                                p.set.Sign(p.set.switches[2]);
                                p.Assemble();
                              }},
                      SetCase{"a_changed_byte_of_a_switch", "switch0.report.signature", "gpu.signature-invalid",
                              [](P& p) {
                                p.evidence.gpus[8].report[60] ^= 1;
                                p.Commit();
                              }}),
    [](const auto& i) { return i.param.name; });

INSTANTIATE_TEST_SUITE_P(Modes, SetRefusals,
                         ::testing::Values(SetCase{"one_gpu_in_single_mode", "fabric.mode", "fabric.mixed-modes",
                                                   [](P& p) {
                                                     SetMode(p, p.set.gpus[5], {0, 0});
                                                     p.Assemble();
                                                   }},
                                           SetCase{"all_gpus_in_single_mode", "fabric.mode", "fabric.mode",
                                                   [](P& p) {
                                                     for (GpuWorld& gpu : p.set.gpus) SetMode(p, gpu, {0, 0});
                                                     p.Assemble();
                                                   }},
                                           SetCase{"all_gpus_in_multi_mode", "fabric.mode", "fabric.mode",
                                                   [](P& p) {
                                                     for (GpuWorld& gpu : p.set.gpus) SetMode(p, gpu, {1, 0});
                                                     p.Assemble();
                                                   }},
                                           SetCase{"switches_beside_one_ordinary_gpu", "fabric.mode", "fabric.mode",
                                                   [](P& p) {
                                                     p.set.gpus.resize(1, p.set.gpus[0]);
                                                     SetMode(p, p.set.gpus[0], {0, 0});
                                                     p.Assemble();
                                                   }}),
                         [](const auto& i) { return i.param.name; });

// rule 17: composite
// A TPM that does not say EMULATED, under a pinned root, stands for real hardware.
TEST(CompositeWithSwitches, TheCpuIsOfTheSetsEnvironment) {
  const auto named = [](const char* name) {
    return [=](crypto::CertificateSpec& s) { s.subject = {{"O", "A vendor"}, {"CN", name}}; };
  };
  const SpecEdits real = {{"ak", named("key")}, {"ca", named("CA")}, {"root", named("root")}};
  SetPod whole, few;
  few.set.switches.clear();
  few.set.gpus.resize(2, few.set.gpus[0]);
  for (GpuWorld& gpu : few.set.gpus) SetMode(few, gpu, {0, 0});
  few.Assemble();
  for (const bool hardware : {false, true}) {
    TpmWorld cpu(hardware ? real : SpecEdits{});
    cpu.quote.extra_data = Bytes(64, 0x3c);
    cpu.Quote();
    for (SetPod* pod : {&whole, &few}) {
      pod->evidence.cpu = cpu.evidence;
      pod->anchors.tpm_roots = cpu.anchors.tpm_roots;
      pod->options.report_data = cpu.quote.extra_data;
      const Verdict v = pod->Run();
      EXPECT_EQ(v.accepted, !hardware) << v.ToJson();
      EXPECT_EQ(v.environment, hardware ? "hardware" : "emulated");
      EXPECT_EQ(CodeOf(v, pod == &whole ? "fabric.same-environment" : "composite.same-environment"),
                hardware ? "environment.mixed" : "");
    }
  }
}

}  // namespace
}  // namespace ccgpu::verify
