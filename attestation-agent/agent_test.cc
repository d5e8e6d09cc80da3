// The agent's decisions and routes with GPUs and a broker that misbehave. That everything works with those that behave
// is what test/e2e shows with the real programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <filesystem>

#include "attestation-agent/api_server.h"
#include "attestation-agent/test_fakes.h"
#include "attestation-agent/trust_config.h"
#include "attestation-agent/tsm.h"
#include "base/file.h"
#include "base/json.h"
#include "base/testing/temp_dir.h"
#include "trust/evidence/test_vectors.h"

namespace ccgpu::agent {
namespace {

using testing::HasSubstr;

std::string InitDataText(const std::string& trust, bool with_broker = true) {
  kbs::InitData init;
  if (with_broker) init.data["aa.toml"] = kbs::WriteAaToml({"https://127.0.0.1:1", "PEM"});
  if (!trust.empty()) init.data["ccgpu-trust.yaml"] = trust;
  return kbs::WriteInitData(init);
}

Result<TrustConfig> Load(const std::string& text) {
  TempDir folder;
  EXPECT_TRUE(WriteFileAtomic(folder / "initdata.toml", text).ok());
  return LoadTrustConfig(folder / "initdata.toml");
}

constexpr char kTrust[] = "apiVersion: ccgpu.dev/v1alpha1\nkind: EvidenceTrust\nspec: {insecureAcceptEmulated: true}\n";

TEST(TrustConfig, OnlyTheDocumentMakesTheAgentAcceptEmulatedGpus) {
  EXPECT_TRUE(Load(InitDataText(kTrust))->anchors.insecure_accept_emulated);
  EXPECT_FALSE(Load(InitDataText(""))->anchors.insecure_accept_emulated);
  EXPECT_FALSE(Load(InitDataText("apiVersion: ccgpu.dev/v1alpha1\nkind: EvidenceTrust\nspec: {}\n"))
                   ->anchors.insecure_accept_emulated);
  EXPECT_EQ(Load(InitDataText(kTrust))->broker.url, "https://127.0.0.1:1");
}

TEST(TrustConfig, RefusesWhatItDoesNotUnderstand) {
  EXPECT_EQ(Load(InitDataText(kTrust, false)).error().code, "agent.no-broker");
  const std::pair<const char*, const char*> cases[] = {
      {"apiVersion: ccgpu.dev/v2\nkind: EvidenceTrust\nspec: {}\n", "apiVersion"},
      {"apiVersion: ccgpu.dev/v1alpha1\nkind: Other\nspec: {}\n", "kind"},
      {"apiVersion: ccgpu.dev/v1alpha1\nkind: EvidenceTrust\nspec: {acceptEverything: true}\n", "acceptEverything"},
      {"apiVersion: ccgpu.dev/v1alpha1\nkind: EvidenceTrust\nspec: {insecureAcceptEmulated: yes-please}\n",
       "insecureAcceptEmulated"},
      {"apiVersion: ccgpu.dev/v1alpha1\nkind: EvidenceTrust\nspec: {deviceRoots: [not a certificate]}\n",
       "deviceRoots"}};
  for (auto [trust, where] : cases) {
    auto loaded = Load(InitDataText(trust));
    ASSERT_FALSE(loaded.ok()) << trust;
    EXPECT_THAT(loaded.error().subject, HasSubstr(where));
  }
  EXPECT_FALSE(Load("not toml").ok());
}

TEST(Tsm, SaysWhenThereIsNoTee) {
  TempDir folder;
  EXPECT_EQ(CollectCpu(folder / "none", Bytes(64)).error().code, "tsm.missing");
  // A plain folder is no configfs: the entry has no files, and nothing stays behind.
  EXPECT_EQ(CollectCpu(folder / "", Bytes(64)).error().code, "tsm.failed");
  EXPECT_TRUE(std::filesystem::is_empty(folder / ""));
}

// What stands here must come out of the agent as an error, not as an end of the agent: it answers every pod's question.
TEST(Tsm, BlobsThatAreNoEvidenceAreRefused) {
  for (const Bytes& blob : {Bytes(), Bytes(7), Bytes(1183), Bytes(1184), Bytes(1185), Bytes(4096, 0xff)})
    EXPECT_FALSE(EvidenceOfBlobs("sev_guest", blob, "").ok()) << blob.size();
  EXPECT_FALSE(EvidenceOfBlobs("ccgpu_vtpm", Bytes(100, '{'), "").ok());
  EXPECT_EQ(EvidenceOfBlobs("arm_cca_guest", Bytes(1184), "").error().code, "tsm.provider");
  SKIP_WITHOUT_VECTORS();
  const Bytes report = test::VectorBytes("snp/virtee_report_milan.bin");
  auto evidence = EvidenceOfBlobs("sev_guest", report, "");
  ASSERT_TRUE(evidence.ok()) << evidence.error().ToString();
  EXPECT_THAT(evidence::CpuEvidenceToJson(*evidence), HasSubstr("attestation_report"));
  EXPECT_FALSE(EvidenceOfBlobs("sev_guest", report, "no table").ok());
}

TEST(Nvml, AMissingLibraryOrSymbolIsNamed) {
  EXPECT_EQ(Nvml::Open("/nonexistent/libnvidia-ml.so.1").error().code, "gpu.nvml-missing");
  auto no_symbols = Nvml::Open("libm.so.6");
  EXPECT_EQ(no_symbols.error().code, "gpu.nvml-missing");
  EXPECT_THAT(no_symbols.error().text, HasSubstr("nvmlInit_v2"));
}

// One agent with scripted GPUs; the broker's address leads nowhere.
struct World {
  explicit World(bool gpus = true)
      : collector(gpus ? std::unique_ptr<Nvml>(std::make_unique<FakeNvml>(script)) : nullptr, folder / "tsm") {}
  FakeNvml::Script script;
  TempDir folder;
  Collector collector;
  evidence::Collateral collateral;
  verify::Anchors anchors = verify::BuiltinAnchors();
  crypto::SystemRandom random;
  ManualClock clock{*ParseTime("2026-01-01")};
  Events events{Fd()};
  GpuGate gate{collector, collateral, anchors, random, clock, events};
};

TEST(GpuGate, RefusesAndNeverUnlocksWhatItCannotVerify) {
  struct Case {
    std::function<void(FakeNvml::Script&)> make;
    const char* code;
  };
  const Case cases[] = {{[](auto& s) { s.devtools = true; }, "gpu.mode-devtools"},
                        {[](auto& s) { s.report_fails = true; }, "gpu.nvml"},
                        {[](auto&) {}, "gpu.report-malformed"},
                        {[](auto& s) { s.report.clear(); }, "gpu.report-malformed"}};
  for (const Case& one : cases) {
    World world;
    one.make(world.script);
    world.gate.Decide();
    EXPECT_EQ(world.gate.state(), GateState::kRefused);
    EXPECT_EQ(world.gate.WaitUntilOpen(std::chrono::milliseconds(0)).error().code, one.code);
    EXPECT_EQ(world.script.times_set_ready, 0) << one.code;
    const Json status = *ParseJson(world.gate.StatusJson(), "status");
    EXPECT_EQ(status["state"], "refused");
    EXPECT_EQ(status["reason"]["code"], one.code);
  }
}

TEST(GpuGate, WithoutConfidentialGpusThereIsNothingToJudge) {
  World none(false);
  none.gate.Decide();
  EXPECT_EQ(none.gate.state(), GateState::kNotApplicable);
  World off;
  off.script.cc_enabled = false;
  off.gate.Decide();
  EXPECT_EQ(off.gate.state(), GateState::kNotApplicable);
  EXPECT_TRUE(off.gate.WaitUntilOpen(std::chrono::milliseconds(0)).ok());
  EXPECT_EQ(off.script.times_set_ready, 0);
}

TEST(GpuGate, IsPendingUntilDecided) {
  World world;
  EXPECT_EQ(world.gate.WaitUntilOpen(std::chrono::milliseconds(1)).error().code, "agent.pending");
  EXPECT_EQ((*ParseJson(world.gate.StatusJson(), "status"))["state"], "pending");
}

// A served agent of such a world.
struct Served : World {
  explicit Served(bool gpus = true)
      : World(gpus),
        broker({"https://127.0.0.1:1", ""}, "initdata", collector, clock),
        server(ApiParts{collector, gate, broker, collateral, "initdata", events}) {
    port = *server.Start(0);
  }
  httplib::Result Get(const std::string& path) { return httplib::Client("127.0.0.1", port).Get(path); }

