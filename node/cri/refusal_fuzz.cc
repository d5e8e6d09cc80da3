#include "node/cri/refusal.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  (void)ccgpu::node::FindReason({reinterpret_cast<const char*>(data), size});
  return 0;
}
