// What comes from files and from containerd's standard input.
#include "shim/host/config.h"
#include "shim/host/task_options.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)ccgpu::shim::ParseConfig(text, "fuzz");
  (void)ccgpu::shim::ReadStartInput(text, "id");
  return 0;
}
