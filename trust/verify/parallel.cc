#include "trust/verify/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace ccgpu::verify {

void ForEachPiece(size_t count, unsigned threads, const std::function<void(size_t)>& work) {
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  std::atomic<size_t> next = 0;
  const auto take = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::thread> others;
  const size_t helpers = std::min<size_t>(threads, count);
  for (size_t i = 1; i < helpers; ++i) others.emplace_back(take);
  take();
  for (std::thread& other : others) other.join();
}

}  // namespace ccgpu::verify
