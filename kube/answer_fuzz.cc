// What an API server, or a proxy before it, answers instead of what was asked for.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kube/answer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto failure = ccgpu::kube::FailureOf(400 + data[0] % 200, text, text.substr(0, 4), "/api");
  if (!failure.error.code.starts_with("kube.") || failure.retry_after > std::chrono::seconds(1000)) std::abort();
  return 0;
}
