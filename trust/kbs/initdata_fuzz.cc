// Initdata comes from whoever wrote the pod's annotation.
#include <cstdlib>

#include "trust/kbs/initdata.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)ccgpu::kbs::DecodeInitDataAnnotation(text);
  (void)ccgpu::kbs::ParseAaToml(text);
  (void)ccgpu::kbs::ParseCdhToml(text);
  auto init = ccgpu::kbs::ParseInitData(text);
  if (init.ok()) {
    auto again = ccgpu::kbs::ParseInitData(ccgpu::kbs::WriteInitData(*init));
    if (!again.ok() || again->data != init->data) std::abort();
  }
  return 0;
}
