// How long a container waits for its next start, as with kubelet: twice as long after each end, five minutes at most,
// and from the beginning again once it has run for ten.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace ccgpu::node {

inline constexpr std::chrono::milliseconds kLongestBackoff = std::chrono::minutes(5);
inline constexpr std::chrono::milliseconds kForgivenAfter = 2 * kLongestBackoff;

// How many ends there were in a row, none of them after a long run, when one more comes after running for `ran`.
inline uint32_t EndsInARow(uint32_t before, std::chrono::nanoseconds ran) {
  return ran >= kForgivenAfter ? 1 : before + 1;
}

// `first`: after the first end.
inline std::chrono::milliseconds Backoff(std::chrono::milliseconds first, uint32_t ends) {
  const uint32_t doubled = std::min<uint32_t>(ends == 0 ? 0 : ends - 1, 20);
  return std::min(first * (1 << doubled), kLongestBackoff);
}

}  // namespace ccgpu::node
