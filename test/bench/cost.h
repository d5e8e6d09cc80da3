// What one piece of work costs in a benchmark program: time by a clock of the caller's choice, and allocations.
#pragma once

#include <time.h>

#include <algorithm>
#include <vector>

#include "test/bench/allocations.h"

namespace ccgpu::bench {

// Not for several threads at once.
struct Cost {
  clockid_t clock = CLOCK_THREAD_CPUTIME_ID;
  std::vector<double> times = {};  // microseconds, one a run
  size_t allocations = 0;          // of the last run

  // What `work` returns: whether it did what is measured.
  template <class F>
  bool Take(F&& work) {
    const size_t before = Allocations();
    const double start = Now();
    const bool good = work();
    times.push_back(Now() - start);
    allocations = Allocations() - before;
    return good;
  }
  double Median() {
    std::nth_element(times.begin(), times.begin() + static_cast<ptrdiff_t>(times.size() / 2), times.end());
    return times[times.size() / 2];
  }

 private:
  double Now() const {
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) * 1e-3;
  }
};

}  // namespace ccgpu::bench
