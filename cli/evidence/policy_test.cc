// EvidencePolicy: each field is read, mistakes are named with their place, and what is asked for and missing refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/evidence/evidence_policy.h"
#include "cli/evidence/format.h"

namespace ccgpu::cli {
namespace {

using ::testing::HasSubstr;

const std::string kHead = "apiVersion: ccgpu.dev/v1alpha1\nkind: EvidencePolicy\nspec:\n";

verify::Verdict Accepted(const std::string& claims, const std::string& environment = "hardware") {
  verify::Verdict out;
  out.accepted = true;
  out.environment = environment;
  out.claims_json = claims;
  return out;
}

bool Passes(const std::string& spec, verify::Verdict verdict, const std::string& format = "composite") {
  auto policy = ParseEvidencePolicy(kHead + spec, "p.yaml");
  EXPECT_TRUE(policy.ok()) << spec << (policy.ok() ? "" : policy.error().ToString());
  if (policy.ok()) ApplyPolicy(*policy, format, verdict);
  if (!verdict.accepted) {
    EXPECT_EQ(verdict.FirstFailure()->reason.code, "policy.not-accepted");
  }
  return verdict.accepted;
}

TEST(EvidencePolicyFile, ReachesTheVerifiersOptions) {
  auto policy =
      ParseEvidencePolicy(kHead +
                              "  gpus: {driverFloor: '550.90', requireRevocation: false, revocationMaxAgeHours: 2}\n"
                              "  snp: {vmpl: 2, allowDebug: true, minTcb: {snp: 8, microcode: 115}, minAbi: {major: 1, "
                              "minor: 51}, products: [Genoa]}\n",
                          "p.yaml");
  ASSERT_TRUE(policy.ok()) << policy.error().ToString();
  EXPECT_EQ(policy->gpu.driver_floor, "550.90");
  EXPECT_FALSE(policy->gpu.require_revocation);
  EXPECT_EQ(policy->gpu.revocation_max_age, std::chrono::hours(2));
  EXPECT_EQ(policy->snp.vmpl, 2u);
  EXPECT_TRUE(policy->snp.allow_debug);
  EXPECT_EQ(policy->snp.minimum_tcb->microcode, 115);
  EXPECT_EQ(policy->snp.minimum_abi_minor, 51);
  EXPECT_THAT(policy->snp.products, ::testing::ElementsAre("Genoa"));
  const EvidencePolicy strict;
  auto empty = ParseEvidencePolicy(kHead + "  gpus: {}\n", "p.yaml");
  EXPECT_EQ(empty->gpu.require_revocation, strict.gpu.require_revocation);
  EXPECT_EQ(empty->snp.allow_debug, false);
}

TEST(EvidencePolicyFile, MistakesHaveAPlace) {
  for (const auto& [spec, wanted] :
       std::vector<std::pair<std::string, std::string>>{{"  gpu: {}\n", "p.yaml:4:"},
                                                        {"  gpus: {mode: [apm]}\n", "p.yaml:4:10"},
                                                        {"  gpus: {modes: []}\n", "p.yaml:4:17"},
                                                        {"  gpus: {modes: [fast]}\n", "\"fast\" is not one of"},
                                                        {"  gpus: {min: 3, max: 2}\n", "p.yaml:4:15"},
                                                        {"  snp: {vmpl: 4}\n", "between 0 and 3"},
                                                        {"  snp: {measurements: [abc]}\n", "96 hex digits"},
                                                        {"  formats: [pdf]\n", "composite"},
                                                        {"  environment: [cloud]\n", "hardware, emulated"},
                                                        {"  token: {worstStatus: none}\n", "p.yaml:4:"}}) {
    auto policy = ParseEvidencePolicy(kHead + spec, "p.yaml");
    ASSERT_FALSE(policy.ok()) << spec;
    EXPECT_THAT(policy.error().ToString(), HasSubstr(wanted)) << spec;
  }
}

TEST(EvidencePolicyFile, AsksTheClaims) {
  const std::string claims =
      R"({"snp":{"measurement":"00","init_data":")" + std::string(64, 'a') +
      R"("},"gpus":[{"mode":"hopper-cc","hwmodel":"GH100","ueid":"1","x-nvidia-gpu-vbios-version":"96"}]})";
  EXPECT_TRUE(Passes("  formats: [composite]\n  environment: [hardware]\n", Accepted(claims)));
  EXPECT_FALSE(Passes("  formats: [gpu-report]\n", Accepted(claims)));
  EXPECT_FALSE(Passes("  environment: [hardware]\n", Accepted(claims, "emulated")));
  EXPECT_TRUE(Passes("  gpus: {min: 1, max: 1, modes: [hopper-cc], ueids: ['1', '2']}\n", Accepted(claims)));
  EXPECT_FALSE(Passes("  gpus: {min: 2}\n", Accepted(claims)));
  EXPECT_FALSE(Passes("  gpus: {modes: [apm]}\n", Accepted(claims)));
  EXPECT_FALSE(Passes("  gpus: {ueids: ['2']}\n", Accepted(claims)));
  EXPECT_TRUE(Passes("  snp: {hostData: ['sha256:" + std::string(64, 'A') + "']}\n", Accepted(claims)));
  EXPECT_FALSE(Passes("  snp: {hostData: ['" + std::string(64, 'b') + "']}\n", Accepted(claims)));
  EXPECT_FALSE(Passes("  snp: {measurements: ['" + std::string(96, 'b') + "']}\n", Accepted(claims)));
}

