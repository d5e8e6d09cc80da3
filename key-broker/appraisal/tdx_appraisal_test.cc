// A pod on TDX: what is asked of Intel's service for it, and that its evidence is judged with the answers.
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "base/json.h"
#include "key-broker/appraisal/appraiser.h"
#include "trust/kbs/binding.h"
#include "trust/kbs/initdata.h"
#include "trust/kbs/jwe.h"
#include "trust/verify/testing/tdx_world.h"

namespace ccgpu::broker {
namespace {

const std::string kNonce = Base64Encode(Bytes(32, 0x11));

// Percent-encodes every byte: decoding must not depend on which ones a server leaves alone.
std::string Encoded(const std::string& text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return out;
}

class TestIntel final : public collateral::Fetcher {
 public:
  explicit TestIntel(const verify::TdxWorld& world) : world_(world) {}
  Result<collateral::FetchAnswer> Fetch(const collateral::FetchRequest& request) override {
    const std::string& url = request.url;
    urls.push_back(url);
    if (down) return Err("collateral.unreachable", url, "does not answer");
    const auto with_chain = [](const evidence::IntelDocument& document, const char* header) {
      return collateral::FetchAnswer{document.body, {{header, Encoded(document.issuer_chain)}}};
    };
    const auto& c = world_.collateral;
    if (url == "https://pcs/tdx/certification/v4/tcb?fmspc=50806f000000")
      return with_chain(c.tcb_infos[0], "tcb-info-issuer-chain");
    if (url == "https://pcs/tdx/certification/v4/qe/identity")
      return with_chain(c.qe_identities[0], "sgx-enclave-identity-issuer-chain");
    if (url == "https://intel/root.der") return collateral::FetchAnswer{ToText(c.crls[0]), {}};
    if (url == "https://pcs/sgx/certification/v4/pckcrl?ca=platform&encoding=der")
      return collateral::FetchAnswer{ToText(c.crls[1]), {}};
    return Err("collateral.unreachable", url, "answers with status 404");
  }
  std::vector<std::string> urls;
  bool down = false;

 private:
  const verify::TdxWorld& world_;
};

struct TdxPod {
  TdxPod() {
    kbs::InitData init;
    init.data["ccgpu-policy.yaml"] = "kind: PodPolicy\n";
    init_data = kbs::WriteInitData(init);
    world.quote.body.mr_config_id = Concat({crypto::Sha256(AsBytes(init_data)), Bytes(16)});
  }
  kbs::AttestRequest Answer() {
    kbs::AttestRequest out;
    out.init_data = init_data;
    out.nonce = kNonce;
    out.tee_pubkey = key.jwk;
    world.quote.body.report_data = kbs::SnpReportData(kbs::PrimaryReportData(kNonce, key.jwk, ""));
    world.Sign();
    out.primary_evidence_json = evidence::TdxEvidenceToJson(world.evidence);
    return out;
  }
  Appraisal Run(const kbs::AttestRequest& request) { return appraiser.Appraise("tdx", request, verify::kTestNow); }
  verify::TdxWorld world;
  kbs::TeeKey key = kbs::TeeKey::Generate();
  std::string init_data;
  TestIntel intel{world};
  HttpCollateral collateral{{.urls = {.pcs = "https://pcs/", .intel_root_crl = "https://intel/root.der"}}, intel};
  EvidenceAppraiser appraiser{world.anchors, collateral};
};

TEST(TdxAppraisal, HealthyPodsAreAcceptedAndDocumentsKept) {
  TdxPod pod;
  const Appraisal appraisal = pod.Run(pod.Answer());
  ASSERT_TRUE(appraisal.accepted) << appraisal.why.ToString() << appraisal.failed_json;
  EXPECT_EQ(appraisal.environment, "emulated");
  EXPECT_EQ(Json::parse(appraisal.claims_json)["tdx"]["tcb_status"], "UpToDate");
  ASSERT_EQ(appraisal.submods.size(), 1u);
  EXPECT_TRUE(Json::parse(appraisal.submods[0].annotated_evidence_json).contains("tdx"));
  EXPECT_EQ(pod.intel.urls.size(), 4u);
  EXPECT_TRUE(pod.Run(pod.Answer()).accepted);
  EXPECT_EQ(pod.intel.urls.size(), 4u) << "kept";
}

TEST(TdxAppraisal, RefusalsSayWhy) {
  TdxPod pod;
  kbs::AttestRequest request = pod.Answer();
  *request.init_data += "# one comment more\n";
  EXPECT_EQ(pod.Run(request).why.code, "tdx.mr-config-id-mismatch");
  request = pod.Answer();
  request.nonce = Base64Encode(Bytes(32, 0x22));
  EXPECT_EQ(pod.Run(request).why.code, "tdx.report-data-mismatch");
  EXPECT_EQ(pod.appraiser.Appraise("snp", pod.Answer(), verify::kTestNow).why.code, "evidence.malformed");
  EXPECT_TRUE(pod.intel.urls.empty()) << "evidence that is worth nothing makes the broker send nothing";
  pod.intel.down = true;
  const Appraisal down = pod.Run(pod.Answer());
  EXPECT_EQ(down.why.code, "tdx.revocation-missing");
  EXPECT_NE(down.why.text.find("collateral.pcs-unavailable"), std::string::npos) << down.why.text;
}

}  // namespace
}  // namespace ccgpu::broker
