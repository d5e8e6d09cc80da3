// Tokens, key sets and NVIDIA's bundle: any bytes.
#include <cstdlib>

#include "trust/evidence/jwt.h"
#include "trust/evidence/nras.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ccgpu;
  const std::string_view text = AsText({data, size});
  if (const auto token = evidence::ParseJwt(text); token.ok()) {
    if (!text.starts_with(token->signed_text) || token->algorithm.empty()) std::abort();
  }
  (void)evidence::ParseJwks(text);
  const auto bundle = evidence::ParseDetachedEat(text);
  if (!bundle.ok()) return 0;
  const std::string once = evidence::EncodeDetachedEat(*bundle);
  const auto again = evidence::ParseDetachedEat(once);
  if (!again.ok() || evidence::EncodeDetachedEat(*again) != once) std::abort();
  return 0;
}
