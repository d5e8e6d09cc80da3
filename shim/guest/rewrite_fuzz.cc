#include "shim/guest/runc.h"
#include "shim/guest/spec_rewrite.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  (void)ccgpu::shim::RewriteSpec(text,
                                 {.in_pod = size % 2 == 0, .rootfs = "/r", .gpu_folder = "/g", .library_folder = "/l"});
  (void)ccgpu::shim::RewriteProcess(text, true, true);
  (void)ccgpu::shim::LastRuncError(text);
  return 0;
}
