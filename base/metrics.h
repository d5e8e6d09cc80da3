// Metrics in Prometheus' text format 0.0.4, for every program's /metrics: the one place that knows the format.
//
// Names begin with ccgpu_, units are base units (seconds, bytes), counters end in _total. A label's value is never
// something that a client chose: reason codes, states and routes are ours. test/e2e/t_4_metrics.py asks promtool.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ccgpu::metrics {

inline constexpr char kContentType[] = "text/plain; version=0.0.4; charset=utf-8";
// Series that one family may have. What comes after gets "other" as every label's value: a code that nobody thought of
// must not fill the memory of a monitoring system.
inline constexpr size_t kMaxSeries = 256;

using Labels = std::vector<std::pair<std::string_view, std::string>>;

// Writes the text: a family's head, then its samples.
class Page {
 public:
  void Head(std::string_view name, std::string_view type, std::string_view help);  // counter, gauge, histogram
  // Of the family whose head came last; `suffix` is "_bucket", "_sum" or "_count" of a histogram.
  void Sample(const Labels& labels, double value, std::string_view suffix = "");
  // A family of one sample.
  void Gauge(std::string_view name, std::string_view help, double value, const Labels& labels = {});
  void Counter(std::string_view name, std::string_view help, double value, const Labels& labels = {});
  std::string Take() { return std::move(text_); }

 private:
  std::string text_, name_;
};

// Any thread may call anything of the following; values begin at 0.
class Counter {
 public:
  void Add(uint64_t by = 1) { value_.fetch_add(by, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }
  Counter& operator++() {
    Add();
    return *this;
  }

 private:
  std::atomic<uint64_t> value_{0};
};

class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  explicit Histogram(std::span<const double> bounds);  // upper bounds, rising, without +Inf
  void Observe(double value);
  void Write(Page& page, const Labels& labels) const;

 private:
  std::vector<double> bounds_;
  std::deque<std::atomic<uint64_t>> buckets_;  // one more than bounds
  std::atomic<double> sum_{0};
};

// From a fast lookup to a slow network, in seconds.
inline constexpr double kLatencyBounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

// The series of one name. References stay good as long as the family lives.
template <class T>
class Family {
 public:
  Family(std::vector<std::string> labels, std::function<std::unique_ptr<T>()> make)
      : labels_(std::move(labels)), make_(std::move(make)) {}
  // One value a label, in the labels' order.
  T& With(std::vector<std::string> values) {
    std::lock_guard lock(mutex_);
    values.resize(labels_.size());
    auto it = series_.find(values);
    if (it == series_.end()) {
      if (series_.size() >= kMaxSeries) values.assign(labels_.size(), "other");
      auto& made = series_[values];
      if (!made) made = make_();
      return *made;
    }
    return *it->second;
  }
  void ForEach(const std::function<void(const Labels&, const T&)>& visit) const {
    std::lock_guard lock(mutex_);
    for (const auto& [values, one] : series_) {
      Labels labels;
      for (size_t i = 0; i < labels_.size(); ++i) labels.emplace_back(labels_[i], values[i]);
      visit(labels, *one);
    }
  }

 private:
  const std::vector<std::string> labels_;
  const std::function<std::unique_ptr<T>()> make_;
  mutable std::mutex mutex_;
  std::map<std::vector<std::string>, std::unique_ptr<T>> series_;
};

// A program's metrics. Families live as long as the registry and are added before the first Text().
class Registry {
 public:
  metrics::Counter& AddCounter(std::string name, std::string help);
  metrics::Gauge& AddGauge(std::string name, std::string help);
  metrics::Histogram& AddHistogram(std::string name, std::string help, std::span<const double> bounds = kLatencyBounds);
  Family<metrics::Counter>& AddCounters(std::string name, std::string help, std::vector<std::string> labels);
  Family<metrics::Gauge>& AddGauges(std::string name, std::string help, std::vector<std::string> labels);
  Family<metrics::Histogram>& AddHistograms(std::string name, std::string help, std::vector<std::string> labels,
                                            std::span<const double> bounds = kLatencyBounds);
  // What is known only when somebody asks; called at each Text().
  void AddCollector(std::function<void(Page&)> collect) { writers_.push_back(std::move(collect)); }
  std::string Text() const;

 private:
  template <class T>
  Family<T>& Add(std::vector<std::string> labels, std::function<std::unique_ptr<T>()> make,
                 std::function<void(Page&, const Family<T>&)> write);
  std::vector<std::function<void(Page&)>> writers_;
  std::vector<std::shared_ptr<void>> families_;
};

// PREFIX_info{version}, and what every Prometheus client tells of its process: start time, resident memory, open
// descriptors, CPU time.
void WriteProcess(Page& page, const std::string& prefix, const std::string& version);

}  // namespace ccgpu::metrics
