// verify::Cache: a warm one changes no verdict, stays within its limits, and serves several threads.
#include "trust/verify/cache.h"

#include <gtest/gtest.h>

#include <thread>

#include "trust/verify/testing/world.h"

namespace ccgpu::verify {
namespace {

struct CacheCase {
  const char* name;
  std::function<void(GpuWorld&)> change;
};
void PrintTo(const CacheCase& c, std::ostream* out) { *out << c.name; }

class SameVerdict : public ::testing::TestWithParam<CacheCase> {};

// The cache has seen the healthy documents, the changed ones, or nothing: the verdict is the same text.
TEST_P(SameVerdict, ColdAndWarm) {
  static const GpuWorld healthy;
  GpuWorld changed = healthy;
  GetParam().change(changed);
  const std::string expected = changed.Run().ToJson();
  Cache cold, warm;
  EXPECT_EQ(changed.Run(&cold).ToJson(), expected);
  EXPECT_EQ(changed.Run(&cold).ToJson(), expected);
  ASSERT_TRUE(healthy.Run(&warm).accepted);
  EXPECT_EQ(changed.Run(&warm).ToJson(), expected);
  EXPECT_TRUE(healthy.Run(&warm).accepted);
}

constexpr char kDriverRim[] = "NV_GPU_DRIVER_GH100_550.90.07";

INSTANTIATE_TEST_SUITE_P(
    Cache, SameVerdict,
    ::testing::Values(CacheCase{"healthy", [](GpuWorld&) {}},
                      CacheCase{"later", [](GpuWorld& w) { w.now += std::chrono::hours(24 * 365 * 20); }},
                      CacheCase{"answers_went_stale", [](GpuWorld& w) { w.now += std::chrono::hours(2); }},
                      CacheCase{"revoked_since",
                                [](GpuWorld& w) {
                                  w.Answer("device1", {evidence::CertStatus::kRevoked, 1, kTestNow});
                                }},
                      CacheCase{"other_anchors", [](GpuWorld& w) { w.anchors = BuiltinAnchors(); }},
                      CacheCase{"no_emulators", [](GpuWorld& w) { w.anchors.insecure_accept_emulated = false; }},
                      CacheCase{"other_nonce", [](GpuWorld& w) { w.options.nonce[0] ^= 1; }},
                      CacheCase{"broken_rim", [](GpuWorld& w) { w.collateral.rims[kDriverRim] = "<x"; }},
                      CacheCase{"rim_value_changed",
                                [](GpuWorld& w) {
                                  std::string& xml = w.collateral.rims[kDriverRim];
                                  xml.replace(xml.find("active=\"True\""), 13, "active=\"False\"");
                                }},
                      CacheCase{"rim_certificate_of_another_issuer",
                                [](GpuWorld& w) {
                                  w.rim[1] = w.device[2];
                                  w.Endorse();
                                }},
                      CacheCase{"chain_of_another_order",
                                [](GpuWorld& w) {
                                  std::swap(w.device[2], w.device[3]);
                                  w.evidence.certificate_chain = evidence::ChainPem(CertificatesOf(w.device));
                                }},
                      CacheCase{"measurement",
                                [](GpuWorld& w) {
                                  w.report.measurements[22] = Bytes(48, 1);
                                  w.Sign();
                                }}),
    [](const auto& i) { return i.param.name; });

TEST(VerifyCache, SecondTimeNothingIsNew) {
  const GpuWorld w;
  Cache cache;
  ASSERT_TRUE(w.Run(&cache).accepted);
  const Cache::Statistics first = cache.statistics();
  ASSERT_TRUE(w.Run(&cache).accepted);
  const Cache::Statistics second = cache.statistics();
  EXPECT_EQ(second.misses, first.misses);
  EXPECT_GT(second.hits, first.hits);
  EXPECT_EQ(second.entries, first.entries);
}

TEST(VerifyCache, StaysWithinItsLimits) {
  const GpuWorld w;
  for (const CacheLimits& limits : {CacheLimits{1, 1, 2}, CacheLimits{0, 0, 0}}) {
    Cache cache(limits);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(w.Run(&cache).accepted);
    EXPECT_LE(cache.statistics().entries, limits.rims + 3 * limits.documents + limits.signatures);
  }
}

TEST(VerifyCache, ThreadsShareOne) {
  const GpuWorld w;
  const std::string expected = w.Run().ToJson();
  Cache cache(CacheLimits{1, 4, 8});  // small: entries come and go while others use them
  std::vector<std::thread> threads;
  std::vector<std::string> found(4);
  for (std::string& one : found) {
    threads.emplace_back([&one, &w, &cache] {
      for (int i = 0; i < 3; ++i) one = w.Run(&cache).ToJson();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& one : found) EXPECT_EQ(one, expected);
}

}  // namespace
}  // namespace ccgpu::verify
