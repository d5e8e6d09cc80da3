// KeyReleasePolicy: reading it, and every check of a decision with its positive control.
#include "trust/policy/key_release.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/json.h"

namespace ccgpu::policy {
namespace {

using ::testing::StartsWith;

const std::string kHost(64, 'a'), kMeasurement(96, 'b');

std::string Document(const std::string& spec) {
  return "apiVersion: ccgpu.dev/v1alpha1\nkind: KeyReleasePolicy\nmetadata: {name: one}\nspec:\n" + spec;
}
std::string Everything() {
  return Document(
      "  resources: ['default/*']\n  environment: [emulated]\n  sandbox:\n    tee: snp\n    hostData: ['sha256:" +
      kHost + "']\n    measurements: [" + kMeasurement +
      "]\n    minTcb: {bootloader: 3, snp: 8, microcode: 115}\n  gpus:\n    min: 1\n    max: 2\n    modes: "
      "[hopper-cc]\n" +
      "    models: [GH100]\n    driverVersions: {min: '550.90'}\n    vbiosVersions: [96.00.9F.00.01]\n");
}
Json Claims() {
  const Json gpu = {{"mode", "hopper-cc"},
                    {"hwmodel", "GH100"},
                    {"x-nvidia-gpu-driver-version", "550.90.07"},
                    {"x-nvidia-gpu-vbios-version", "96.00.9F.00.01"}};
  return {{"environment", "emulated"},
          {"snp",
           {{"init_data", kHost},
            {"measurement", kMeasurement},
            {"policy_debug_allowed", false},
            {"reported_tcb_bootloader", 3},
            {"reported_tcb_snp", 8},
            {"reported_tcb_microcode", 200}}},
          {"gpus", {gpu, gpu}}};
}
KeyReleasePolicy Parsed(const std::string& text) {
  auto policy = ParseKeyReleasePolicy(text, "r.yaml");
  EXPECT_TRUE(policy.ok()) << (policy.ok() ? "" : policy.error().ToString());
  return policy.ok() ? *policy : KeyReleasePolicy();
}

TEST(Decide, AllowsWhatFits) {
  const Decision decision = Decide(Parsed(Everything()), Claims().dump());
  EXPECT_TRUE(decision.allow) << decision.ToJson();
  EXPECT_EQ(decision.FirstFailure(), nullptr);
  EXPECT_GE(decision.reasons.size(), 15u);
  const Json json = Json::parse(decision.ToJson());
  EXPECT_EQ(json["allow"], true);
  EXPECT_EQ(json["reasons"][0]["result"], "passed");
}

struct Change {
  const char* pointer;
  Json value;  // null: the claim is taken out
  const char *check, *code;
};
class DeniedClaims : public ::testing::TestWithParam<Change> {};
TEST_P(DeniedClaims, NamesTheCheck) {
  Json claims = Claims();
  const Json::json_pointer at(GetParam().pointer);
  if (GetParam().value.is_null()) claims.at(at.parent_pointer()).erase(at.back());
  else claims[at] = GetParam().value;
  const Decision decision = Decide(Parsed(Everything()), claims.dump());
  EXPECT_FALSE(decision.allow);
  ASSERT_NE(decision.FirstFailure(), nullptr);
  EXPECT_EQ(decision.FirstFailure()->check, GetParam().check);
  EXPECT_EQ(decision.ToError().code, GetParam().code);
  EXPECT_EQ(decision.ToError().subject, GetParam().check);
}
INSTANTIATE_TEST_SUITE_P(
    Claims, DeniedClaims,
    ::testing::Values(
        Change{"/environment", "hardware", "environment", "release.environment"},
        Change{"/environment", nullptr, "environment", "release.environment"},
        Change{"/environment", true, "environment", "release.environment"},
        Change{"/snp", nullptr, "sandbox.tee", "release.tee"},
        Change{"/snp/init_data", std::string(64, 'c'), "sandbox.hostData", "release.host-data"},
        Change{"/snp/init_data", nullptr, "sandbox.hostData", "release.host-data"},
        Change{"/snp/measurement", "", "sandbox.measurements", "release.measurement"},
        Change{"/snp/policy_debug_allowed", true, "sandbox.allowDebug", "release.debug"},
        Change{"/snp/policy_debug_allowed", nullptr, "sandbox.allowDebug", "release.debug"},
        Change{"/snp/policy_debug_allowed", "false", "sandbox.allowDebug", "release.debug"},
        Change{"/snp/reported_tcb_snp", 7, "sandbox.minTcb.snp", "release.tcb"},
        Change{"/snp/reported_tcb_snp", nullptr, "sandbox.minTcb.snp", "release.tcb"},
        Change{"/snp/reported_tcb_snp", -1, "sandbox.minTcb.snp", "release.tcb"},
        Change{"/gpus", Json::array(), "gpus.min", "release.gpu-count"},
        Change{"/gpus", nullptr, "gpus.min", "release.gpu-count"},
        Change{"/gpus/2", Claims()["gpus"][0], "gpus.max", "release.gpu-count"},
        Change{"/gpus/1/x-nvidia-gpu-mode", "ppcie", "gpus.protectedPcie", "release.protected-pcie"},
        Change{"/gpus/1/x-nvidia-gpu-mode", "mixed", "gpus.protectedPcie", "release.protected-pcie"},
        Change{"/gpus/1/x-nvidia-gpu-mode", true, "gpus.protectedPcie", "release.protected-pcie"},
        Change{"/gpus/1", "GH100", "gpus.protectedPcie", "release.protected-pcie"},
        Change{"/switches", Json::array({Json::object()}), "gpus.protectedPcie", "release.protected-pcie"},
        Change{"/switches", "LS10", "gpus.protectedPcie", "release.protected-pcie"},
        Change{"/gpus/1/mode", "devtools", "gpus[1].modes", "release.gpu-mode"},
        Change{"/gpus/0/mode", nullptr, "gpus[0].modes", "release.gpu-mode"},
        Change{"/gpus/1/hwmodel", "A100", "gpus[1].models", "release.gpu-model"},
        Change{"/gpus/1/x-nvidia-gpu-driver-version", "550.54.15", "gpus[1].driverVersions.min",
               "release.driver-version"},
        Change{"/gpus/1/x-nvidia-gpu-driver-version", "abc", "gpus[1].driverVersions.min", "release.driver-version"},
        Change{"/gpus/1/x-nvidia-gpu-driver-version", nullptr, "gpus[1].driverVersions.min", "release.driver-version"},
        Change{"/gpus/0/x-nvidia-gpu-vbios-version", "96.00.9F.00.02", "gpus[0].vbiosVersions",
               "release.vbios-version"}));

TEST(Decide, VersionsAreComparedNumberByNumber) {
  const KeyReleasePolicy policy = Parsed(Everything());
  for (const char* good : {"550.90", "550.90.0", "550.100", "1000.0"}) {
    Json claims = Claims();
    claims["gpus"][0]["x-nvidia-gpu-driver-version"] = good;
    EXPECT_TRUE(Decide(policy, claims.dump()).allow) << good;
  }
  for (const char* bad : {"550.9", "550", "99.99", "", "550.90x", "99999999999999999999.1"}) {
    Json claims = Claims();
    claims["gpus"][0]["x-nvidia-gpu-driver-version"] = bad;
    EXPECT_FALSE(Decide(policy, claims.dump()).allow) << bad;
  }
}

TEST(Decide, EmulatedMustBeNamed) {
  const KeyReleasePolicy policy = Parsed(Document("  sandbox: {hostData: [" + kHost + "]}\n"));
  EXPECT_EQ(Decide(policy, Claims().dump()).ToError().code, "release.environment");
  Json claims = Claims();
  claims["environment"] = "hardware";
  EXPECT_TRUE(Decide(policy, claims.dump()).allow);  // and without a gpus section no GPU is asked for
}

TEST(Decide, ModesOtherThanHopperCcMustBeNamed) {
  const std::string spec = "  environment: [emulated, hardware]\n  sandbox: {anyPod: true}\n  gpus: {min: 1";
  const KeyReleasePolicy silent = Parsed(Document(spec + "}\n")), apm = Parsed(Document(spec + ", modes: [apm]}\n"));
  Json claims = Claims();
  EXPECT_TRUE(Decide(silent, claims.dump()).allow);
  EXPECT_EQ(Decide(apm, claims.dump()).ToError().code, "release.gpu-mode");
  for (Json& gpu : claims["gpus"]) gpu["mode"] = "apm";
  EXPECT_EQ(Decide(silent, claims.dump()).ToError().code, "release.gpu-mode");
  EXPECT_TRUE(Decide(apm, claims.dump()).allow);
  for (Json& gpu : claims["gpus"]) gpu.erase("mode");
  EXPECT_EQ(Decide(silent, claims.dump()).ToError().code, "release.gpu-mode");
  claims["environment"] = "hardware";  // which says no mode, and has no evidence outside of confidential mode
  EXPECT_TRUE(Decide(silent, claims.dump()).allow);
  claims["gpus"][0]["mode"] = nullptr;
  EXPECT_EQ(Decide(silent, claims.dump()).ToError().code, "release.gpu-mode");
}

TEST(Decide, ProtectedPcieIsSaidAloud) {
  const std::string spec = "  environment: [emulated]\n  sandbox: {anyPod: true}\n";
  const KeyReleasePolicy without_gpus = Parsed(Document(spec)), silent = Parsed(Document(spec + "  gpus: {min: 2}\n")),
                         no = Parsed(Document(spec + "  gpus: {protectedPcie: false}\n")),
                         yes = Parsed(Document(spec + "  gpus: {min: 2, protectedPcie: true}\n"));
  Json claims = Claims(), plain = Claims();
  for (Json& gpu : claims["gpus"]) gpu["x-nvidia-gpu-mode"] = nullptr;  // a report that does not say
  claims["gpus"][1]["x-nvidia-gpu-mode"] = "mpt";
  claims["switches"] = Json::array();
  for (Json& gpu : plain["gpus"]) gpu["x-nvidia-gpu-mode"] = "ppcie";
  plain["switches"] = Json::array({Json::object(), Json::object()});
  for (const KeyReleasePolicy& policy : {without_gpus, silent, no}) {
    EXPECT_TRUE(Decide(policy, claims.dump()).allow) << Decide(policy, claims.dump()).ToJson();
    EXPECT_EQ(Decide(policy, plain.dump()).ToError().code, "release.protected-pcie");
  }
  EXPECT_TRUE(Decide(yes, plain.dump()).allow) << Decide(yes, plain.dump()).ToJson();
  EXPECT_TRUE(Decide(yes, claims.dump()).allow) << "it allows protected PCIe and does not demand it";
  plain["gpus"].erase(0);
  EXPECT_EQ(Decide(yes, plain.dump()).ToError().code, "release.gpu-count") << "switches are no GPUs";
}

TEST(Decide, AnyPodIsSaidAloud) {
  EXPECT_FALSE(ParseKeyReleasePolicy(Document("  sandbox: {}\n"), "r").ok());
  EXPECT_FALSE(ParseKeyReleasePolicy(Document("  sandbox: {anyPod: true, hostData: [" + kHost + "]}\n"), "r").ok());
  const KeyReleasePolicy policy = Parsed(Document("  environment: [emulated, hardware]\n  sandbox: {anyPod: true}\n"));
  EXPECT_TRUE(Decide(policy, Claims().dump()).allow);
}

KeyReleasePolicy TdxPolicy() {
  return Parsed(Document("  environment: [emulated]\n  sandbox:\n    tee: tdx\n    hostData: ['sha256:" + kHost +
                         "']\n    measurements: [" + kMeasurement + "]\n    rtmrs: {1: [" + kMeasurement +
                         "]}\n    tcbStatus: [UpToDate, SWHardeningNeeded]\n"));
}
Json TdxClaims() {
  return {{"environment", "emulated"},
          {"tdx",
           {{"init_data", kHost + std::string(32, '0')},
            {"mr_td", kMeasurement},
            {"rtmr_1", kMeasurement},
            {"tcb_status", "UpToDate"},
            {"td_attributes", {{"debug", false}}}}}};
}

TEST(Decide, TdxGuestsAreJudgedByTheirOwnNames) {
  const Decision decision = Decide(TdxPolicy(), TdxClaims().dump());
  EXPECT_TRUE(decision.allow) << decision.ToJson();
  // Evidence of one kind never fits a policy for another.
  EXPECT_EQ(Decide(TdxPolicy(), Claims().dump()).ToError().code, "release.tee");
  EXPECT_EQ(Decide(Parsed(Everything()), TdxClaims().dump()).ToError().code, "release.tee");
  const Change changes[] = {{"/tdx/init_data", kHost, "sandbox.hostData", "release.host-data"},
                            {"/tdx/init_data", kHost + std::string(32, '1'), "sandbox.hostData", "release.host-data"},
                            {"/tdx/mr_td", kHost, "sandbox.measurements", "release.measurement"},
                            {"/tdx/td_attributes/debug", true, "sandbox.allowDebug", "release.debug"},
                            {"/tdx/td_attributes", nullptr, "sandbox.allowDebug", "release.debug"},
                            {"/tdx/rtmr_1", std::string(96, '0'), "sandbox.rtmrs.1", "release.rtmr"},
                            {"/tdx/rtmr_1", nullptr, "sandbox.rtmrs.1", "release.rtmr"},
                            {"/tdx/tcb_status", "OutOfDate", "sandbox.tcbStatus", "release.tcb"},
                            {"/tdx/tcb_status", nullptr, "sandbox.tcbStatus", "release.tcb"}};
  for (const Change& change : changes) {
    Json claims = TdxClaims();
    const Json::json_pointer at(change.pointer);
    if (change.value.is_null()) claims.at(at.parent_pointer()).erase(at.back());
    else claims[at] = change.value;
    const Decision refused = Decide(TdxPolicy(), claims.dump());
    ASSERT_FALSE(refused.allow) << change.pointer;
    EXPECT_EQ(refused.FirstFailure()->check, change.check);
    EXPECT_EQ(refused.ToError().code, change.code);
  }
}

TEST(Decide, GuestsWithATpmAreJudgedByTheirRegisters) {
  const KeyReleasePolicy policy =
      Parsed(Document("  environment: [emulated]\n  sandbox:\n    tee: tpm\n    hostData: ['sha256:" + kHost +
                      "']\n    pcrs: {4: [" + kHost + "], 12: [" + kHost + "]}\n"));
  const std::string pcr8 = HexEncode(crypto::Sha256(Concat({Bytes(32), HexDecode(kHost).value()})));
  const Json claims = {{"environment", "emulated"}, {"tpm", {{"init_data", pcr8}, {"pcr04", kHost}, {"pcr12", kHost}}}};
  EXPECT_TRUE(Decide(policy, claims.dump()).allow) << Decide(policy, claims.dump()).ToJson();
  const Change changes[] = {{"/tpm/init_data", kHost, "sandbox.hostData", "release.host-data"},
                            {"/tpm/pcr04", pcr8, "sandbox.pcrs.4", "release.pcr"},
                            {"/tpm/pcr12", nullptr, "sandbox.pcrs.12", "release.pcr"}};
  for (const Change& change : changes) {
    Json changed = claims;
    const Json::json_pointer at(change.pointer);
    if (change.value.is_null()) changed.at(at.parent_pointer()).erase(at.back());
    else changed[at] = change.value;
    const Decision refused = Decide(policy, changed.dump());
    ASSERT_FALSE(refused.allow) << change.pointer;
    EXPECT_EQ(refused.FirstFailure()->check, change.check);
    EXPECT_EQ(refused.ToError().code, change.code);
  }
  EXPECT_EQ(Decide(policy, TdxClaims().dump()).ToError().code, "release.tee");
  for (const std::string& bad : std::vector<std::string>{
           "tee: snp, pcrs: {4: [" + kHost + "]}", "tee: tpm, measurements: [" + kMeasurement + "]",
           "tee: tpm, pcrs: {24: [" + kHost + "]}", "tee: tpm, pcrs: {4: [00]}"})
    EXPECT_FALSE(ParseKeyReleasePolicy(Document("  sandbox: {anyPod: true, " + bad + "}\n"), "r").ok()) << bad;
}

TEST(Decide, NonsenseIsDenied) {
  const KeyReleasePolicy policy = Parsed(Everything());
  for (const char* text : {"", "{}", "[]", "null", "1", "{\"environment\":\"emulated\"",
                           R"({"environment":"emulated","snp":[],"gpus":{}})"}) {
    EXPECT_FALSE(Decide(policy, text).allow) << text;
  }
  EXPECT_EQ(Decision().ToError().code, "release.refused");
  EXPECT_FALSE(Decide(KeyReleasePolicy(), Claims().dump()).allow);  // a policy that was never parsed lets nobody in
}

TEST(AppliesTo, Patterns) {
  EXPECT_TRUE(AppliesTo(Parsed(Everything()), "default/test/one"));
  EXPECT_FALSE(AppliesTo(Parsed(Everything()), "other/test/one"));
  EXPECT_TRUE(AppliesTo(Parsed(Document("  sandbox: {anyPod: true}\n")), "other/test/one"));
}

struct Bad {
  std::string spec, where;
};
class RefusedReleasePolicy : public ::testing::TestWithParam<Bad> {};
TEST_P(RefusedReleasePolicy, WithItsPosition) {
  auto policy = ParseKeyReleasePolicy(Document(GetParam().spec), "r.yaml");
  ASSERT_FALSE(policy.ok());
  EXPECT_THAT(policy.error().subject, StartsWith("r.yaml:" + GetParam().where)) << policy.error().ToString();
}
INSTANTIATE_TEST_SUITE_P(
    Documents, RefusedReleasePolicy,
    ::testing::Values(Bad{"  environment: [emulatd]\n  sandbox: {anyPod: true}\n", "5:16: spec.environment"},
                      Bad{"  environment: []\n  sandbox: {anyPod: true}\n", "5:16"},
                      Bad{"  sandbox: {hostData: [xyz]}\n", "5:23: spec.sandbox.hostData"},
                      Bad{"  sandbox: {hostData: []}\n", "5:23"}, Bad{"  sandbox: {tee: sgx, anyPod: true}\n", "5:18"},
                      Bad{"  sandbox: {tee: tdx, anyPod: true, minTcb: {snp: 1}}\n", "5:45"},
                      Bad{"  sandbox: {anyPod: true, tcbStatus: [UpToDate]}\n", "5:38"},
                      Bad{"  sandbox: {tee: tdx, anyPod: true, tcbStatus: [Revoked]}\n", "5:48"},
                      Bad{"  sandbox: {tee: tdx, anyPod: true, rtmrs: {4: []}}\n", "5:45"},
                      Bad{"  sandbox: {anyPod: true, minTcb: {snp: 256}}\n", "5:41"},
                      Bad{"  sandbox: {anyPod: true, minTcb: {spn: 1}}\n", "5:36"},
                      Bad{"  sandbox: {anyPod: true, measurments: []}\n", "5:27"},
                      Bad{"  sandbox: {anyPod: true}\n  gpus: {min: 3, max: 2}\n", "6:15"},
                      Bad{"  sandbox: {anyPod: true}\n  gpus: {modes: [off]}\n", "6:17"},
                      Bad{"  sandbox: {anyPod: true}\n  gpus: {protectedPcie: often}\n", "6:25"},
                      Bad{"  sandbox: {anyPod: true}\n  gpus: {driverVersions: {min: abc}}\n", "6:32"},
                      Bad{"  sandbox: {anyPod: true}\n  gpu: {}\n", "6:3"}, Bad{"  gpus: {min: 1}\n", "5:3"}));

}  // namespace
}  // namespace ccgpu::policy
