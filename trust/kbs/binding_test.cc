#include "trust/kbs/binding.h"

#include <gtest/gtest.h>

#include "base/encoding.h"
#include "trust/kbs/test_vectors.h"

namespace ccgpu::kbs {
namespace {

TEST(BindingTest, GoldenValues) {
  NEEDS_VECTOR("tables/runtime_data_binding.json");
  int seen = 0;
  for (const Json& row : VectorJson("tables/runtime_data_binding.json")) {
    if (row.contains("json")) {
      auto digest = ReportData(row["json"].dump());
      ASSERT_TRUE(digest.ok());
      EXPECT_EQ(HexEncode(*digest), row["sha384"].get<std::string>());
      continue;
    }
    auto key = ParseJwk(row["tee-pubkey"].dump());
    ASSERT_TRUE(key.ok()) << key.error().ToString();
    const std::string nonce = row["nonce"], additional = row["additional_evidence"];
    EXPECT_EQ(HexEncode(DeviceReportData(nonce, *key)), row["device_report_data_sha384"].get<std::string>());
    EXPECT_EQ(HexEncode(PrimaryReportData(nonce, *key, additional)),
              row["primary_report_data_sha384"].get<std::string>());
    // The written-out texts are what RFC 8785 makes of the same values.
    auto device = ReportData(Json{{"nonce", nonce}, {"tee-pubkey", row["tee-pubkey"]}}.dump());
    EXPECT_EQ(*device, DeviceReportData(nonce, *key));
    ++seen;
  }
  EXPECT_EQ(seen, 4);
}

TEST(BindingTest, HashTheChallengeAsksFor) {
  NEEDS_VECTOR("tables/hash_algorithm.json");
  const Json table = VectorJson("tables/hash_algorithm.json");
  for (const Json& row : table["cases"]) {
    auto hash = SelectedHash(row[0].dump());
    EXPECT_EQ(hash.ok(), !row[1].is_null()) << row.dump();
    if (hash.ok() && !row[1].is_null()) {
      const size_t bits = std::stoul(row[1].get<std::string>().substr(3));
      EXPECT_EQ(crypto::HashSize(*hash) * 8, bits) << row.dump();
    }
  }
  EXPECT_TRUE(SelectedHash("\"\"").ok());
}

TEST(BindingTest, HardwareFields) {
  const Bytes data(48, 0xab);
  EXPECT_EQ(GpuNonce(data), Bytes(32, 0xab));
  const Bytes padded = SnpReportData(data);
  ASSERT_EQ(padded.size(), 64u);
  EXPECT_EQ(padded[47], 0xab);
  EXPECT_EQ(padded[48], 0);
}

// rule 12: composite
TEST(BindingTest, EveryPartMatters) {
  PublicJwk key{"EC", "P-256", "ECDH-ES+A256KW", "AQ", "Ag", "", ""};
  const Bytes base = PrimaryReportData("n", key, "e");
  EXPECT_NE(base, PrimaryReportData("m", key, "e"));
  EXPECT_NE(base, PrimaryReportData("n", key, ""));
  key.y = "Aw";
  EXPECT_NE(base, PrimaryReportData("n", key, "e"));
  EXPECT_NE(DeviceReportData("n", key), PrimaryReportData("n", key, ""));
}

}  // namespace
}  // namespace ccgpu::kbs
