// Our words in the form that Kubernetes wants.
#pragma once

#include <string>
#include <string_view>

namespace ccgpu::nodemanager {

// `text` as a label's value: at most 63 characters of [A-Za-z0-9._-], beginning and ending with a letter or digit.
// "NVIDIA H100 80GB HBM3 (EMULATED)" -> "NVIDIA-H100-80GB-HBM3-EMULATED".
std::string LabelSafe(std::string_view text);

// "gpu.link-down" -> "GpuLinkDown": a reason as conditions and Events want it.
std::string CamelCase(std::string_view code);

}  // namespace ccgpu::nodemanager
