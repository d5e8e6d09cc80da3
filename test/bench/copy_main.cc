// Copies between a pod and its GPU through libcuda.so.1, timed one by one. test/bench/throughput.py runs it in a sealed
// pod, where the GPU is in hopper-cc mode and every byte crosses the link encrypted. Prints one JSON object: MiB per
// second of each copy, and MiB per second of this process's CPU time over all copies to the device, which depends less
// on what else the machine does.
//
//   ccgpu-bench-copy [MIB [ROUNDS]]
#include <time.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "examples/digits/cuda_driver.h"

namespace {

using Clock = std::chrono::steady_clock;

template <class F>
double MibPerSecond(int mib, F&& copy) {
  const auto start = Clock::now();
  copy();
  return mib / std::chrono::duration<double>(Clock::now() - start).count();
}

double CpuSeconds() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::string List(const std::vector<double>& rates) {
  std::string out;
  char text[32];
  for (double rate : rates) {
    std::snprintf(text, sizeof text, "%s%.1f", out.empty() ? "" : ", ", rate);
    out += text;
  }
  return "[" + out + "]";
}

// Different in every 8 bytes and in every round, so that a copy that was skipped or misplaced is found.
void Fill(std::vector<uint64_t>& data, uint64_t round) {
  uint64_t value = round * 0x9e3779b97f4a7c15u;
  for (auto& word : data) word = value += 0x9e3779b97f4a7c15u;
}

}  // namespace

int main(int argc, char** argv) {
  const int mib = argc > 1 ? std::atoi(argv[1]) : 64, rounds = argc > 2 ? std::atoi(argv[2]) : 10;
  if (mib < 1 || mib > 1024 || rounds < 1) {
    std::fprintf(stderr, "usage: ccgpu-bench-copy [MIB (1..1024) [ROUNDS]]\n");
    return 2;
  }
  const size_t bytes = static_cast<size_t>(mib) << 20;
  digits::Cuda cuda;
  const uint64_t memory = cuda.Allocate(bytes);
  std::vector<uint64_t> there(bytes / 8), back(bytes / 8);
  std::vector<double> h2d, d2h;
  double cpu = 0;
  for (int round = 0; round <= rounds; ++round) {
    Fill(there, static_cast<uint64_t>(round) + 1);
    const double before = CpuSeconds();
    const double to = MibPerSecond(mib, [&] { cuda.ToDevice(memory, there.data(), bytes); });
    const double used = CpuSeconds() - before;
    const double from = MibPerSecond(mib, [&] { cuda.ToHost(back.data(), memory, bytes); });
    if (there != back) {
      std::fprintf(stderr, "ccgpu-bench-copy: round %d came back changed\n", round);
      return 1;
    }
    if (round == 0) continue;  // the device's memory is touched for the first time
    h2d.push_back(to);
    d2h.push_back(from);
    cpu += used;
  }
  cuda.Free(memory);
  std::printf("{\"device\": \"%s\", \"mib\": %d, \"h2d\": %s, \"d2h\": %s, \"h2d_cpu\": %.1f}\n",
              cuda.DeviceName().c_str(), mib, List(h2d).c_str(), List(d2h).c_str(), mib * rounds / cpu);
  return 0;
}
