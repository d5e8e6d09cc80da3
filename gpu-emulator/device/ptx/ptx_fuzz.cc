// Hostile PTX: whatever the text, loading gives a module or an error, and running its kernels stays inside its memory.
#include <cstring>

#include "gpu-emulator/device/ptx/test_memory.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu::ptx;
  ArenaMemory memory;
  auto engine = MakeInterpreter();
  auto module = engine->Load({std::string(reinterpret_cast<const char*>(data), size)}, memory);
  if (!module.ok()) return 0;
  std::atomic<bool> cancel{true};  // at the first look
  const ccgpu::Bytes params(4096);
  for (const std::string& kernel : (*module)->kernels()) {
    LaunchSpec spec{{1, 1, 1}, {2, 1, 1}, 0, params, &cancel};
    (void)engine->Launch(**module, kernel, spec, memory);
  }
  return 0;
}
