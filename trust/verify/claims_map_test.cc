// The map of claims: what the page says is what the code does, on real verdicts.
#include "trust/verify/claims_map.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/json.h"
#include "trust/verify/testing/tdx_world.h"
#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

using ::testing::Contains;

// The rows of docs/claims.md below this heading, cells without their backquotes.
std::vector<std::vector<std::string>> Table(const std::string& heading) {
  std::ifstream page(std::string(CCGPU_SOURCE_DIR) + "/docs/claims.md");
  std::vector<std::vector<std::string>> out;
  bool here = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) here = line == "## " + heading;
    if (!here || !line.starts_with("| `")) continue;
    std::vector<std::string> cells;
    std::istringstream row(line.substr(1));
    for (std::string cell; std::getline(row, cell, '|');) {
      std::erase_if(cell, [](char c) { return c == '`' || c == ' '; });
      cells.push_back(cell);
    }
    out.push_back(cells);
  }
  return out;
}

void ExpectSame(const std::string& heading, std::span<const ClaimName> names) {
  const auto rows = Table(heading);
  ASSERT_EQ(rows.size(), names.size()) << heading;
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i], (std::vector<std::string>{std::string(names[i].ours), std::string(names[i].coco),
                                                 std::string(names[i].maa)}));
  }
}

TEST(ClaimsMap, ThePageIsTheCode) {
  ExpectSame("AMD SEV-SNP", SnpClaimNames());
  ExpectSame("Intel TDX", TdxClaimNames());
  std::vector<std::string> own;
  for (const auto& row : Table("Our own")) own.push_back(row[0]);
  for (const char* name : {"environment", "data_confidentiality", "data_integrity", "code_integrity"})
    EXPECT_THAT(own, Contains(name));
}

// Each of our names in the map is one that the verifier gives.
TEST(ClaimsMap, OurNamesAreOurs) {
  const Json claims = Json::parse(SnpWorld().Run().claims_json);
  for (const ClaimName& name : SnpClaimNames())
    EXPECT_TRUE(claims.contains(std::string(name.ours.substr(4)))) << name.ours;
  Json tdx = {{"tdx", Json::parse(TdxWorld().Run().claims_json)}};
  for (const ClaimName& name : TdxClaimNames()) {
    std::string pointer = "/" + std::string(name.ours);
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    EXPECT_TRUE(tdx.contains(Json::json_pointer(pointer))) << name.ours;
  }
}

TEST(ClaimsMap, SnpInMicrosoftsAndCocosWords) {
  const SnpWorld w;
  const Verdict v = w.Run();
  const Json ours = Json::parse(v.claims_json), maa = Json::parse(MaaClaims(v));
  EXPECT_EQ(maa["x-ms-attestation-type"], "sevsnpvm");
  EXPECT_EQ(maa["x-ms-sevsnpvm-launchmeasurement"], ours["measurement"]);
  EXPECT_EQ(maa["x-ms-sevsnpvm-hostdata"], ours["init_data"]);
  EXPECT_EQ(maa["x-ms-sevsnpvm-is-debuggable"], false);
  EXPECT_EQ(maa["ccgpu.environment"], "emulated");
  EXPECT_FALSE(maa.contains("x-ms-compliance-status")) << "only Microsoft can say that";
  const auto coco = CocoClaims(v);
  ASSERT_EQ(coco.size(), 1u);
  EXPECT_EQ(coco[0].first, "cpu0");
  const Json cpu = Json::parse(coco[0].second);
  EXPECT_EQ(cpu["snp"]["measurement"], ours["measurement"]);
  EXPECT_EQ(cpu["report_data"], ours["report_data"]);
  EXPECT_FALSE(cpu["snp"].contains("vmpl")) << "CoCo has no such claim";
}