TEST(EvidencePolicyFile, ProtectedPcieIsSaidAloud) {
  const std::string spt = R"({"gpus":[{"x-nvidia-gpu-mode":"spt"},{"x-nvidia-gpu-mode":null},{}]})",
                    ppcie = R"({"gpus":[{"x-nvidia-gpu-mode":"ppcie"}],"switches":[{}]})",
                    one = R"({"hwmodel":"GH100","x-nvidia-gpu-mode":"ppcie"})";
  for (const char* silent : {"  gpus: {min: 1}\n", "  environment: [hardware]\n", "  gpus: {protectedPcie: false}\n"}) {
    EXPECT_TRUE(Passes(silent, Accepted(spt))) << silent;
    EXPECT_FALSE(Passes(silent, Accepted(ppcie))) << silent;
    EXPECT_FALSE(Passes(silent, Accepted(one), "gpu-report")) << silent;
  }
  for (const std::string& claims : {spt, ppcie, one})
    EXPECT_TRUE(Passes("  gpus: {protectedPcie: true}\n", Accepted(claims)));
  verify::Verdict without_file = Accepted(ppcie);
  ApplyPolicy(EvidencePolicy(), "composite", without_file);
  EXPECT_TRUE(without_file.accepted) << "who names no policy asks whether it is genuine";
}

TEST(EvidencePolicyFile, WhatTheEvidenceCannotAnswerRefuses) {
  EXPECT_FALSE(Passes("  gpus: {modes: [hopper-cc]}\n", Accepted("{}")));
  EXPECT_FALSE(Passes("  snp: {hostData: ['" + std::string(64, 'b') + "']}\n", Accepted("{}")));
  EXPECT_FALSE(Passes("  gpus: {modes: [hopper-cc]}\n", Accepted(R"({"gpus":[{}]})")));
  verify::Verdict refused = Accepted("{}");
  refused.accepted = false;
  auto policy = ParseEvidencePolicy(kHead + "  formats: [composite]\n", "p.yaml");
  ApplyPolicy(*policy, "composite", refused);
  EXPECT_FALSE(refused.accepted);
}

TEST(EvidencePolicyFile, TheExampleIsRead) {
  auto text = ReadFile(std::string(CCGPU_SOURCE_DIR) + "/manifests/evidence-policy.yaml");
  ASSERT_TRUE(text.ok());
  auto policy = ParseEvidencePolicy(*text, "evidencepolicy.yaml");
  ASSERT_TRUE(policy.ok()) << policy.error().ToString();
  EXPECT_EQ(policy->gpu.driver_floor, "550.90.07");
}

// The schema that editors use and the parser know the same formats and fields.
TEST(EvidencePolicyFile, TheSchemaKnowsTheSame) {
  auto text = ReadFile(std::string(CCGPU_SOURCE_DIR) + "/manifests/schemas/evidencepolicy.json");
  ASSERT_TRUE(text.ok());
  auto schema = ParseJson(*text, "schema");
  ASSERT_TRUE(schema.ok()) << schema.error().ToString();
  const Json& spec = (*schema)["properties"]["spec"]["properties"];
  std::vector<std::string> formats;
  for (const Format& format : Formats()) formats.emplace_back(format.name);
  EXPECT_THAT(spec["formats"]["items"]["enum"].get<std::vector<std::string>>(),
              ::testing::UnorderedElementsAreArray(formats));
  std::string all;
  for (const auto& [section, value] : spec.items()) {
    if (!value.contains("properties")) continue;
    all += "  " + section + ":\n";
    for (const auto& [field, type] : value["properties"].items()) {
      const std::string kind = type.value("type", "");
      if (type.contains("$ref")) {
        const std::string ref = type["$ref"];
        const std::string value = ref.ends_with("version")   ? "'1.2'"
                                  : ref.ends_with("digest")  ? "'" + std::string(96, '0') + "'"
                                  : ref.ends_with("sixteen") ? "'" + std::string(32, '0') + "'"
                                                             : "1";
        all += "    " + field + ": " + value + "\n";
      } else if (kind == "boolean") {
        all += "    " + field + ": true\n";
      } else if (kind == "integer") {
        all += "    " + field + ": 1\n";
      } else if (kind == "object") {
        all += "    " + field + ": {}\n";
      }
    }
  }
  auto policy = ParseEvidencePolicy(kHead + all, "all.yaml");
  EXPECT_TRUE(policy.ok()) << policy.error().ToString() << "\n" << all;
}

}  // namespace
}  // namespace ccgpu::cli
