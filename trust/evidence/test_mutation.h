// A signed document in which any bit was changed is refused; one that was cut is refused too. For the tests of every
// format; header only. One line a format:
//   EXPECT_TRUE(test::EveryFlipIsRefused("snp report", report, [&](const Bytes& b) { return Judge(b).accepted; }));
//
// Unit tests flip one random bit of each byte; with CCGPU_LONG=1 (./run test sets it) each bit of each byte. The seed
// is printed, CCGPU_SEED repeats it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/bytes.h"

namespace ccgpu::test {

// Whether a document is accepted. Called from several threads at once: it must be a pure function of its argument.
using Judge = std::function<bool(const Bytes&)>;

// Bytes that no signature covers, by design of the format.
struct Span {
  size_t offset = 0, length = 0;
  bool Has(size_t at) const { return at >= offset && at - offset < length; }
};

inline bool LongTests() { return std::getenv("CCGPU_LONG") != nullptr; }

inline uint64_t Seed() {
  static const uint64_t seed = [] {
    const char* set = std::getenv("CCGPU_SEED");
    const uint64_t value = set ? std::strtoull(set, nullptr, 10) : std::random_device{}();
    std::printf("mutation seed %llu (CCGPU_SEED repeats it)\n", static_cast<unsigned long long>(value));
    return value;
  }();
  return seed;
}

// Runs `work` for each index below `count` on all cores.
inline void OnAllCores(size_t count, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < cores; ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < count; at = next++) work(at);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Positions are bits: 8 * byte + bit.
inline ::testing::AssertionResult FlipsAreRefused(const std::string& name, const Bytes& document, const Judge& judge,
                                                  const std::vector<size_t>& positions) {
  if (!judge(document)) return ::testing::AssertionFailure() << name << ": the unchanged document is refused";
  std::mutex mutex;
  std::vector<size_t> accepted;
  OnAllCores(positions.size(), [&](size_t i) {
    Bytes changed = document;
    changed[positions[i] / 8] ^= static_cast<uint8_t>(1 << (positions[i] % 8));
    if (!judge(changed)) return;
    const std::lock_guard lock(mutex);
    accepted.push_back(positions[i]);
  });
  if (accepted.empty()) return ::testing::AssertionSuccess();
  std::sort(accepted.begin(), accepted.end());
  auto out = ::testing::AssertionFailure() << name << ", seed " << Seed() << ": " << accepted.size() << " of "
                                           << positions.size() << " flips are accepted, at byte.bit";
  for (size_t i = 0; i < std::min<size_t>(accepted.size(), 20); ++i)
    out << " " << accepted[i] / 8 << "." << accepted[i] % 8;
  return out;
}

// Each byte. `uncovered`: spans that no signature covers.
inline ::testing::AssertionResult EveryFlipIsRefused(const std::string& name, const Bytes& document, const Judge& judge,
                                                     const std::vector<Span>& uncovered = {}) {
  std::mt19937_64 random(Seed());
  std::vector<size_t> positions;
  for (size_t at = 0; at < document.size(); ++at) {
    if (std::any_of(uncovered.begin(), uncovered.end(), [&](const Span& s) { return s.Has(at); })) continue;
    if (LongTests()) {
      for (size_t bit = 0; bit < 8; ++bit) positions.push_back(8 * at + bit);
    } else {
      positions.push_back(8 * at + random() % 8);
    }
  }
  return FlipsAreRefused(name, document, judge, positions);
}

// `count` random bits (ten times as many with CCGPU_LONG): for documents that are large or slow to judge.
inline ::testing::AssertionResult SampledFlipsAreRefused(const std::string& name, const Bytes& document,
                                                         const Judge& judge, size_t count,
                                                         const std::vector<Span>& uncovered = {}) {
  std::mt19937_64 random(Seed());
  std::vector<size_t> positions;
  const size_t wanted = LongTests() ? 10 * count : count;
  for (size_t tries = 0; positions.size() < wanted && tries < 100 * wanted; ++tries) {
    const size_t position = random() % (8 * document.size());
    const auto has = [&](const Span& s) { return s.Has(position / 8); };
    if (!std::any_of(uncovered.begin(), uncovered.end(), has)) positions.push_back(position);
  }
  return FlipsAreRefused(name, document, judge, positions);
}

// Cut at each length (at every `step`th one); under a sanitizer this also shows that nothing reads past the end.
inline ::testing::AssertionResult EveryCutIsRefused(const std::string& name, const Bytes& document, const Judge& judge,
                                                    size_t step = 1) {
  if (!judge(document)) return ::testing::AssertionFailure() << name << ": the unchanged document is refused";
  std::atomic<size_t> longest{SIZE_MAX};
  OnAllCores((document.size() + step - 1) / step, [&](size_t i) {
    // A copy of exactly this size, so that a read past its end is one past an allocation.
    Bytes cut(document.begin(), document.begin() + static_cast<ptrdiff_t>(i * step));
    cut.shrink_to_fit();
    if (judge(cut)) longest = i * step;
  });
  if (longest == SIZE_MAX) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << name << ": accepted when cut to " << longest << " of " << document.size()
                                       << " bytes";
}

}  // namespace ccgpu::test
