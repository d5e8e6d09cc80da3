// Kubernetes quantities ("500m", "64Mi", "1.5G").
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace ccgpu::node {

// The value times `scale` (1000 for CPU in milli-units), rounded up as Kubernetes does; nothing when it is not a
// quantity, is negative or does not fit.
std::optional<int64_t> ParseQuantity(std::string_view text, int64_t scale = 1);

}  // namespace ccgpu::node
