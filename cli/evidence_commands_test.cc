// `ccgpu evidence show|verify` on evidence of an emulated vendor: verdict, exit code, and what each option changes.
#include "cli/evidence_commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "base/testing/temp_dir.h"
#include "cli/commands.h"
#include "cli/seal.h"
#include "collateral/bundle.h"
#include "trust/kbs/binding.h"
#include "trust/verify/testing/fabric.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::cli {
namespace {

using ::testing::HasSubstr;

// One pod, bound as an agent binds it: with one GPU, or with whatever devices a test has.
struct PodWorld {
  verify::GpuWorld gpu;
  verify::SnpWorld snp;
  Bytes nonce = Bytes(32, 7);
  std::string init_data;

  explicit PodWorld(uint32_t gpus = 1) {
    policy::PodPolicy policy;
    policy.pod_name = "demo";
    policy.gpus.count = gpus;
    policy::ContainerPolicy app;
    app.name = "app";
    app.image = "i";
    app.rootfs_digest = "sha256:" + std::string(64, '0');
    app.args = {"x"};
    app.gpus = gpus;
    policy.containers = {app};
    init_data = MakeInitData(policy, {});
  }

  evidence::CompositeEvidence Evidence() { return EvidenceOf({&gpu}); }
  evidence::CompositeEvidence EvidenceOf(const std::vector<verify::GpuWorld*>& devices) {
    evidence::CompositeEvidence out;
    const kbs::PublicJwk jwk = *kbs::MakeJwk(crypto::PrivateKey::Generate(crypto::KeyType::kP256).public_key());
    out.nonce = nonce;
    out.tee_pubkey = jwk.ToJson();
    for (verify::GpuWorld* device : devices) {
      device->report.nonce = kbs::GpuNonce(kbs::DeviceReportData(Base64Encode(nonce), jwk));
      device->Sign();
      out.gpus.push_back(device->evidence);
      out.gpus.back().uuid = "GPU-" + std::to_string(out.gpus.size());
      out.collateral.rims.insert(device->collateral.rims.begin(), device->collateral.rims.end());
      const auto& answers = device->collateral.ocsp_responses;
      out.collateral.ocsp_responses.insert(out.collateral.ocsp_responses.end(), answers.begin(), answers.end());
    }
    out.additional_evidence = evidence::AdditionalEvidence(out.gpus);
    snp.report.report_data =
        kbs::SnpReportData(kbs::PrimaryReportData(Base64Encode(nonce), jwk, out.additional_evidence));
    snp.report.host_data = crypto::Sha256(AsBytes(init_data));
    snp.Sign();
    out.cpu = snp.evidence;
    out.init_data = init_data;
    out.collateral.crls = snp.collateral.crls;
    return out;
  }
};

class EvidenceCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    evidence_ = world_.Evidence();
    std::string roots = world_.gpu.device.back().certificate.Pem() + world_.gpu.rim.back().certificate.Pem() +
                        world_.snp.chain.back().certificate.Pem();
    ASSERT_TRUE(WriteFileAtomic(dir_ / "roots.pem", roots).ok());
    Write();
  }
  void Write() { ASSERT_TRUE(WriteFileAtomic(dir_ / "ev.json", evidence::EncodeComposite(evidence_)).ok()); }

  int Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"ccgpu", "--state", dir_ / "state"});
    std::vector<const char*> argv;
    for (const auto& word : words) argv.push_back(word.c_str());
    out_.str("");
    err_.str("");
    crypto::SystemRandom random;
    const ManualClock clock(verify::kTestNow);
    return Main(static_cast<int>(argv.size()), argv.data(), "0", out_, err_, clock, random);
  }
  int Verify(std::vector<std::string> more = {}) {
    std::vector<std::string> words = {
        "--json", "evidence", "verify", dir_ / "ev.json", "--root", dir_ / "roots.pem", "--insecure-accept-emulated"};
    words.insert(words.end(), more.begin(), more.end());
    return Run(words);
  }
  // The reason codes of the failed checks, as scripts read them.
  std::vector<std::string> Failed() {
    std::vector<std::string> out;
    const Json answer = Json::parse(out_.str(), nullptr, false);
    if (!answer.is_object() || !answer.contains("checks")) return {"no JSON: " + out_.str()};
    for (const Json& check : answer["checks"]) {
      if (check["result"] == "failed")
        out.push_back(check["reason"].is_string() ? check["reason"].get<std::string>() : check["reason"].dump());
    }
    return out;
  }

  PodWorld world_;
  evidence::CompositeEvidence evidence_;
  const TempDir dir_;
  std::ostringstream out_, err_;
};

