#include "collateral/fetch/pcs.h"

#include <gtest/gtest.h>

#include "trust/verify/testing/tdx_world.h"

namespace ccgpu::collateral {
namespace {

TEST(Pcs, EvidenceCannotSteerTheRequests) {
  verify::TdxWorld world;
  world.Sign();
  const auto urls = [](const evidence::TdxEvidence& tdx) {
    auto requests = PcsRequestsFor(tdx, "https://pcs", "https://root");
    return requests.ok() ? *requests : std::vector<PcsRequest>();
  };
  EXPECT_EQ(urls(world.evidence).size(), 4u);
  EXPECT_TRUE(urls({Bytes(100), std::nullopt}).empty());
  world.quote.pck_chain = "https://evil/";
  world.Sign();
  EXPECT_TRUE(urls(world.evidence).empty());
}

TEST(UrlDecode, TakesWhatServersSend) {
  EXPECT_EQ(UrlDecode("a%20b%0Ac"), "a b\nc");
  EXPECT_EQ(UrlDecode("%2"), "%2");
  EXPECT_EQ(UrlDecode("%"), "%");
  EXPECT_EQ(UrlDecode("%zz%41"), "%zzA");
  EXPECT_EQ(UrlDecode(""), "");
}

}  // namespace
}  // namespace ccgpu::collateral
