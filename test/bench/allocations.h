// Counts what a benchmark program allocates. Linking allocations.cc replaces operator new and delete of the program.
#pragma once

#include <cstddef>

namespace ccgpu::bench {

// Allocations so far, by all threads.
size_t Allocations();
// Counts OpenSSL's allocations too. To be called before OpenSSL allocates anything: first thing in main().
void CountOpenSsl();

}  // namespace ccgpu::bench