  BrokerClient broker;
  ApiServer server;
  int port = 0;
};

TEST(Api, AnswersAsCocoDoes) {
  Served agent(false);
  agent.gate.Decide();
  EXPECT_EQ(agent.Get("/nothing")->status, 404);
  EXPECT_EQ(agent.Get("/nothing")->body, "URL NOT FOUND");
  EXPECT_EQ(httplib::Client("127.0.0.1", agent.port).Post("/info", "", "text/plain")->status, 405);
  EXPECT_THAT(agent.Get("/info")->body, HasSubstr("[tsm.missing]")) << "the TEE is the kernel's word, not a guess";
  EXPECT_EQ(agent.Get("/aa/additional-evidence?runtime_data=x")->body, "{}");
  for (const char* bad :
       {"/aa/evidence", "/aa/evidence?runtime_data=%21&encoding=base64", "/aa/evidence?runtime_data=x&encoding=hex",
        "/aa/token", "/aa/token?token_type=coco_as", "/cdh/resource/a/b", "/cdh/resource/a/b/../c", "/ccgpu/evidence",
        "/ccgpu/evidence?nonce=00"}) {
    EXPECT_EQ(agent.Get(bad)->status, 400) << bad;
  }
  EXPECT_EQ(agent.Get("/aa/evidence?runtime_data=" + std::string(65, 'x'))->status, 400);
}

TEST(Api, SaysWhyThereIsNoResource) {
  Served unreachable(false);
  unreachable.gate.Decide();
  auto answer = unreachable.Get("/cdh/resource/default/a/b");
  EXPECT_EQ(answer->status, 500);
  EXPECT_THAT(answer->body, HasSubstr("[broker."));
  EXPECT_THAT(unreachable.Get("/aa/evidence?runtime_data=x")->body, HasSubstr("[tsm.missing]"));

  Served refused;
  refused.gate.Decide();
  answer = refused.Get("/cdh/resource/default/a/b");
  EXPECT_EQ(answer->status, 403);
  EXPECT_THAT(answer->body, HasSubstr("[gpu.report-malformed]"));
  EXPECT_EQ((*ParseJson(refused.Get("/attest/status")->body, "status"))["state"], "refused");
}

TEST(Api, APortThatIsTakenIsAnError) {
  Served first(false);
  World world(false);
  BrokerClient broker({"https://127.0.0.1:1", ""}, "", world.collector, world.clock);
  ApiServer second(ApiParts{world.collector, world.gate, broker, world.collateral, "", world.events});
  EXPECT_EQ(second.Start(first.port).error().code, "agent.listen");
}

}  // namespace
}  // namespace ccgpu::agent