TEST(ClaimsMap, TdxInMicrosoftsAndCocosWords) {
  Verdict v;
  v.accepted = true;
  v.environment = "hardware";
  v.claims_json =
      R"({"environment":"hardware","tdx":{"mr_td":"aa","rtmr_0":"bb","report_data":"cc","tcb_status":"UpToDate",
                      "td_attributes":{"debug":false}},"gpus":[]})";
  const Json maa = Json::parse(MaaClaims(v));
  EXPECT_EQ(maa["x-ms-attestation-type"], "tdxvm");
  EXPECT_EQ(maa["tdx_mrtd"], "aa");
  EXPECT_EQ(maa["dbgstat"], "disabled");
  EXPECT_EQ(maa["attester_tcb_status"], "UpToDate");
  const Json cpu = Json::parse(CocoClaims(v).at(0).second);
  EXPECT_EQ(cpu["tdx"]["quote"]["body"]["rtmr_0"], "bb");
  EXPECT_EQ(cpu["tdx"]["td_attributes"]["debug"], false);
  EXPECT_EQ(cpu["report_data"], "cc");
}

TEST(ClaimsMap, ProtectionIsWhatTheWorstPartGives) {
  SnpWorld w;
  Protection p = ProtectionOf(w.Run());
  EXPECT_EQ(p.data_confidentiality, "yes");
  EXPECT_EQ(p.data_integrity, "yes");
  EXPECT_EQ(p.code_integrity, "unproven") << "nobody compared the measurement";
  w.options.measurement = w.report.measurement;
  EXPECT_EQ(ProtectionOf(w.Run()).code_integrity, "yes");
  w.report.policy |= evidence::snp_policy::kDebug;
  w.Sign();
  EXPECT_EQ(ProtectionOf(w.Run()).data_confidentiality, "no");
  w.options.allow_debug = true;
  EXPECT_EQ(ProtectionOf(w.Run()).data_confidentiality, "no") << "allowed is not protected";
  EXPECT_EQ(ProtectionOf(Verdict()).data_integrity, "unproven");
  GpuWorld gpu;
  p = ProtectionOf(gpu.Run());
  EXPECT_EQ(p.data_confidentiality, "yes");
  EXPECT_EQ(p.code_integrity, "yes");
  gpu.options.nonce[0] ^= 1;
  p = ProtectionOf(gpu.Run());
  EXPECT_NE(p.data_confidentiality, "yes");
  EXPECT_NE(p.code_integrity, "yes");
  Verdict refused;  // good parts of a set that does not hold together
  refused.claims_json = R"({"gpus":[{"data_confidentiality":"yes","data_integrity":"no","code_integrity":"yes"}]})";
  p = ProtectionOf(refused);
  EXPECT_EQ(p.data_confidentiality, "unproven");
  EXPECT_EQ(p.data_integrity, "no");
}

TEST(ClaimsMap, TrustVectors) {
  SnpWorld w;
  kbs::TrustVector vector = TrustVectorOf(w.Run(), "cpu0");
  EXPECT_EQ(vector["hardware"], 97) << "emulated";
  EXPECT_EQ(vector["executables"], 33) << "not judged";
  w.options.measurement = w.report.measurement;
  EXPECT_EQ(TrustVectorOf(w.Run(), "cpu0")["executables"], 3);
  w.options.measurement = Bytes(48, 1);
  EXPECT_EQ(TrustVectorOf(w.Run(), "cpu0")["executables"], 96);
  w.options.report_data[0] ^= 1;
  EXPECT_EQ(kbs::TrustStatus(TrustVectorOf(w.Run(), "cpu0")), "contraindicated");
  GpuWorld gpu;
  EXPECT_EQ(TrustVectorOf(gpu.Run(), "gpu0")["executables"], 3);
  gpu.report.measurements.begin()->second[0] ^= 1;
  gpu.Sign();
  EXPECT_EQ(TrustVectorOf(gpu.Run(), "gpu0")["executables"], 96);
  Verdict hardware;
  hardware.environment = "hardware";
  EXPECT_EQ(kbs::TrustStatus(TrustVectorOf(hardware, "gpu0")), "contraindicated") << "refused, and nobody knows why";
}

}  // namespace
}  // namespace ccgpu::verify
