// Fetching against a real HTTP server on loopback: what is asked, what is kept, and what happens when the server is
// away.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <thread>

#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"
#include "base/testing/temp_dir.h"
#include "collateral/fetch/source.h"
#include "trust/evidence/test_vectors.h"

namespace ccgpu::collateral {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const TimePoint kNow = ParseTime("2026-06-01T12:00:00Z").value();

class Fetching : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.Get("/v1/rim/NV_GOOD", [&](const httplib::Request&, httplib::Response& response) {
      ++asked_;
      if (failures_-- > 0) return void(response.status = 503);
      response.set_content(Rim("NV_GOOD"), "application/json");
    });
    server_.Get("/v1/rim/NV_LIAR", [&](const httplib::Request&, httplib::Response& r) {
      r.set_content(Rim("NV_OTHER"), "application/json");
    });
    server_.Get("/big", [](const httplib::Request&, httplib::Response& r) {
      r.set_content(std::string(5u << 20, 'x'), "a/b");
    });
    server_.Get("/moved", [](const httplib::Request&, httplib::Response& r) { r.set_redirect("/v1/rim/NV_GOOD"); });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  void TearDown() override { Stop(); }
  void Stop() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }
  static std::string Rim(const std::string& id) {
    return Json{{"id", id}, {"rim", Base64Encode(AsBytes("<SoftwareIdentity/>"))}}.dump();
  }
  std::string Base() const { return "http://127.0.0.1:" + std::to_string(port_); }
  Found Get(const std::string& id, FetchPolicy policy, TimePoint now, DiskCache* cache) {
    ServiceUrls urls;
    urls.rim = Base() + "/v1/rim/";
    RetryOptions retry;
    retry.wait = [&](std::chrono::milliseconds pause) { pauses_.push_back(pause.count()); };
    const auto fetcher = MakeRetrying(*http_, retry);
    Source source(urls, policy, *fetcher, cache, now);
    source.ForRim(id);
    return source.Take();
  }

  httplib::Server server_;
  std::thread thread_;
  int port_ = 0, asked_ = 0, failures_ = 0;
  std::vector<long> pauses_;
  const TempDir dir_;
  const std::unique_ptr<Fetcher> http_ = MakeHttpFetcher();
};

TEST_F(Fetching, FreshThenFromTheCacheThenAgain) {
  DiskCache cache(dir_.path());
  EXPECT_EQ(Get("NV_GOOD", {}, kNow, &cache).documents, (Documents{{Kind::kRim, "NV_GOOD", "<SoftwareIdentity/>"}}));
  const Found again = Get("NV_GOOD", {}, kNow + std::chrono::hours(23), &cache);
  EXPECT_EQ(again.from_cache, 1u);
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(Get("NV_GOOD", {}, kNow + std::chrono::hours(25), &cache).fetched, 1u);
  EXPECT_EQ(asked_, 2);
  Get("NV_GOOD", {}, kNow - std::chrono::hours(1), &cache);  // a record of the future says nothing
  EXPECT_EQ(asked_, 3);
}

TEST_F(Fetching, TriesAgainWithALimit) {
  failures_ = 2;
  EXPECT_EQ(Get("NV_GOOD", {}, kNow, nullptr).documents.size(), 1u);
  EXPECT_THAT(pauses_, ElementsAre(200, 400));
  failures_ = 3;
  const Found none = Get("NV_GOOD", {}, kNow, nullptr);
  ASSERT_EQ(none.problems.size(), 1u);
  EXPECT_EQ(none.problems[0].error.code, "collateral.rim-unavailable");
  EXPECT_THAT(none.problems[0].error.text, HasSubstr("503 (tried 3 times)"));
  pauses_.clear();
  EXPECT_THAT(Get("NV_ABSENT", {}, kNow, nullptr).problems[0].error.text, HasSubstr("404"));
  EXPECT_TRUE(pauses_.empty());  // 404 stays 404
}

TEST_F(Fetching, AWrongAnswerIsNoneAndIsNotKept) {
  DiskCache cache(dir_.path());
  EXPECT_THAT(Get("NV_LIAR", {}, kNow, &cache).problems[0].error.text, HasSubstr("another RIM"));
  EXPECT_FALSE(cache.Find({Base() + "/v1/rim/NV_LIAR", "", ""}));
  EXPECT_EQ(Get("../etc/passwd", {}, kNow, &cache).problems[0].error.code, "collateral.rim-unavailable");
  EXPECT_EQ(http_->Fetch({Base() + "/big", "", ""}).error().code, "collateral.too-large");
  EXPECT_EQ(http_->Fetch({Base() + "/moved", "", ""}).error().code, "collateral.refused");
  for (const char* url : {"", "rim", "file:///etc/passwd", "ftp://x/y"})
    EXPECT_EQ(http_->Fetch({url, "", ""}).error().code, "collateral.bad-url") << url;
}

