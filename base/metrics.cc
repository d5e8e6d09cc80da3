#include "base/metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/file.h"

namespace ccgpu::metrics {
namespace {

std::string Escape(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') out += "\\\\";
    else if (c == '\n') out += "\\n";
    else if (c == '"' && quotes) out += "\\\"";
    else out += c;
  }
  return out;
}

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[64];
  // Counts as people write them; the shortest text that reads back as the same value for the rest.
  const bool whole = value == std::floor(value) && std::fabs(value) < 1e15;
  const auto end = whole ? std::to_chars(text, text + sizeof text, static_cast<int64_t>(value)).ptr
                         : std::to_chars(text, text + sizeof text, value).ptr;
  return std::string(text, end);
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// Field `wanted` (as proc(5) numbers them, from 3 on) of /proc/self/stat; 0 when it cannot be read.
double StatField(int wanted) {
  auto stat = ReadFile("/proc/self/stat", 4096);
  if (!stat.ok()) return 0;
  size_t at = stat->rfind(')');  // the name before it may hold anything
  for (int field = 2; field < wanted && at != std::string::npos; ++field) at = stat->find(' ', at + 1);
  return at == std::string::npos ? 0 : std::strtod(stat->c_str() + at, nullptr);
}

double BootTime() {
  auto stat = ReadFile("/proc/stat", 1 << 20);
  if (!stat.ok()) return 0;
  const size_t at = stat->find("\nbtime ");
  return at == std::string::npos ? 0 : std::strtod(stat->c_str() + at + 7, nullptr);
}

int OpenDescriptors() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  int count = -3;  // ".", ".." and the folder itself
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

}  // namespace

void Page::Head(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  text_ += "# HELP " + name_ + " " + Escape(help, false) + "\n# TYPE " + name_ + " " + std::string(type) + "\n";
}

void Page::Sample(const Labels& labels, double value, std::string_view suffix) {
  text_ += name_;
  text_ += suffix;
  for (size_t i = 0; i < labels.size(); ++i) {
    text_ += i == 0 ? '{' : ',';
    text_ += labels[i].first;
    text_ += "=\"" + Escape(labels[i].second, true) + "\"";
  }
  if (!labels.empty()) text_ += '}';
  text_ += " " + Number(value) + "\n";
}

void Page::Gauge(std::string_view name, std::string_view help, double value, const Labels& labels) {
  Head(name, "gauge", help);
  Sample(labels, value);
}

void Page::Counter(std::string_view name, std::string_view help, double value, const Labels& labels) {
  Head(name, "counter", help);
  Sample(labels, value);
}

Histogram::Histogram(std::span<const double> bounds)
    : bounds_(bounds.begin(), bounds.end()), buckets_(bounds.size() + 1) {}

void Histogram::Observe(double value) {
  size_t bucket = 0;
  while (bucket < bounds_.size() && !(value <= bounds_[bucket])) ++bucket;
  buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
  double sum = sum_.load(std::memory_order_relaxed);
  while (!sum_.compare_exchange_weak(sum, sum + value, std::memory_order_relaxed)) {}
}

void Histogram::Write(Page& page, const Labels& labels) const {
  uint64_t count = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    count += buckets_[i].load(std::memory_order_relaxed);
    Labels with_bound = labels;
    with_bound.emplace_back("le", i < bounds_.size() ? Number(bounds_[i]) : "+Inf");
    page.Sample(with_bound, static_cast<double>(count), "_bucket");
  }
  page.Sample(labels, sum_.load(std::memory_order_relaxed), "_sum");
  page.Sample(labels, static_cast<double>(count), "_count");
}

template <class T>
Family<T>& Registry::Add(std::vector<std::string> labels, std::function<std::unique_ptr<T>()> make,
                         std::function<void(Page&, const Family<T>&)> write) {
  auto family = std::make_shared<Family<T>>(std::move(labels), std::move(make));
  families_.push_back(family);
  writers_.push_back([raw = family.get(), write = std::move(write)](Page& page) { write(page, *raw); });
  return *family;
}

namespace {

template <class T>
std::function<void(Page&, const Family<T>&)> Values(std::string name, const char* type, std::string help) {
  return [name = std::move(name), type, help = std::move(help)](Page& page, const Family<T>& family) {
    page.Head(name, type, help);
    family.ForEach([&](const Labels& labels, const T& one) { page.Sample(labels, static_cast<double>(one.value())); });
  };
}

}  // namespace

Family<Counter>& Registry::AddCounters(std::string name, std::string help, std::vector<std::string> labels) {
  return Add<metrics::Counter>(
      std::move(labels), [] { return std::make_unique<metrics::Counter>(); },
      Values<metrics::Counter>(std::move(name), "counter", std::move(help)));
}

Family<Gauge>& Registry::AddGauges(std::string name, std::string help, std::vector<std::string> labels) {
  return Add<metrics::Gauge>(
      std::move(labels), [] { return std::make_unique<metrics::Gauge>(); },
      Values<metrics::Gauge>(std::move(name), "gauge", std::move(help)));
}

Family<Histogram>& Registry::AddHistograms(std::string name, std::string help, std::vector<std::string> labels,
                                           std::span<const double> bounds) {
  std::vector<double> own(bounds.begin(), bounds.end());
  return Add<metrics::Histogram>(
      std::move(labels), [own = std::move(own)] { return std::make_unique<metrics::Histogram>(own); },
      [name = std::move(name), help = std::move(help)](Page& page, const Family<metrics::Histogram>& family) {
        page.Head(name, "histogram", help);
        family.ForEach([&](const Labels& labels, const metrics::Histogram& one) { one.Write(page, labels); });
      });
}

Counter& Registry::AddCounter(std::string name, std::string help) {
  return AddCounters(std::move(name), std::move(help), {}).With({});
}

Gauge& Registry::AddGauge(std::string name, std::string help) {
  return AddGauges(std::move(name), std::move(help), {}).With({});
}

Histogram& Registry::AddHistogram(std::string name, std::string help, std::span<const double> bounds) {
  return AddHistograms(std::move(name), std::move(help), {}, bounds).With({});
}

std::string Registry::Text() const {
  Page page;
  for (const auto& write : writers_) write(page);
  return page.Take();
}

void WriteProcess(Page& page, const std::string& prefix, const std::string& version) {
  page.Gauge(prefix + "_info", "Always 1; the label says which version runs.", 1, {{"version", version}});
  const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  page.Gauge("process_start_time_seconds", "When the process started, seconds since 1970.",
             BootTime() + StatField(22) / ticks);
  page.Gauge("process_resident_memory_bytes", "Memory that the process holds.",
             StatField(24) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  page.Gauge("process_open_fds", "Open descriptors.", OpenDescriptors());
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  page.Counter("process_cpu_seconds_total", "CPU time used, user and system.",
               Seconds(used.ru_utime) + Seconds(used.ru_stime));
}

}  // namespace ccgpu::metrics