TEST_F(EvidenceCommands, Accepted) {
  EXPECT_EQ(Verify({"--nonce", HexEncode(world_.nonce)}), 0) << out_.str() << err_.str();
  const Json answer = Json::parse(out_.str());
  EXPECT_EQ(answer["verdict"], "accepted");
  EXPECT_EQ(answer["checks"][0]["name"], "nonce.asked");
  EXPECT_EQ(answer["checks"][0]["result"], "passed");
  EXPECT_EQ(answer["claims"]["gpus"].size(), 1u);
  EXPECT_EQ(err_.str(), "");
  EXPECT_EQ(Run({"evidence", "verify", dir_ / "ev.json", "--root", dir_ / "roots.pem", "--insecure-accept-emulated"}),
            0);
  EXPECT_THAT(out_.str(), HasSubstr("accepted (emulated)"));
  EXPECT_THAT(err_.str(), HasSubstr("freshness is not"));
}

TEST_F(EvidenceCommands, AWholeMachineInProtectedPcie) {
  verify::FabricWorld set;
  std::vector<verify::GpuWorld*> devices;
  for (auto* list : {&set.switches, &set.gpus}) {
    for (verify::GpuWorld& device : *list) devices.push_back(&device);
  }
  evidence_ = PodWorld(8).EvidenceOf(devices);
  Write();
  ASSERT_EQ(Verify({"--gpus", "8"}), 0) << out_.str() << err_.str();
  EXPECT_EQ(Json::parse(out_.str())["claims"]["switches"].size(), 4u);
  // A policy file has to say that plain text on NVLink will do.
  const std::string policy = "apiVersion: ccgpu.dev/v1alpha1\nkind: EvidencePolicy\nspec:\n  environment: [emulated]\n";
  ASSERT_TRUE(WriteFileAtomic(dir_ / "no.yaml", policy).ok());
  ASSERT_TRUE(WriteFileAtomic(dir_ / "yes.yaml", policy + "  gpus: {max: 8, protectedPcie: true}\n").ok());
  EXPECT_EQ(Verify({"--policy", dir_ / "no.yaml"}), 1);
  EXPECT_THAT(Failed(), ::testing::Each("policy.not-accepted"));
  EXPECT_EQ(Verify({"--policy", dir_ / "yes.yaml"}), 0) << out_.str();

  ASSERT_EQ(Run({"--json", "evidence", "show", dir_ / "ev.json"}), 0) << err_.str();
  const Json shown = Json::parse(out_.str());
  EXPECT_EQ(shown["gpus"].size(), 8u);
  ASSERT_EQ(shown["switches"].size(), 4u);
  EXPECT_EQ(shown["switches"][0]["bios_version"], "96.10.55.00.01");
  EXPECT_EQ(shown["switches"][0]["linked_to"].size(), 8u);
  EXPECT_EQ(shown["gpus"][0]["multi_gpu"], "ppcie");
  EXPECT_EQ(shown["gpus"][0]["linked_to"].size(), 4u);

  // One switch with other firmware, another not there at all.
  devices.erase(devices.begin());
  devices[0]->report.measurements[30] = Bytes(48, 0xee);
  evidence_ = PodWorld(8).EvidenceOf(devices);
  Write();
  EXPECT_EQ(Verify(), 1);
  EXPECT_THAT(Failed(), ::testing::IsSupersetOf({"gpu.measurement-mismatch", "fabric.switch-count"}));
  EXPECT_EQ(Run({"evidence", "explain", dir_ / "ev.json", "--root", dir_ / "roots.pem", "--insecure-accept-emulated"}),
            1);
  EXPECT_THAT(out_.str(), HasSubstr("switch0/report, bytes"));
  EXPECT_THAT(out_.str(), HasSubstr("RIM NV_SWITCH_BIOS_5612_0002_890_9610550001 accepts"));
  EXPECT_THAT(out_.str(), HasSubstr("expected  4"));
}

