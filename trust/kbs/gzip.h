// One gzip member in memory, with a limit on what may come out of it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace ccgpu::kbs {

// Deterministic: no time, no name.
std::string GzipCompress(std::string_view data);
// Exactly one member and nothing after it; "initdata.too-large" when more than `limit` bytes would come out.
Result<std::string> GzipDecompress(std::string_view data, size_t limit);

}  // namespace ccgpu::kbs
