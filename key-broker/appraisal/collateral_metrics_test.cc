#include <gmock/gmock.h>

#include "base/encoding.h"
#include "key-broker/appraisal/appraiser.h"
#include "key-broker/testing/test_pod.h"

namespace ccgpu::broker {
namespace {

using testing::HasSubstr;
using testing::Not;
using verify::kTestNow;

const std::string kNonce = Base64Encode(Bytes(32, 0x11));

struct World {
  Appraisal Run(TimePoint now) { return appraiser.Appraise("snp", pod.Answer(kNonce), now); }
  std::string Metrics(TimePoint now) {
    metrics::Page page;
    collateral.WriteMetrics(page, now);
    return page.Take();
  }
  TestPod pod{1};
  TestVendor vendor{pod};
  HttpCollateral collateral{{}, vendor};
  EvidenceAppraiser appraiser{pod.Anchors(), collateral};
};

// The value behind `series`; -1 when it is not there.
double Value(const std::string& text, const std::string& series) {
  const size_t at = text.find("\n" + series + " ");
  return at == std::string::npos ? -1 : std::strtod(text.c_str() + at + series.size() + 2, nullptr);
}
double Seconds(TimePoint time) { return static_cast<double>(time.time_since_epoch().count()); }

TEST(CollateralMetrics, SayWhatWasFetchedAndWhenItEnds) {
  World world;
  ASSERT_TRUE(world.Run(kTestNow).accepted);
  const std::string text = world.Metrics(kTestNow);
  EXPECT_EQ(Value(text, "ccgpu_broker_collateral_fetches_total{kind=\"rim\",result=\"ok\"}"), 2);
  EXPECT_EQ(Value(text, "ccgpu_broker_collateral_fetches_total{kind=\"rim\",result=\"failed\"}"), 0);
  EXPECT_EQ(Value(text, "ccgpu_broker_collateral_documents{kind=\"rim\"}"), 2);
  EXPECT_EQ(Value(text, "ccgpu_broker_collateral_fetched_timestamp_seconds{kind=\"rim\"}"), Seconds(kTestNow));
  // The end is the signer's word and not our cache's.
  EXPECT_GT(Value(text, "ccgpu_broker_collateral_expires_timestamp_seconds{kind=\"rim\"}"),
            Seconds(kTestNow + CollateralOptions().rim_lifetime));
  EXPECT_GT(Value(text, "ccgpu_broker_collateral_expires_timestamp_seconds{kind=\"ocsp\"}"), Seconds(kTestNow));
}

TEST(CollateralMetrics, WhatNobodyUsesAnyMoreAlarmsNobody) {
  World world;
  ASSERT_TRUE(world.Run(kTestNow).accepted);
  const std::string later = world.Metrics(kTestNow + std::chrono::minutes(6));
  EXPECT_THAT(later, Not(HasSubstr("expires_timestamp_seconds{")));
  EXPECT_THAT(later, Not(HasSubstr("collateral_documents{")));
  // Out of the cache is in use as well.
  world.vendor.now = kTestNow + std::chrono::minutes(20);
  ASSERT_TRUE(world.Run(kTestNow + std::chrono::minutes(20)).accepted);
  const std::string again = world.Metrics(kTestNow + std::chrono::minutes(21));
  EXPECT_EQ(Value(again, "ccgpu_broker_collateral_fetches_total{kind=\"rim\",result=\"ok\"}"), 2);
  EXPECT_EQ(Value(again, "ccgpu_broker_collateral_documents{kind=\"rim\"}"), 2);
}

TEST(CollateralMetrics, FailedFetchesAreCounted) {
  World world;
  world.vendor.down = true;
  EXPECT_FALSE(world.Run(kTestNow).accepted);
  const std::string text = world.Metrics(kTestNow);
  EXPECT_GT(Value(text, "ccgpu_broker_collateral_fetches_total{kind=\"rim\",result=\"failed\"}"), 0);
  EXPECT_EQ(Value(text, "ccgpu_broker_collateral_fetches_total{kind=\"rim\",result=\"ok\"}"), 0);
  EXPECT_THAT(text, Not(HasSubstr("fetched_timestamp_seconds{")));
}

}  // namespace
}  // namespace ccgpu::broker
