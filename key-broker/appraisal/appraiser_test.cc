#include "key-broker/appraisal/appraiser.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/json.h"
#include "key-broker/testing/test_pod.h"
#include "trust/kbs/binding.h"

namespace ccgpu::broker {
namespace {

using verify::kTestNow;

const std::string kNonce = Base64Encode(Bytes(32, 0x11));

struct World {
  explicit World(size_t gpus = 1) : World(TestPod(gpus)) {}
  explicit World(TestPod of)
      : pod(std::move(of)), vendor(pod), collateral({}, vendor), appraiser(pod.Anchors(), collateral) {}
  Appraisal Run(const kbs::AttestRequest& request, TimePoint now = kTestNow) {
    return appraiser.Appraise("snp", request, now);
  }
  TestPod pod;
  TestVendor vendor;
  HttpCollateral collateral;
  EvidenceAppraiser appraiser;
};

TEST(AppraiserTest, HealthyPods) {
  for (size_t gpus : {0, 1, 2}) {
    World world(gpus);
    const Appraisal appraisal = world.Run(world.pod.Answer(kNonce));
    ASSERT_TRUE(appraisal.accepted) << gpus << ": " << appraisal.why.ToString() << appraisal.failed_json;
    EXPECT_EQ(appraisal.environment, "emulated");
    ASSERT_EQ(appraisal.submods.size(), gpus + 1);
    EXPECT_EQ(appraisal.submods[0].name, "cpu0");
    if (gpus == 2) {
      EXPECT_EQ(appraisal.submods[2].name, "gpu1");
    }
    for (const auto& submod : appraisal.submods) {
      EXPECT_TRUE(Json::parse(submod.annotated_evidence_json).is_object());
      EXPECT_EQ(kbs::TrustStatus(submod.vector), "contraindicated") << "emulated hardware must never look affirming";
    }
    EXPECT_EQ(Json::parse(appraisal.claims_json)["gpus"].size(), gpus);
  }
}

TEST(AppraiserTest, WholeMachineWithItsSwitches) {
  World world(TestPod::WithSwitches());
  const Appraisal appraisal = world.Run(world.pod.Answer(kNonce));
  ASSERT_TRUE(appraisal.accepted) << appraisal.why.ToString() << appraisal.failed_json;
  ASSERT_EQ(appraisal.submods.size(), 13u);
  EXPECT_EQ(appraisal.submods[8].name, "gpu7");
  EXPECT_EQ(appraisal.submods[12].name, "switch3");
  EXPECT_EQ(Json::parse(appraisal.submods[12].annotated_evidence_json)["nvidia"]["bios_version"], "96.10.55.00.01");
  EXPECT_EQ(Json::parse(appraisal.claims_json)["switches"].size(), 4u);

  World without(TestPod::WithSwitches());
  without.pod.gpus.resize(8, without.pod.gpus[0]);
  EXPECT_EQ(without.Run(without.pod.Answer(kNonce)).why.code, "composite.links-unproven");
  World many(TestPod::WithSwitches());
  many.pod.gpus.resize(17, many.pod.gpus[0]);
  EXPECT_EQ(many.Run(many.pod.Answer(kNonce)).why.code, "attest.too-many-gpus");
}

struct Case {
  const char* name;
  const char* code;
  std::function<kbs::AttestRequest(World&)> request;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
class AppraiserRefusals : public testing::TestWithParam<Case> {};

TEST_P(AppraiserRefusals, SaysWhy) {
  World world(2);
  const Appraisal appraisal = world.Run(GetParam().request(world));
  EXPECT_FALSE(appraisal.accepted);
  EXPECT_EQ(appraisal.why.code, GetParam().code) << appraisal.why.ToString();
  EXPECT_TRUE(appraisal.submods.empty());
}

INSTANTIATE_TEST_SUITE_P(
    Evidence, AppraiserRefusals,
    testing::Values(Case{"old_evidence_with_a_new_nonce", "snp.report-data-mismatch",
                         [](World& s) {
                           auto request = s.pod.Answer(kNonce);
                           request.nonce = Base64Encode(Bytes(32, 0x22));
                           return request;
                         }},
                    Case{"evidence_of_another_key", "snp.report-data-mismatch",
                         [](World& s) { return s.pod.Answer(kNonce, kbs::TeeKey::Generate().jwk); }},
                    Case{"gpu_evidence_taken_away", "snp.report-data-mismatch",
                         [](World& s) {
                           auto request = s.pod.Answer(kNonce);
                           request.additional_evidence = "";
                           return request;
                         }},
                    Case{"gpu_bound_to_another_nonce", "gpu.nonce-mismatch",
                         [](World& s) {
                           // The CPU signs over the old GPU evidence: only the GPU's own nonce tells.
                           auto old = s.pod.Answer(Base64Encode(Bytes(32, 0x22)));
                           auto request = s.pod.Answer(kNonce);
                           request.additional_evidence = old.additional_evidence;
                           s.pod.cpu.report.report_data = kbs::SnpReportData(
                               kbs::PrimaryReportData(kNonce, s.pod.key.jwk, old.additional_evidence));
                           s.pod.cpu.Sign();
                           request.primary_evidence_json = evidence::SnpEvidenceToJson(s.pod.cpu.evidence);
                           return request;
                         }},
                    Case{"initdata_replaced", "snp.host-data-mismatch",
                         [](World& s) {
                           auto request = s.pod.Answer(kNonce);
                           *request.init_data += "# one comment more\n";
                           return request;
                         }},
                    Case{"initdata_broken", "initdata.bad-toml",
                         [](World& s) {
                           auto request = s.pod.Answer(kNonce);
                           request.init_data = "version = ";
                           return request;
                         }},
                    Case{"no_report", "evidence.malformed",
                         [](World& s) {
                           auto request = s.pod.Answer(kNonce);
                           request.primary_evidence_json = "{}";
                           return request;
                         }},
                    Case{"nonce_no_base64", "input.bad-base64",
                         [](World& s) {
                           auto request = s.pod.Answer(kNonce);
                           request.nonce = "?";
                           return request;
                         }}),
    [](const auto& info) { return info.param.name; });

TEST(AppraiserTest, OtherTees) {
  World world;
  EXPECT_EQ(world.appraiser.Appraise("sample", world.pod.Answer(kNonce), kTestNow).why.code, "attest.unsupported-tee");
}

// rule 17: composite
TEST(AppraiserTest, EmulatedNeedsTheFlagAndTheRoots) {
  TestPod pod;
  TestVendor vendor(pod);
  HttpCollateral collateral({}, vendor);
  verify::Anchors anchors = pod.Anchors();
  anchors.insecure_accept_emulated = false;
  EXPECT_EQ(EvidenceAppraiser(anchors, collateral).Appraise("snp", pod.Answer(kNonce), kTestNow).why.code,
            "environment.emulated");
  const Appraisal stranger =
      EvidenceAppraiser(verify::BuiltinAnchors(), collateral).Appraise("snp", pod.Answer(kNonce), kTestNow);
  EXPECT_FALSE(stranger.accepted);
  EXPECT_EQ(vendor.fetches, 0) << "evidence that is worth nothing makes the broker send nothing";
}

// rule 14: gpu
TEST(AppraiserTest, RevocationIsNoticedWhenTheAnswerIsOld) {
  World world;
  ASSERT_TRUE(world.Run(world.pod.Answer(kNonce)).accepted);
  world.vendor.revoked_level = "device1";
  EXPECT_TRUE(world.Run(world.pod.Answer(kNonce), kTestNow + std::chrono::seconds(9)).accepted)
      << "ocspLifetime is 10 s";
  EXPECT_EQ(world.Run(world.pod.Answer(kNonce), kTestNow + std::chrono::seconds(10)).why.code, "gpu.revoked");
}

TEST(CollateralTest, IsKeptAndFetchedAgain) {
  World world;
  ASSERT_TRUE(world.Run(world.pod.Answer(kNonce)).accepted);
  const int first = world.vendor.fetches;
  EXPECT_GT(first, 0);
  ASSERT_TRUE(world.Run(world.pod.Answer(kNonce)).accepted);
  EXPECT_EQ(world.vendor.fetches, first);
  ASSERT_TRUE(world.Run(world.pod.Answer(kNonce), kTestNow + std::chrono::seconds(11)).accepted);
  EXPECT_GT(world.vendor.fetches, first) << "OCSP answers";
  EXPECT_LT(world.vendor.fetches, 2 * first) << "but not RIMs";
}

// rule 14: gpu, rim
TEST(CollateralTest, ServiceDownIsARefusalThatSaysSo) {
  World world;
  world.vendor.down = true;
  const Appraisal appraisal = world.Run(world.pod.Answer(kNonce));
  EXPECT_FALSE(appraisal.accepted);
  EXPECT_NE(appraisal.why.text.find("collateral."), std::string::npos) << appraisal.why.ToString();
  world.vendor.down = false;
  EXPECT_TRUE(world.Run(world.pod.Answer(kNonce)).accepted) << "failures are not kept";
}

TEST(CollateralTest, EvidenceCannotSteerTheRequests) {
  // A device version that would leave the RIM service's folder.
  World world;
  world.pod.gpus[0].report.opaque.SetText(evidence::opaque_type::kDriverVersion, "../../admin?x=");
  world.pod.gpus[0].Sign();
  FoundCollateral found = world.collateral.For({world.pod.gpus[0].evidence}, true, kTestNow);
  ASSERT_FALSE(found.problems.empty());
  EXPECT_EQ(found.problems[0].code, "collateral.rim-unavailable");
}

}  // namespace
}  // namespace ccgpu::broker