// What is exported is read again and judged like any other file of that form.
TEST_F(EvidenceCommands, ExportForOtherTools) {
  ASSERT_EQ(Run({"evidence", "export", dir_ / "ev.json", "-o", dir_ / "list.json"}), 0) << err_.str();
  const Json list = Json::parse(*ReadFile(dir_ / "list.json"));
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0]["nonce"], HexEncode(world_.gpu.report.nonce));
  EXPECT_EQ(list[0]["evidence"], Base64Encode(evidence_.gpus[0].report));
  ASSERT_EQ(Run({"--json", "evidence", "show", dir_ / "list.json"}), 0) << err_.str();
  EXPECT_EQ(Json::parse(out_.str())["format"], "nvidia-json");

  ASSERT_EQ(Run({"evidence", "export", dir_ / "ev.json", "--format", "coco"}), 0) << err_.str();
  const Json coco = Json::parse(out_.str());
  EXPECT_EQ(coco["additional_evidence"], evidence_.additional_evidence);
  EXPECT_TRUE(coco["primary_evidence"].contains("attestation_report"));

  EXPECT_EQ(Run({"evidence", "export", dir_ / "roots.pem"}), 2);
  EXPECT_EQ(Run({"evidence", "export", dir_ / "ev.json", "--format", "other"}), 2);
}

TEST_F(EvidenceCommands, EmulatedOnlyWhenSaid) {
  EXPECT_EQ(Run({"--json", "evidence", "verify", dir_ / "ev.json", "--root", dir_ / "roots.pem"}), 1);
  EXPECT_THAT(Failed(), ::testing::Contains("environment.emulated"));
  EXPECT_EQ(Run({"--json", "evidence", "verify", dir_ / "ev.json", "--insecure-accept-emulated"}),
            1);  // and only under named roots
}

TEST_F(EvidenceCommands, OldEvidenceWithANewNonce) {
  EXPECT_EQ(Verify({"--nonce", HexEncode(Bytes(32, 8))}), 1);
  EXPECT_THAT(Failed(), ::testing::Contains("verify.nonce-mismatch"));
  evidence_.nonce = Bytes(32, 8);  // and claiming the new nonce breaks the binding
  Write();
  EXPECT_EQ(Verify({"--nonce", HexEncode(Bytes(32, 8))}), 1);
  EXPECT_THAT(Failed(), ::testing::Contains("gpu.nonce-mismatch"));
}

TEST_F(EvidenceCommands, OfAnotherKey) {
  evidence_.tee_pubkey = kbs::MakeJwk(crypto::PrivateKey::Generate(crypto::KeyType::kP256).public_key())->ToJson();
  Write();
  EXPECT_EQ(Verify(), 1);
  EXPECT_FALSE(Failed().empty());
}

TEST_F(EvidenceCommands, InitDataReplacedByTheHost) {
  evidence_.init_data += "# changed\n";
  Write();
  EXPECT_EQ(Verify(), 1);
  EXPECT_THAT(Failed(), ::testing::ElementsAre("composite.init-data-mismatch"));
}

TEST_F(EvidenceCommands, HostDataAndGpuCount) {
  EXPECT_EQ(Verify({"--host-data", "sha256:" + HexEncode(world_.snp.report.host_data), "--gpus", "1"}), 0)
      << out_.str();
  EXPECT_EQ(Verify({"--host-data", "sha256:" + std::string(64, '0')}), 1);
  EXPECT_THAT(Failed(), ::testing::ElementsAre("snp.host-data-mismatch"));
  EXPECT_EQ(Verify({"--gpus", "2"}), 1);
  EXPECT_EQ(Verify({"--host-data", "abc"}), 2);
  EXPECT_EQ(Verify({"--nonce", "xyz"}), 2);
  EXPECT_EQ(Verify({"--at", "yesterday"}), 2);
  // The policy inside the measured document asks for one GPU: evidence without it is refused.
  evidence_.gpus.clear();
  evidence_.additional_evidence.clear();
  Write();
  EXPECT_EQ(Verify(), 1);
  EXPECT_THAT(Failed(), ::testing::Contains("composite.gpu-count"));
}

