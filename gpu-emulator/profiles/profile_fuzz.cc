// Profiles come from an administrator, but a broken one must end in an error, not in a crash.
#include <cstddef>
#include <cstdint>
#include <string>

#include "gpu-emulator/profiles/profile.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > (64u << 10)) return 0;
  (void)ccgpu::emulator::ParseProfile(std::string(reinterpret_cast<const char*>(data), size), "fuzz.yaml");
  return 0;
}