TEST_F(Fetching, StaleOnlyWhenSaidAndOnlySoLong) {
  DiskCache cache(dir_.path());
  Get("NV_GOOD", {}, kNow, &cache);
  Stop();
  const TimePoint later = kNow + std::chrono::hours(30);
  Found found = Get("NV_GOOD", {}, later, &cache);
  EXPECT_TRUE(found.documents.empty());
  EXPECT_THAT(found.problems[0].error.text, HasSubstr("--stale-while-offline"));
  FetchPolicy stale;
  stale.stale_while_offline = std::chrono::hours(48);
  found = Get("NV_GOOD", stale, later, &cache);
  EXPECT_EQ(found.documents.size(), 1u);
  EXPECT_TRUE(found.problems[0].used_stale);
  stale.stale_while_offline = std::chrono::hours(29);
  EXPECT_TRUE(Get("NV_GOOD", stale, later, &cache).documents.empty());
}

TEST_F(Fetching, OfflineAsksNobody) {
  FetchPolicy offline;
  offline.offline = true;
  EXPECT_EQ(Get("NV_GOOD", offline, kNow, nullptr).problems.size(), 1u);
  EXPECT_EQ(asked_, 0);
}

TEST_F(Fetching, ADamagedCacheIsAnEmptyOne) {
  DiskCache cache(dir_.path());
  const FetchRequest request{"http://a/b", "", ""};
  ASSERT_TRUE(cache.Keep(request, {"content", {{"x", "y"}}}, kNow).ok());
  ASSERT_TRUE(cache.Find(request));
  EXPECT_EQ(cache.Find(request)->answer.headers.at("x"), "y");
  EXPECT_FALSE(cache.Find({"http://a/b", "body", ""}));
  const std::string object = dir_ / "objects/" + HexEncode(crypto::Sha256(AsBytes("content")));
  ASSERT_TRUE(WriteFileAtomic(object, "c0ntent").ok());
  EXPECT_FALSE(cache.Find(request));
  EXPECT_FALSE(Exists(object));
}

TEST_F(Fetching, TheCacheIsBounded) {
  DiskCache cache(dir_.path(), {.bytes = 1000, .documents = 3});
  for (int i = 0; i < 5; ++i) {
    const FetchRequest request{"http://a/" + std::to_string(i), "", ""};
    ASSERT_TRUE(
        cache.Keep(request, {std::string(100, static_cast<char>('a' + i)), {}}, kNow + std::chrono::seconds(i)).ok());
  }
  EXPECT_FALSE(cache.Find({"http://a/1", "", ""}));
  for (int i = 2; i < 5; ++i) EXPECT_TRUE(cache.Find({"http://a/" + std::to_string(i), "", ""})) << i;
  ASSERT_TRUE(cache.Keep({"http://a/big", "", ""}, {std::string(950, 'x'), {}}, kNow).ok());
  EXPECT_TRUE(cache.Find({"http://a/big", "", ""}));  // what was just fetched stays, whatever its time
  EXPECT_FALSE(cache.Find({"http://a/4", "", ""}));
  EXPECT_EQ(cache.Keep({"http://a/huge", "", ""}, {std::string(2000, 'x'), {}}, kNow).error().code,
            "collateral.too-large");
}

TEST(Kds, UrlOfARealReport) {
  SKIP_WITHOUT_VECTORS();
  auto report = evidence::ParseSnpReport(test::VectorBytes("snp/virtee_report_milan.bin"));
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(KdsProduct(*report), "Milan");
  EXPECT_THAT(
      VcekUrl("https://kds", *report),
      ::testing::MatchesRegex(
          "https://kds/vcek/v1/Milan/[0-9a-f]{128}\\?blSPL=[0-9]+&teeSPL=[0-9]+&snpSPL=[0-9]+&ucodeSPL=[0-9]+"));
  report = evidence::ParseSnpReport(test::VectorBytes("snp/azure_genoa_report.bin"));
  EXPECT_EQ(KdsProduct(*report), "Genoa");
}

}  // namespace
}  // namespace ccgpu::collateral
