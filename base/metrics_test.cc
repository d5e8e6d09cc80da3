#include "base/metrics.h"

#include <gmock/gmock.h>

#include <thread>

namespace ccgpu::metrics {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Metrics, FamilyIsHeadAndSamples) {
  Registry registry;
  auto& requests = registry.AddCounters("ccgpu_t_requests_total", "Requests.", {"code", "route"});
  requests.With({"200", "/a"}).Add(2);
  ++requests.With({"404", "/b"});
  ++requests.With({"200", "/a"});
  registry.AddGauge("ccgpu_t_size_bytes", "Size.").Set(1.5);
  EXPECT_EQ(registry.Text(),
            "# HELP ccgpu_t_requests_total Requests.\n# TYPE ccgpu_t_requests_total counter\n"
            "ccgpu_t_requests_total{code=\"200\",route=\"/a\"} 3\n"
            "ccgpu_t_requests_total{code=\"404\",route=\"/b\"} 1\n"
            "# HELP ccgpu_t_size_bytes Size.\n# TYPE ccgpu_t_size_bytes gauge\nccgpu_t_size_bytes 1.5\n");
}

// Whoever can put a quote or a line end into a label could write series of his own.
TEST(Metrics, LabelsAndHelpAreEscaped) {
  Page page;
  page.Gauge("g", "a\\b\nc \"d\"", 1, {{"l", "x\"} 5\ng{l=\"\\"}});
  EXPECT_EQ(page.Take(), "# HELP g a\\\\b\\nc \"d\"\n# TYPE g gauge\ng{l=\"x\\\"} 5\\ng{l=\\\"\\\\\"} 1\n");
}

TEST(Metrics, HistogramCountsUpToItsBoundsInclusively) {
  Registry registry;
  const double bounds[] = {0.1, 1};
  auto& seconds = registry.AddHistogram("h_seconds", "Time.", bounds);
  for (const double value : {0.1, 0.2, 1.0, 7.0}) seconds.Observe(value);
  EXPECT_EQ(registry.Text(),
            "# HELP h_seconds Time.\n# TYPE h_seconds histogram\nh_seconds_bucket{le=\"0.1\"} 1\n"
            "h_seconds_bucket{le=\"1\"} 3\nh_seconds_bucket{le=\"+Inf\"} 4\nh_seconds_sum 8.3\nh_seconds_count 4\n");
}

TEST(Metrics, NumbersReadBackAsTheyWere) {
  Page page;
  page.Gauge("a", "", 1795337242);
  page.Gauge("b", "", 1e300);
  page.Gauge("c", "", -0.1);
  page.Gauge("d", "", 1.0 / 0.0);
  const std::string text = page.Take();
  for (const char* line : {"\na 1795337242\n", "\nb 1e+300\n", "\nc -0.1\n", "\nd +Inf\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

TEST(Metrics, AFamilyDoesNotGrowForEver) {
  Registry registry;
  auto& family = registry.AddCounters("f_total", "", {"code"});
  for (size_t i = 0; i < kMaxSeries + 10; ++i) ++family.With({std::to_string(i)});
  ++family.With({"3"});  // one that is there goes on
  const std::string text = registry.Text();
  EXPECT_THAT(text, HasSubstr("f_total{code=\"other\"} 10\n"));
  EXPECT_THAT(text, HasSubstr("f_total{code=\"3\"} 2\n"));
  EXPECT_THAT(text, Not(HasSubstr("code=\"" + std::to_string(kMaxSeries + 1) + "\"")));
}

TEST(Metrics, ThreadsLoseNothing) {
  Registry registry;
  auto& family = registry.AddCounters("f_total", "", {"code"});
  auto& seconds = registry.AddHistogram("h_seconds", "");
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1000; ++i) {
          ++family.With({std::to_string(i % 7)});
          seconds.Observe(0.5);
          if (i % 100 == 0) (void)registry.Text();
        }
      });
    }
  }
  uint64_t sum = 0;
  family.ForEach([&](const Labels&, const Counter& one) { sum += one.value(); });
  EXPECT_EQ(sum, 4000u);
  EXPECT_THAT(registry.Text(), HasSubstr("h_seconds_sum 2000\nh_seconds_count 4000\n"));
}

TEST(Metrics, ProcessIsTold) {
  Page page;
  WriteProcess(page, "ccgpu_t", "1.2.3");
  const std::string text = page.Take();
  EXPECT_THAT(text, HasSubstr("ccgpu_t_info{version=\"1.2.3\"} 1\n"));
  for (const char* name : {"process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"}) {
    const size_t at = text.find("\n" + std::string(name) + " ");
    ASSERT_NE(at, std::string::npos) << name;
    EXPECT_GT(std::strtod(text.c_str() + at + 2 + std::string(name).size(), nullptr), 0) << name;
  }
}

}  // namespace
}  // namespace ccgpu::metrics
