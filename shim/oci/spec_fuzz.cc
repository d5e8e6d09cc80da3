#include "shim/oci/mounts.h"
#include "shim/oci/spec.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  (void)ccgpu::shim::ReadSpec(text, "fuzz");
  (void)ccgpu::shim::CompactOverlay(text);
  return 0;
}
