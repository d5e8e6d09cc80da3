#include "test/bench/allocations.h"

#include <openssl/crypto.h>

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<size_t> g_allocations = 0;

void* CountedAlloc(size_t size, const char*, int) {
  ++g_allocations;
  return std::malloc(size);
}
void* CountedRealloc(void* old, size_t size, const char*, int) {
  ++g_allocations;
  return std::realloc(old, size);
}
void CountedFree(void* memory, const char*, int) { std::free(memory); }

}  // namespace

void* operator new(size_t size) {
  ++g_allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace ccgpu::bench {

size_t Allocations() { return g_allocations; }

void CountOpenSsl() { CRYPTO_set_mem_functions(CountedAlloc, CountedRealloc, CountedFree); }

}  // namespace ccgpu::bench
