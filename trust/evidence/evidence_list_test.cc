#include "trust/evidence/evidence_list.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "trust/evidence/test_vectors.h"

namespace ccgpu::evidence {
namespace {

TEST(EvidenceList, IsWhatTheReportsSayAndCanBeReadAgain) {
  SKIP_WITHOUT_VECTORS();
  const std::string dir = "nvidia/nvtrust_v1_initial/";
  const GpuEvidence gpu{"HOPPER", "GPU-1", test::VectorHex(dir + "attestationReport.txt"),
                        test::VectorText(dir + "gpuAkCertChain.txt")};
  const auto text = EvidenceListJson({gpu, gpu});
  ASSERT_TRUE(text.ok()) << text.error().ToString();
  const Json list = ParseJson(*text, "list").value();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["nonce"], HexEncode(ByteView(gpu.report).subspan(4, 32)));
  EXPECT_EQ(list[0]["driver_version"], "545.00");
  EXPECT_EQ(list[0]["vbios_version"], "96.00.5E.00.01");
  EXPECT_FALSE(list[0].contains("uuid"));  // NVIDIA's form has no place for it
  const auto again = DeviceEvidenceFromJson(*text);
  ASSERT_TRUE(again.ok()) << again.error().ToString();
  ASSERT_EQ(again->size(), 2u);
  EXPECT_EQ((*again)[1].arch, gpu.arch);
  EXPECT_EQ((*again)[1].report, gpu.report);
  EXPECT_EQ((*again)[1].certificate_chain, gpu.certificate_chain);
}

TEST(EvidenceList, ABrokenReportIsNotPassedOn) {
  const auto text = EvidenceListJson({{"HOPPER", "", Bytes(64, 1), "-----BEGIN"}});
  ASSERT_FALSE(text.ok());
  EXPECT_EQ(text.error().code, "gpu.report-malformed");
  EXPECT_EQ(text.error().subject, "evidence_list[0]");
}

}  // namespace
}  // namespace ccgpu::evidence