TEST_F(EvidenceCommands, AtAnotherTime) {
  EXPECT_EQ(Verify({"--at", "2026-06-01T12:30:00Z"}), 0) << out_.str();
  EXPECT_EQ(Verify({"--at", "2099-01-01"}), 1);
}

TEST_F(EvidenceCommands, CollateralFromAFolder) {
  const evidence::Collateral collateral = evidence_.collateral;
  evidence_.collateral = {};
  Write();
  EXPECT_EQ(Verify(), 1);
  std::filesystem::create_directories(dir_ / "c/rim");
  std::filesystem::create_directories(dir_ / "c/ocsp");
  for (const auto& [id, xml] : collateral.rims) ASSERT_TRUE(WriteFileAtomic(dir_ / "c/rim/" + id + ".xml", xml).ok());
  for (size_t i = 0; i < collateral.ocsp_responses.size(); ++i) {
    ASSERT_TRUE(
        WriteFileAtomic(dir_ / "c/ocsp/" + std::to_string(i) + ".der", AsText(collateral.ocsp_responses[i])).ok());
  }
  EXPECT_EQ(Verify({"--collateral", dir_ / "c"}), 0) << out_.str();
}

TEST_F(EvidenceCommands, EachClassOfFailureHasItsExitCode) {
  EXPECT_EQ(Verify({"--nonce", HexEncode(Bytes(32, 8)), "--exit-class"}), 11);
  EXPECT_EQ(Json::parse(out_.str())["failure"]["class"], "freshness");
  EXPECT_EQ(Verify({"--at", "2099-01-01", "--exit-class"}), 10);
  EXPECT_EQ(Verify({"--host-data", std::string(64, '0'), "--exit-class"}), 17);
  EXPECT_EQ(Run({"evidence", "verify", dir_ / "ev.json", "--root", dir_ / "roots.pem", "--exit-class"}), 18);
  ASSERT_TRUE(
      WriteFileAtomic(dir_ / "p.yaml",
                      "apiVersion: ccgpu.dev/v1alpha1\nkind: EvidencePolicy\nspec:\n  gpus: {models: [GH200]}\n")
          .ok());
  EXPECT_EQ(Verify({"--policy", dir_ / "p.yaml", "--exit-class"}), 19) << out_.str();
  EXPECT_THAT(Failed(), ::testing::ElementsAre("policy.not-accepted"));
  evidence_.collateral = {};
  Write();
  EXPECT_EQ(Verify({"--exit-class"}), 16) << out_.str();
  EXPECT_EQ(Verify(), 1);
}

TEST_F(EvidenceCommands, ExplainSaysWhatDiffersAndWhere) {
  world_.gpu.report.measurements[evidence::kIndexGspRm] = evidence::FirmwareMeasurement(evidence::kIndexGspRm, "bad");
  evidence_ = world_.Evidence();
  Write();
  EXPECT_EQ(Run({"evidence", "explain", dir_ / "ev.json", "--root", dir_ / "roots.pem", "--insecure-accept-emulated"}),
            1);
  for (const char* words :
       {"refused (emulated): measurement", "gpu0.measurements [gpu.measurement-mismatch", "(index 7)",
        "RIM NV_GPU_DRIVER_GH100_", "expected  ", "found     ", "gpu0/report, bytes 437", "000001b0 ", "to do     "}) {
    EXPECT_THAT(out_.str(), HasSubstr(words));
  }
  EXPECT_EQ(Run({"--json", "evidence", "explain", dir_ / "ev.json", "--root", dir_ / "roots.pem",
                 "--insecure-accept-emulated"}),
            1);
  const Json explained = Json::parse(out_.str());
  EXPECT_EQ(explained["explanations"][0]["class"], "measurement");
  EXPECT_EQ(explained["explanations"][0]["offset"], 437);
}

