#include "node/manifest/pod_spec.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  (void)ccgpu::node::ParsePod(std::string(reinterpret_cast<const char*>(data), size), "fuzz.yaml");
  return 0;
}
