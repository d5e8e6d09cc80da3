#include "node/devices/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  (void)ccgpu::node::ReadCheckpoint({reinterpret_cast<const char*>(data), size}, "fuzz");
  return 0;
}