TEST_F(EvidenceCommands, DiffInWords) {
  ASSERT_TRUE(WriteFileAtomic(dir_ / "old.json", evidence::EncodeComposite(evidence_)).ok());
  EXPECT_EQ(Run({"evidence", "diff", dir_ / "old.json", dir_ / "ev.json"}), 0);
  EXPECT_EQ(out_.str(), "nothing changed\n");
  world_.nonce = Bytes(32, 9);
  world_.snp.report.policy |= evidence::snp_policy::kDebug;
  evidence_ = world_.Evidence();
  Write();
  EXPECT_EQ(Run({"evidence", "diff", dir_ / "old.json", dir_ / "ev.json"}), 1);
  EXPECT_THAT(out_.str(), HasSubstr("(expected) nonce changed from 0707"));
  EXPECT_THAT(out_.str(), HasSubstr("CPU: debugging allowed changed from false to true"));
}

TEST_F(EvidenceCommands, CollateralInABundle) {
  collateral::Bundle bundle{verify::kTestNow, "", collateral::FromCollateral(evidence_.collateral)};
  evidence_.collateral = {};
  Write();
  const auto key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
  ASSERT_TRUE(WriteFileAtomic(dir_ / "b", *collateral::WriteBundle(bundle, key)).ok());
  ASSERT_TRUE(WriteFileAtomic(dir_ / "pub", key.public_key().Pem()).ok());
  ASSERT_TRUE(
      WriteFileAtomic(dir_ / "other", crypto::PrivateKey::Generate(crypto::KeyType::kP384).public_key().Pem()).ok());
  EXPECT_EQ(Verify({"--collateral", dir_ / "b", "--bundle-key", dir_ / "pub"}), 0) << out_.str();
  EXPECT_EQ(Verify({"--collateral", dir_ / "b"}), 2);
  EXPECT_EQ(Verify({"--collateral", dir_ / "b", "--bundle-key", dir_ / "other"}), 2);
  EXPECT_THAT(out_.str(), HasSubstr("collateral.bundle-signature"));
  EXPECT_EQ(Run({"--json", "collateral", "check", dir_ / "b", "--bundle-key", dir_ / "pub", "--for", dir_ / "ev.json"}),
            0)
      << out_.str();
  EXPECT_EQ(Json::parse(out_.str())["missing"].size(), 0u);
  EXPECT_EQ(Run({"collateral", "check", dir_ / "b", "--bundle-key", dir_ / "other"}), 1);
  EXPECT_EQ(Run({"collateral", "check", dir_ / "b", "--bundle-key", dir_ / "pub", "--at", "2099-01-01"}), 1);
  std::filesystem::create_directories(dir_ / "empty");
  EXPECT_EQ(Run({"collateral", "check", dir_ / "empty", "--for", dir_ / "ev.json"}), 1);
  EXPECT_THAT(out_.str(), HasSubstr("not found: looked in the evidence, " + dir_ / "empty; there is no RIM at all"));
}

TEST_F(EvidenceCommands, ARootIsOfOneKindOnly) {
  // The device root alone must not vouch for reference values or the CPU.
  ASSERT_TRUE(WriteFileAtomic(dir_ / "roots.pem", world_.gpu.device.back().certificate.Pem()).ok());
  EXPECT_EQ(Verify(), 1);
}

TEST_F(EvidenceCommands, Show) {
  EXPECT_EQ(Run({"--json", "evidence", "show", dir_ / "ev.json"}), 0);
  const Json shown = Json::parse(out_.str());
  EXPECT_EQ(shown["nonce"], HexEncode(world_.nonce));
  EXPECT_EQ(shown["gpus"].size(), 1u);
  EXPECT_EQ(shown["snp"]["host_data"], HexEncode(world_.snp.report.host_data));
  EXPECT_EQ(Run({"evidence", "show", dir_ / "ev.json"}), 0);
  EXPECT_THAT(out_.str(), HasSubstr("driver_version: "));
}

}  // namespace
}  // namespace ccgpu::cli
